"""`kaas lab` as its user has it: interrupted, killed, two at once, a part that fails, and faults by command."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kaas_lab import management, processes, providers, sockets
from kaas_lab.layout import Layout
from kaas_lab.slots import free_slot

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LIMIT = 600.0
STOPPED = 130
# In the order in which they come: etcd is there before anything answers, the agent when all the rest does.
PHASES = ("etcd", "lab-keystone", "lab-neutron", "capo", "machines-lab")


@contextmanager
def place(state: Path) -> Iterator[Layout]:
    with free_slot(state) as layout:
        try:
            yield layout
        finally:
            processes.stop_all(state, patience=3.0)


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    with place(tmp_path / "lab") as free:
        yield free


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Layout]:
    with place(tmp_path / "other") as free:
        yield free


def begin(layout: Layout) -> subprocess.Popen[str]:
    """`kaas lab up` in a terminal of its own."""
    argv = [
        sys.executable,
        "-m",
        "kaas",
        "lab",
        "up",
        "--state",
        str(layout.state),
        "--base-port",
        str(layout.base_port),
    ]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def kaas_lab(layout: Layout, *words: str) -> str:
    """A command about a lab; it must not fail."""
    argv = [sys.executable, "-m", "kaas", "lab", *words, "--state", str(layout.state)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def up(layout: Layout) -> None:
    with begin(layout) as program:
        said, _ = program.communicate(timeout=LIMIT)
        assert program.returncode == 0, said


def reach(layout: Layout, phase: str, program: subprocess.Popen[str]) -> None:
    def reached() -> bool:
        assert program.poll() is None, program.communicate()[0]
        return phase in processes.find(layout.state).values()

    processes.wait_for(f"{phase} was started", reached, LIMIT)


def nothing_is_left(layout: Layout) -> bool:
    return processes.find(layout.state) == {} and sockets.in_range(layout) == []


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_leaves_nothing(layout: Layout, phase: str) -> None:
    with begin(layout) as program:
        reach(layout, phase, program)
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=LIMIT)
        assert program.returncode == STOPPED
    assert nothing_is_left(layout)


@pytest.mark.parametrize("phase", ["lab-keystone", "capo"])
def test_down_after_up_was_killed_leaves_nothing(layout: Layout, phase: str) -> None:
    with begin(layout) as program:
        reach(layout, phase, program)
        program.kill()
    kaas_lab(layout, "down", "--purge")
    assert nothing_is_left(layout)
    assert not layout.state.exists()


def test_up_after_up_was_killed(layout: Layout) -> None:
    with begin(layout) as program:
        reach(layout, "lab-neutron", program)
        program.kill()
    up(layout)
    kaas_lab(layout, "down")
    assert nothing_is_left(layout)


def test_two_labs_side_by_side(layout: Layout, other: Layout) -> None:
    for each in (layout, other):
        up(each)
    found = [set(processes.find(each.state).values()) for each in (layout, other)]
    assert found[0] == found[1] >= {"etcd", "capo", "lab-nova"}
    kaas_lab(layout, "down")
    assert nothing_is_left(layout)
    assert set(processes.find(other.state).values()) == found[1]
    assert management.api_server(other).is_ready()


def test_a_port_that_was_taken_meanwhile_is_named(layout: Layout) -> None:
    """By the part that wanted it, in the last lines of its own log, not by one that was stopped because of it."""
    with begin(layout) as program, socket.socket() as thief:
        reach(layout, "etcd", program)
        port = providers.PROVIDERS["capo"].health_port(layout)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        said, _ = program.communicate(timeout=LIMIT)
    assert program.returncode == 1
    assert "capo ended with exit code" in said
    assert f"127.0.0.1:{port}: bind: address already in use" in said
    assert nothing_is_left(layout)


def test_ports_that_are_taken_are_named_before_anything_starts(layout: Layout) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", layout.base_port + 5))
        thief.listen()
        with begin(layout) as program:
            said, _ = program.communicate(timeout=LIMIT)
    assert program.returncode == 1
    assert f"127.0.0.1:{layout.base_port + 5}" in said
    assert "choose another --base-port" in " ".join(said.split())
