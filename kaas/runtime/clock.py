"""Time as something that is given: the system's, or a test's."""

from __future__ import annotations

import asyncio
import heapq
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where a program gets its time from."""

    def now(self) -> datetime:
        """Time of day, with zone UTC."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""

    async def sleep(self, seconds: float) -> None:
        """Return once `monotonic` has advanced by `seconds`."""


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """Time of day, with zone UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let others run for so long."""
        await asyncio.sleep(max(0.0, seconds))


class FakeClock:
    """A test's time: it stands still until `advance` is called."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        """Start plus what was advanced."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced by so much."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._count, waiter))
        await waiter

    def step(self, seconds: float) -> None:
        """Move time without letting anyone run."""
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            waiter = heapq.heappop(self._sleepers)[2]
            if not waiter.done():
                waiter.set_result(None)

    async def advance(self, seconds: float) -> None:
        """Move time, waking each sleeper at its own moment, and let everything that is ready run."""
        end = self._elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.step(self._sleepers[0][0] - self._elapsed)
            await settle()
        self.step(end - self._elapsed)
        await settle()


async def settle(rounds: int = 50) -> None:
    """Let every task run that can run without time passing or the outside answering."""
    for _ in range(rounds):
        await asyncio.sleep(0)
