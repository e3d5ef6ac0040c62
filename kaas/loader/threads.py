"""Threads for libraries that block, which nobody waits for at the end.

Python waits for the threads of its own pools before it exits: a request that a server does not answer would keep a
loader that was told to stop until it is killed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
_Work = tuple["Future[Any]", Callable[[], Any]]


class Threads(Executor):
    """At most so many threads, made when they are needed."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a function called by the next thread that is free."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("these threads are closed")
            self._work.put((future, lambda: fn(*args, **kwargs)))
            if self._idle:
                self._idle -= 1
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            _do(*work)
            del work  # a thread that has nothing to do keeps nothing of what it did
            with self._lock:
                self._idle += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end when they have done what they were given, or what they do now. Waits for none."""
        with self._lock:
            self._closed = True
        with suppress(Empty):
            while cancel_futures:
                left = self._work.get_nowait()
                if left is not None:
                    left[0].cancel()
        for _ in range(self._threads):
            self._work.put(None)


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        found = work()
    except BaseException as error:  # whatever it is belongs to whoever waits for the outcome
        future.set_exception(error)
    else:
        future.set_result(found)
