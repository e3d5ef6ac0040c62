"""Free places for labs of tests and benchmarks, which must not meet each other or a lab that a person runs."""

from __future__ import annotations

import fcntl
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kaas_lab import processes, sockets
from kaas_lab.layout import DEFAULT_BASE_PORT, FIRST_BASE_PORT, LAST_BASE_PORT, PORTS_PER_LAB, Layout

# Some are left to labs that people run: they choose from the default one on.
_LEFT = range(DEFAULT_BASE_PORT, DEFAULT_BASE_PORT + 5 * PORTS_PER_LAB)
PORTS = [port for port in range(FIRST_BASE_PORT, LAST_BASE_PORT + 1, PORTS_PER_LAB) if port not in _LEFT]


class NoSlot(Exception):
    """Every base port for tests is in use."""


@contextmanager
def free_slot(state: Path) -> Iterator[Layout]:
    """Give a layout for `state` at a base port that no other lab uses, and none will take while it is held.

    The lock's file names the state of its holder: what a killed holder has left running is ended by the next.
    The caller stops its own lab before it leaves. Raises NoSlot.
    """
    for port in random.sample(PORTS, len(PORTS)):
        with Path(tempfile.gettempdir(), f"kaas-lab-slot-{port}.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            layout = Layout(state, port)
            lock.seek(0)
            if left := lock.read():
                _end_what_is_left(Path(left), layout)
            if sockets.in_range(layout):
                continue
            lock.truncate(0)
            lock.write(str(state.resolve()))
            lock.flush()
            try:
                yield layout
            finally:
                lock.truncate(0)  # its state may be another lab's by the time that somebody reads this
            return
    raise NoSlot(f"none of the base ports {', '.join(map(str, PORTS))} is free: stop a lab with `kaas lab down`")


def _end_what_is_left(state: Path, layout: Layout) -> None:
    """Stop the lab of a holder that was killed, if it is at these ports: its directory may serve another one by now."""
    listening = set(sockets.in_range(layout))
    if any(listening & set(sockets.of_process(pid)) for pid in processes.find(state)):
        processes.stop_all(state, patience=2.0)
