"""Short work on files: in the event loop's own thread while that is quick, in others when it is not."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")
SLOW: Final = 0.0005
"""Seconds of a small file from which on a thread is worth its price: a local disk takes a fifth, NFS several times."""
_LAST: Final = 16
"""Of so many files the quickest one counts: a busy machine has slow ones on every disk."""
_PROBE: Final = 1000
"""Files in threads after which some are tried here again."""


class Inline:
    """Does work where it is done sooner. thread: has a thread do it; now: seconds that only grow."""

    def __init__(self, thread: Callable[..., Awaitable[Any]], now: Callable[[], float]) -> None:
        self._thread = thread
        self._now = now
        self._took: deque[float] = deque(maxlen=_LAST)
        self._left = 0

    async def do(self, work: Callable[..., T], *arguments: object) -> T:
        """Do it; raises what it raises."""
        if self._left:
            self._left -= 1
            found: T = await self._thread(work, *arguments)
            return found
        start = self._now()
        try:
            return work(*arguments)
        finally:
            self._look(self._now() - start)

    def _look(self, took: float) -> None:
        self._took.append(took)
        if len(self._took) == _LAST and min(self._took) > SLOW:
            self._left = _PROBE
            self._took.clear()
