"""A lab as its user treats it: two at once, killed in the middle of `up`, a part that does not start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kaas_lab import lab, management, processes, record, slots, sockets
from kaas_lab.layout import Layout
from kaas_lab.processes import ProcessFailed

# A shell that runs the tests in the background hands down that SIGINT is ignored.
UP = """
import signal
import sys
from pathlib import Path
from kaas_lab import management
from kaas_lab.layout import Layout
signal.signal(signal.SIGINT, signal.default_int_handler)
management.up(Layout(Path(sys.argv[1]), int(sys.argv[2])), (), say=lambda text: print(text, flush=True))
print("done", flush=True)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    with slots.free_slot(tmp_path) as free:
        yield free
        processes.stop_all(tmp_path, patience=2.0)
        processes.permit(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Layout]:
    state = tmp_path / "other"
    with slots.free_slot(state) as free:
        yield free
        processes.stop_all(state, patience=2.0)


def begin(layout: Layout) -> subprocess.Popen[str]:
    """`up` of a bare management cluster as a program of its own."""
    record.Record(layout.base_port, (), ()).write(layout.state)
    argv = [sys.executable, "-c", UP, str(layout.state), str(layout.base_port)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_two_labs_run_side_by_side(layout: Layout, other: Layout) -> None:
    one, two = management.up(layout, ()), management.up(other, ())
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-here"}}
    one.api.apply(namespace)
    names = [item["metadata"]["name"] for item in two.api.request("GET", "api/v1/namespaces")["items"]]
    assert "only-here" not in names
    record.Record(layout.base_port, (), ()).write(layout.state)
    lab.down(layout.state)
    assert two.api.is_ready()


def test_state_survives_down_and_up(layout: Layout) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}}
    management.up(layout, ()).api.apply(namespace)
    processes.stop_all(layout.state, patience=2.0)
    api = management.up(layout, ()).api
    assert api.request("GET", "api/v1/namespaces/kept")["metadata"]["name"] == "kept"


@pytest.mark.parametrize("phase", ["etcd", "kube-apiserver", "kube-controller-manager"])
def test_down_after_up_was_killed(layout: Layout, phase: str) -> None:
    """`kill -9` of `up` as soon as a part was started leaves nothing that `down` does not find."""
    with begin(layout) as parent:
        processes.wait_for(f"{phase} was started", lambda: phase in processes.find(layout.state).values(), 60)
        parent.kill()
    assert phase in lab.down(layout.state)
    assert sockets.in_range(layout) == []
    assert processes.find(layout.state) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_purge_leaves_nothing(layout: Layout, number: signal.Signals) -> None:
    with begin(layout) as parent:
        processes.wait_for("etcd was started", lambda: "etcd" in processes.find(layout.state).values(), 60)
        os.kill(parent.pid, number)
    lab.down(layout.state, purge=True)
    assert not layout.state.exists()
    assert sockets.in_range(layout) == []


def test_ctrl_c_stops_what_was_started(layout: Layout) -> None:
    with begin(layout) as parent:
        processes.wait_for("etcd was started", lambda: "etcd" in processes.find(layout.state).values(), 60)
        parent.send_signal(signal.SIGINT)
        assert parent.wait(60) != 0
    assert processes.find(layout.state) == {}


def test_a_part_that_does_not_start_ends_up_with_its_last_words(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(management, "_CONTROLLERS", "no-such-controller")
    with pytest.raises(ProcessFailed, match=r"kube-controller-manager ended(.|\n)*no-such-controller"):
        management.up(layout, ())
    assert processes.find(layout.state) == {}


def test_purge_spares_a_directory_that_is_not_a_lab(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(record.NoLab, match="does not hold a lab"):
        lab.down(tmp_path, purge=True)
    assert (tmp_path / "precious").exists()
