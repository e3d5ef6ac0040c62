"""From a thread that watches to the event loop that reconciles: events gathered, in order, a slice of time at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SLICE = 0.01  # seconds for which events may hold up the reconciles at once
GATHER = 0.005  # seconds in which events are gathered: waking the other thread costs more than an event


class Inbox:
    """Calls from kopf's thread, made in order on the reconciles' event loop, a slice of time at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], Any]] = deque()
        self._scheduled = False
        self._open = True

    def post(self, call: Callable[[], Any]) -> None:
        """Have `call` made, unless the inbox is closed by then. From any thread."""
        self._calls.append(call)
        if not self._scheduled:
            self._scheduled = True
            self.tell(lambda: self._loop.call_later(GATHER, self._drain))

    def tell(self, call: Callable[[], Any]) -> None:
        """Have `call` made even when the inbox is closed. From any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """Make no more of the posted calls."""
        self._open = False
        self._calls.clear()

    def _drain(self) -> None:
        self._scheduled = False
        end = self._loop.time() + SLICE
        while self._open and self._calls:
            self._calls.popleft()()
            if self._calls and self._loop.time() > end:
                self._scheduled = True
                self._loop.call_soon(self._drain)
                return
