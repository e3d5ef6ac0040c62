"""Real, small processes: marked, found, stopped, and their last words reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kaas_lab import processes
from kaas_lab.processes import ProcessFailed

FOREVER = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]
DEAF = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()",
]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    processes.permit(tmp_path / "state")
    processes.stop_all(tmp_path / "state", patience=0.2)


def start(state: Path, name: str, argv: list[str]) -> subprocess.Popen[bytes]:
    """Spawn, and wait for the line by which the process says that it is there."""
    log = state / "logs" / f"{name}.log"
    process = processes.spawn(state, name, argv, log=log)
    processes.wait_until(name, lambda: "up" in log.read_text(), process, log, limit=30)
    return process


def test_a_process_is_found_by_its_mark(state: Path) -> None:
    process = start(state, "one", FOREVER)
    assert processes.find(state) == {process.pid: "one"}


def test_another_lab_is_not_touched(state: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    start(state, "one", FOREVER)
    kept = start(other, "two", FOREVER)
    assert processes.stop_all(state) == ["one"]
    assert processes.find(other) == {kept.pid: "two"}
    processes.stop_all(other)


def test_one_that_ignores_the_signal_is_killed(state: Path) -> None:
    process = start(state, "deaf", DEAF)
    processes.stop([process.pid], patience=0.2)
    assert not processes.is_alive(process.pid)


def test_one_that_is_suspended_is_stopped(state: Path) -> None:
    process = start(state, "frozen", FOREVER)
    os.kill(process.pid, signal.SIGSTOP)
    assert processes.stop_all(state) == ["frozen"]


def test_children_of_a_killed_parent_are_stopped(state: Path) -> None:
    """After `kill -9` of the one that started them nothing but the mark leads to a lab's processes."""
    script = f"""
import pathlib, signal
from kaas_lab import processes
state = pathlib.Path({str(state)!r})
for name in ("a", "b"):
    processes.spawn(state, name, {FOREVER!r}, log=state / "logs" / f"{{name}}.log")
print("started", flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        parent.kill()
    assert sorted(processes.find(state).values()) == ["a", "b"]
    assert processes.stop_all(state) == ["a", "b"]
    assert processes.find(state) == {}


def test_grandchildren_carry_the_mark(state: Path) -> None:
    script = f"import subprocess, signal; subprocess.Popen({FOREVER!r}); signal.pause()"
    start(state, "parent", [sys.executable, "-c", script])
    processes.wait_for("both run", lambda: len(processes.find(state)) == 2, limit=30)
    assert processes.stop_all(state) == ["parent", "parent"]


def test_the_end_of_the_log_is_told_when_a_process_ends(state: Path) -> None:
    log = state / "logs/bad.log"
    script = "import sys; print('x' * 9); print('no such flag: --frobnicate'); sys.exit(3)"
    process = processes.spawn(state, "bad", [sys.executable, "-c", script], log=log)
    with pytest.raises(ProcessFailed, match=r"bad ended with exit code 3(.|\n)*--frobnicate"):
        processes.wait_until("bad", lambda: False, process, log, limit=60)


def test_only_the_last_lines_are_told(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    assert processes.tail(log, 2) == "line 98\nline 99"
    assert "no log" in processes.tail(tmp_path / "none.log")


def test_one_that_is_never_ready_is_told_of(state: Path) -> None:
    process = start(state, "slow", FOREVER)
    with pytest.raises(ProcessFailed, match=r"slow is not ready after 0 s(.|\n)*up"):
        processes.wait_until("slow", lambda: False, process, state / "logs/slow.log", limit=0.2)


def test_nothing_starts_once_a_lab_is_being_stopped(state: Path) -> None:
    processes.forbid(state)
    with pytest.raises(ProcessFailed, match="being stopped"):
        processes.spawn(state, "late", FOREVER, log=state / "logs/late.log")
    processes.permit(state)
    start(state, "late", FOREVER)
