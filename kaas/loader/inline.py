"""Short work on files: in the event loop's own thread while that is quick, in others when it is not."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
SLOW: Final = 0.0005
"""Seconds of a small file from which on a thread is worth its price: a local disk takes a fifth, NFS several times."""
_LAST: Final = 16
"""Of so many files the quickest one counts: every disk has slow ones."""
_PROBE: Final = 1000
"""Files in threads after which some are tried here again."""


def waits_of_this_thread() -> int:
    """Voluntary context switches. Source: getrusage(2)."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


class Inline:
    """Does work where it is done sooner.

    thread: has a thread do it; now: seconds that only grow; waits: how often this thread has waited for a disk or
    server. On a busy machine work is slow without one wait, and threads would only make it slower.
    """

    def __init__(
        self,
        thread: Callable[..., Awaitable[Any]],
        now: Callable[[], float],
        waits: Callable[[], int] = waits_of_this_thread,
    ) -> None:
        self._thread = thread
        self._now = now
        self._waits = waits
        self._took: deque[float] = deque(maxlen=_LAST)
        self._left = 0

    async def do(self, work: Callable[..., T], *arguments: object) -> T:
        """Do it; raises what it raises."""
        if self._left:
            self._left -= 1
            found: T = await self._thread(work, *arguments)
            return found
        start, waits = self._now(), self._waits()
        try:
            return work(*arguments)
        finally:
            self._look(self._now() - start if self._waits() > waits else 0.0)

    def _look(self, took: float) -> None:
        """Take note of the seconds of a piece of work, 0 when it had nothing to wait for."""
        self._took.append(took)
        if len(self._took) == _LAST and min(self._took) > SLOW:
            self._left = _PROBE
            self._took.clear()
