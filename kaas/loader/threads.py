"""Threads for libraries that block, which nobody waits for at the end.

Python waits for the threads of its own pools before it exits: a request that a server does not answer would keep a
loader that was told to stop until it is killed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
_Work = tuple["Future[Any]", Callable[[], Any]]


class Threads(Executor):
    """At most so many threads, made when they are needed.

    The one that was busy last is asked first: what it keeps, as connections and open directories, is used again, and
    the others need none.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[_Work] = deque()
        self._idle: list[SimpleQueue[_Work | None]] = []
        self._threads = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a function called by the next thread that is free."""
        future: Future[T] = Future()
        work: _Work = (future, lambda: fn(*args, **kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("these threads are closed")
            if self._idle:
                self._idle.pop().put(work)
                return future
            self._waiting.append(work)
            if self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def _run(self) -> None:
        own: SimpleQueue[_Work | None] = SimpleQueue()
        while (work := self._next(own)) is not None:
            _do(*work)
            del work  # a thread that has nothing to do keeps nothing of what it did

    def _next(self, own: SimpleQueue[_Work | None]) -> _Work | None:
        """The next work of a thread; None when there is to be none. own: where it is put for a thread that is idle."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._closed:
                return None
            self._idle.append(own)
        return own.get()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end when they have done what they were given, or what they do now. Waits for none."""
        with self._lock:
            self._closed = True
            left = list(self._waiting) if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
            for idle in self._idle:
                idle.put(None)
            self._idle.clear()
        for future, _ in left:
            future.cancel()


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        found = work()
    except BaseException as error:  # whatever it is belongs to whoever waits for the outcome
        future.set_exception(error)
    else:
        future.set_result(found)
