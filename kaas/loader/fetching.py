"""Asking a source until it gives: again after waits that grow, slower when it wants that, and not for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kaas.loader.options import Patience
from kaas.loader.pace import Pace
from kaas.loader.rate import Rate
from kaas.loader.source import Buffer, Entry, Source, Unreachable

T = TypeVar("T")


class Watch:
    """Until when something may take. Whoever does it may move `deadline`, from any thread."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline


class Late(Exception):
    """It took too long."""


class Fetching:
    """Reads of one load. now: seconds that only grow. rate: of all that is asked for, None for no limit.

    `look` has to be called now and then: it ends reads that take too long. One look for all of them costs less than a
    timer for each.
    """

    def __init__(
        self, source: Source, patience: Patience, pace: Pace, now: Callable[[], float], rate: Rate | None = None
    ) -> None:
        self._source = source
        self._patience = patience
        self._pace = pace
        self._now = now
        self.rate = rate
        self._reads: dict[asyncio.Task[object], Watch] = {}
        self._late: set[asyncio.Task[object]] = set()

    async def read(self, entry: Entry, start: int, length: int, after: Unreachable | None = None) -> Buffer:
        """So many bytes. after: what another try of it has met already. SourceError when it is not to be had."""
        try:
            if after is not None:
                raise after
            data = await self._once(entry, start, length)
        except Unreachable as error:
            data = await self._again(lambda: self._once(entry, start, length), error)
        self.came(length)
        return data

    def came(self, length: int) -> None:
        """Count a read that brought so many bytes."""
        self._pace.done(length)

    async def _once(self, entry: Entry, start: int, length: int) -> Buffer:
        if self.rate:
            await self.rate.take(length)
        watch = Watch(self._now() + self._patience.deadline(length))
        try:
            return await self.watched(self._source.read(entry, start, length), watch)
        except Late:
            raise Unreachable(f"{entry.key}: {length} bytes did not come in time") from None

    async def watched(self, work: Awaitable[T], watch: Watch) -> T:
        """Wait for work of the current task; it is cancelled, and Late raised, when it takes too long."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is one of a task
        self._reads[task] = watch
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() == 0:
                raise Late from None
            raise
        finally:
            del self._reads[task]
            self._late.discard(task)

    def look(self) -> None:
        """End reads that have taken too long."""
        now = self._now()
        for task, watch in self._reads.items():
            if now > watch.deadline and task not in self._late:
                self._late.add(task)
                task.cancel()

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What is asked for, tried as often as is allowed while the source is Unreachable."""
        try:
            return await ask()
        except Unreachable as error:
            return await self._again(ask, error)

    async def _again(self, ask: Callable[[], Awaitable[T]], error: Unreachable) -> T:
        """Ask again after a first time."""
        for attempt in range(self._patience.tries - 1):
            self._pace.slow(self._now())
            await asyncio.sleep(self._wait(attempt, error.wait))
            try:
                return await ask()
            except Unreachable as again:
                error = again
        raise error

    def _wait(self, attempt: int, asked: float) -> float:
        longest = min(self._patience.ceiling, self._patience.backoff * 2**attempt)
        return max(asked, random.uniform(longest / 2, longest))  # noqa: S311 - jitter
