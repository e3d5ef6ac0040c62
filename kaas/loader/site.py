"""What the parts of one load share."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from kaas.loader.crew import Crew
from kaas.loader.journal import Journal
from kaas.loader.meter import Meter
from kaas.loader.options import Limits, Options
from kaas.loader.source import Source
from kaas.loader.tree import Tree

T = TypeVar("T")
F = TypeVar("F", bound=int | None)


@dataclass(slots=True)
class Site:
    """One load. writers: threads for files; scribe: the ledger's thread; now: only grows; sleep: by the same clock."""

    source: Source
    tree: Tree
    journal: Journal
    options: Options
    limits: Limits
    meter: Meter
    writers: Executor
    scribe: Executor
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    crew: Crew

    def moved(self) -> None:
        """Something has come, or was looked at: the load is not silent. From any thread."""
        self.meter.moved = self.now()

    async def write(self, work: Callable[..., T], *arguments: object) -> T:
        """Have a thread for files work."""
        return await to_its_end(asyncio.get_running_loop().run_in_executor(self.writers, work, *arguments))

    async def open(self, work: Callable[[], F]) -> F:
        """Have a thread for files open one; when nobody waits for it any more, it is closed."""
        return await to_its_end(asyncio.get_running_loop().run_in_executor(self.writers, work), _closed)

    async def note(self, work: Callable[..., T], *arguments: object) -> T:
        """Have the ledger's thread work."""
        return await to_its_end(asyncio.get_running_loop().run_in_executor(self.scribe, work, *arguments))


async def to_its_end(work: asyncio.Future[T], unwanted: Callable[[T], None] | None = None) -> T:
    """Wait for a thread; one who is cancelled waits too, however often: what it works with is not closed under it.

    unwanted: takes what the thread has found when that is nobody's.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):  # once is enough
                await asyncio.wait({work})
        if not work.cancelled() and work.exception() is None and unwanted:  # an error: what cancelled counts more
            unwanted(work.result())
        raise


def _closed(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)
