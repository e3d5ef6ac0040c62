"""What is to be fetched next: ranges of large files that are open, then the next object of the listing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from kaas.loader.large import Large
from kaas.loader.source import Entry

Work: TypeAlias = "Entry | tuple[Large, int]"
"""A whole object, or a large one and the number of a range."""


class Feed:
    """Work for many workers of one event loop.

    batch: the next entries of the listing that are not there, none at its end. large: of so many bytes, an entry is
    fetched in ranges. begin: opens one that is; None when there is nothing to be fetched of it.
    """

    def __init__(
        self,
        batch: Callable[[], Awaitable[list[Entry]]],
        large: int,
        begin: Callable[[Entry], Awaitable[Large | None]],
    ) -> None:
        self._batch = batch
        self._large = large
        self._begin = begin
        self._entries: deque[Entry] = deque()
        self._open: deque[Large] = deque()
        self._ended = False
        self._busy = 0
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether no more work is known of, and none is expected."""
        return self._ended and not self._entries and not self._open and not self._busy

    async def take(self) -> Work | None:
        """The next work; None when there is none any more."""
        while True:
            if found := self._range():
                return found
            if self._entries:
                entry = self._entries.popleft()
                if entry.size <= self._large:
                    return entry
                await self._opened(entry)
            elif not self._ended:
                await self._more()
            elif not self._busy:
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

    async def _opened(self, entry: Entry) -> None:
        self._busy += 1
        try:
            large = await self._begin(entry)
            if large is not None:
                self._open.append(large)
        finally:
            self._busy -= 1
            self._news.set()

    async def _more(self) -> None:
        async with self._turn:
            if self._entries or self._ended:
                return
            found = await self._batch()
            self._entries.extend(found)
            self._ended = not found
            self._news.set()

    def again(self, large: Large) -> None:
        """All ranges of a large file are to be fetched again."""
        self._open.append(large)
        self._news.set()
