"""The work queue: N reconciles at once, one a key, errors repeated with growing pauses, nothing sleeping inside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from kaas.runtime.backlog import Backlog, Backoff
from kaas.runtime.clock import Clock, SystemClock
from kaas.runtime.turns import Turns

K = TypeVar("K", bound=Hashable)
log = logging.getLogger(__name__)

Reconcile = Callable[[K], Awaitable[float | None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One reconcile that ended: how long it took, and the class of its exception, None when it went well."""

    key: Hashable
    seconds: float
    error: str | None = None


class Queue(Generic[K]):
    """Calls `reconcile(key)` for added keys; it returns the seconds to the next call, None means on the next event.

    An exception repeats the key after a pause that doubles from 1 second to 5 minutes. `add`, `hurry` and `add_after`
    belong to the event loop's thread and may be called before `run`. turns: shared with the other queues of the loop.
    """

    def __init__(
        self,
        reconcile: Reconcile[K],
        *,
        workers: int = 8,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        turns: Turns | None = None,
        observe: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._reconcile = reconcile
        self._workers = workers
        self._clock = clock or SystemClock()
        self._backlog: Backlog[K] = Backlog(backoff)
        self._turns = turns or Turns()
        self._observe = observe
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, key: K) -> None:
        """Have the key reconciled as soon as a worker is free."""
        self._backlog.add(key, self._clock.monotonic())
        self._wake.set()

    def hurry(self, key: K) -> None:
        """The same, before all keys that are not urgent."""
        self._backlog.add(key, self._clock.monotonic(), urgent=True)
        self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key reconciled in so many seconds at the latest."""
        self._backlog.add_after(key, seconds, self._clock.monotonic())
        self._wake.set()

    @property
    def depth(self) -> int:
        """Keys that wait for a worker."""
        return self._backlog.depth

    @property
    def working(self) -> int:
        """Reconciles that run."""
        return self._backlog.working

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing is ready; keys that are due later do not count."""
        return not self._backlog.depth and not self._backlog.working

    def oldest(self) -> float:
        """Seconds that the key waiting for longest has waited for a worker."""
        return self._backlog.oldest(self._clock.monotonic())

    async def run(self) -> None:
        """Work until `stop`, or until cancelled, which cancels the running reconciles too."""
        try:
            while not self._stopping:
                self._wake.clear()
                self._start_what_is_ready()
                await self._rest()
            await self._all_ended()
        finally:
            await self._cancel()

    async def stop(self, patience: float = 5.0) -> None:
        """Start nothing more; return when what runs has ended, or was cancelled after `patience` seconds."""
        self._stopping = True
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._all_ended()
        await self._cancel()

    def _start_what_is_ready(self) -> None:
        while len(self._tasks) < self._workers and (key := self._backlog.take(self._clock.monotonic())) is not None:
            task = asyncio.create_task(self._work(key), name=f"reconcile {key}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()

    async def _rest(self) -> None:
        """Sleep until something was added or ended, or the next key is due."""
        due = self._backlog.next_due()
        if due is None or len(self._tasks) >= self._workers:
            await self._wake.wait()
            return
        alarm = asyncio.create_task(self._ring_at(due))
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()

    async def _ring_at(self, due: float) -> None:
        await self._clock.sleep(due - self._clock.monotonic())
        self._wake.set()

    async def _work(self, key: K) -> None:
        start = self._clock.monotonic()
        try:
            await self._turns.take()
            start = self._clock.monotonic()
            again = await self._reconcile(key)
        except Exception as failure:
            self._fail(key, failure, start)
        except asyncio.CancelledError:
            self._backlog.failed(key, self._clock.monotonic())
            raise
        else:
            now = self._clock.monotonic()
            self._backlog.done(key, now, again)
            self._observe(Outcome(key, now - start))

    def _fail(self, key: K, failure: Exception, start: float) -> None:
        now = self._clock.monotonic()
        pause = self._backlog.failed(key, now)
        error = type(failure).__name__
        log.warning("reconcile of %s failed, again in %.0f s: %s: %s", key, pause, error, failure, exc_info=failure)
        self._observe(Outcome(key, now - start, error))

    async def _all_ended(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
