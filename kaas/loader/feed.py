"""What is to be fetched next: ranges of large files that are open, then the next object of the listing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from kaas.loader.large import Large
from kaas.loader.source import Entry

Work: TypeAlias = "list[Entry] | tuple[Large, int]"
"""Small objects, one or more, or a large one and the number of a range."""
MOST: Final = 32
"""Small objects that are given away together; of no more bytes than a range has."""
AHEAD: Final = 1000
"""Entries below which more are fetched."""


class Feed:
    """Work for many workers of one event loop.

    batch: the next entries of the listing that are not there, none at its end. large: an entry of more bytes is fetched
    in ranges. begin: opens one that is; None when there is nothing to be fetched of it. crowd: how many workers there
    are.
    """

    def __init__(
        self,
        batch: Callable[[], Awaitable[list[Entry]]],
        large: int,
        begin: Callable[[Entry], Awaitable[Large | None]],
        crowd: Callable[[], int],
    ) -> None:
        self._batch = batch
        self._large = large
        self._begin = begin
        self._crowd = crowd
        self._entries: deque[Entry] = deque()
        self._open: deque[Large] = deque()
        self._ended = False
        self._busy = 0
        self._ahead: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether no more work is known of, and none is expected."""
        return self._ended and not self._entries and not self._open and not self._busy

    async def take(self) -> Work | None:
        """The next work; None when there is none any more."""
        while True:
            self._look_ahead()
            if found := self._range():
                return found
            if found_small := self._small():
                return found_small
            if self._entries:
                await self._opened(self._entries.popleft())
            elif self._ahead is None and not self._busy:
                return None
            else:
                self._news.clear()
                await self._news.wait()

    def _range(self) -> tuple[Large, int] | None:
        while self._open:
            large = self._open[0]
            number = None if large.gone else large.take()
            if number is not None:
                large.users += 1
                return large, number
            self._open.popleft()
        return None

    def _small(self) -> list[Entry]:
        """Small objects from the front, fewer when little is left: nobody is to wait for one who has many."""
        found: list[Entry] = []
        count, room = min(MOST, len(self._entries) // (2 * self._crowd()) + 1), self._large
        while self._entries and len(found) < count and self._entries[0].size <= room:
            found.append(self._entries.popleft())
            room -= found[-1].size
        return found

    async def _opened(self, entry: Entry) -> None:
        self._busy += 1
        try:
            large = await self._begin(entry)
            if large is not None:
                self._open.append(large)
        finally:
            self._busy -= 1
            self._news.set()

    def _look_ahead(self) -> None:
        """Have more of the listing fetched before what is there is given away."""
        if self._ahead is not None and self._ahead.done():
            self._ahead.result()  # who asks after one that failed hears of it too
            self._ahead = None
        if self._ahead is None and not self._ended and len(self._entries) < AHEAD:
            self._ahead = asyncio.ensure_future(self._more())

    async def _more(self) -> None:
        try:
            found = await self._batch()
            self._entries.extend(found)
            self._ended = not found
        finally:
            self._news.set()

    async def close(self) -> None:
        """Fetch no more of the listing."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)

    def again(self, large: Large) -> None:
        """All ranges of a large file are to be fetched again."""
        self._open.append(large)
        self._news.set()
