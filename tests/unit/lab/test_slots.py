"""Places for labs of tests: what a killed holder left is ended, and nothing else."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from kaas_lab import processes, slots, sockets
from kaas_lab.layout import Layout
from kaas_lab.slots import NoSlot, free_slot

LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The only base port there is: one that nobody uses now, with locks of its own."""
    with free_slot(tmp_path) as layout:
        free = layout.base_port
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(slots, "PORTS", range(free, free + 1000, 1000))
    return free


def listen(state: Path, port: int) -> None:
    layout = Layout(state, port // 1000 * 1000)
    process = processes.spawn(state, "server", [sys.executable, "-c", LISTEN, str(port)], log=state / "log")
    processes.wait_until("server", lambda: bool(sockets.in_range(layout)), process, state / "log")


def held_by(port: int, state: Path, tmp_path: Path) -> None:
    (tmp_path / f"kaas-lab-slot-{port}.lock").write_text(str(state))


def test_what_a_killed_holder_has_left_is_ended(port: int, tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    listen(killed, port + 1)
    held_by(port, killed, tmp_path)
    with free_slot(tmp_path / "next") as layout:
        assert layout.base_port == port
        assert processes.find(killed) == {}


def test_a_lab_that_has_moved_to_other_ports_is_left_alone(port: int, tmp_path: Path) -> None:
    """A directory may be used again while the lock still names it."""
    moved = tmp_path / "moved"
    process = processes.spawn(moved, "server", ["sleep", "600"], log=moved / "log")
    held_by(port, moved, tmp_path)
    with free_slot(tmp_path / "next"):
        assert list(processes.find(moved)) == [process.pid]
    processes.stop_all(moved)


def test_an_orderly_end_leaves_no_name(port: int, tmp_path: Path) -> None:
    with free_slot(tmp_path / "one"):
        assert (tmp_path / f"kaas-lab-slot-{port}.lock").read_text() == str(tmp_path / "one")
    assert (tmp_path / f"kaas-lab-slot-{port}.lock").read_text() == ""


def test_a_place_is_held_by_one(port: int, tmp_path: Path) -> None:
    with free_slot(tmp_path / "one"), pytest.raises(NoSlot, match="is free: stop a lab"), free_slot(tmp_path / "two"):
        pass
