"""Asking a source until it gives: again after waits that grow, slower when it wants that, and not for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kaas.loader.options import Patience
from kaas.loader.pace import Pace
from kaas.loader.source import Buffer, Entry, Source, Unreachable

T = TypeVar("T")


class Fetching:
    """Reads of one load. now: seconds that only grow."""

    def __init__(self, source: Source, patience: Patience, pace: Pace, now: Callable[[], float]) -> None:
        self._source = source
        self._patience = patience
        self._pace = pace
        self._now = now

    async def read(self, entry: Entry, start: int, length: int) -> Buffer:
        """So many bytes. SourceError when it is not to be had."""
        deadline = self._patience.deadline(length)

        async def once() -> Buffer:
            try:
                async with asyncio.timeout(deadline):
                    return await self._source.read(entry, start, length)
            except TimeoutError:
                raise Unreachable(f"{entry.key}: {length} bytes did not come within {deadline:.0f} s") from None

        data = await self.patiently(once)
        self._pace.done(length)
        return data

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What is asked for, tried as often as is allowed while the source is Unreachable."""
        for attempt in range(self._patience.tries - 1):
            try:
                return await ask()
            except Unreachable as error:
                self._pace.slow(self._now())
                await asyncio.sleep(self._wait(attempt, error.wait))
        return await ask()

    def _wait(self, attempt: int, asked: float) -> float:
        longest = min(self._patience.ceiling, self._patience.backoff * 2**attempt)
        return max(asked, random.uniform(longest / 2, longest))  # noqa: S311 - jitter
