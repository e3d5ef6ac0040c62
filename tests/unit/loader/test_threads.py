"""Threads that nobody waits for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError

import pytest

from kaas.loader.threads import Threads

LEFT = """
import time
from kaas.loader.threads import Threads
threads = Threads(2, "t")
begun = []
threads.submit(lambda: (begun.append(1), time.sleep(1000)))
while not begun: time.sleep(0.01)
threads.shutdown()
"""


def test_they_work_and_hand_on_errors() -> None:
    threads = Threads(2, "t")
    assert [f.result(10) for f in [threads.submit(pow, 2, n) for n in range(50)]] == [2**n for n in range(50)]
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(10)
    threads.shutdown()
    with pytest.raises(RuntimeError, match="closed"):
        threads.submit(pow, 2, 2)


def test_they_are_no_more_than_was_said_and_no_more_than_needed() -> None:
    threads, gate = Threads(3, "counted"), threading.Event()
    waiting = [threads.submit(gate.wait, 10) for _ in range(9)]
    assert sum(t.name.startswith("counted") for t in threading.enumerate()) == 3
    gate.set()
    assert all(f.result(10) for f in waiting)
    threads.shutdown()
    one = Threads(3, "single")
    for _ in range(5):
        one.submit(pow, 2, 2).result(10)
    one.shutdown()


def test_what_has_not_begun_can_be_left() -> None:
    threads, gate, begun = Threads(1, "t"), threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return gate.wait(10)

    first = threads.submit(work)
    second = threads.submit(pow, 2, 2)
    assert begun.wait(10)
    threads.shutdown(cancel_futures=True)
    gate.set()
    assert first.result(10)
    with pytest.raises(CancelledError):
        second.result(10)


class Found:
    """What some work has found."""


def test_a_thread_that_waits_keeps_nothing_of_its_last_work() -> None:
    threads = Threads(1, "t")
    found = weakref.ref(threads.submit(Found).result(10))
    until = time.monotonic() + 10
    while found() is not None and time.monotonic() < until:
        time.sleep(0.001)
    assert found() is None
    threads.shutdown()


def test_a_process_ends_without_them() -> None:
    subprocess.run([sys.executable, "-c", LEFT], check=True, timeout=60)
