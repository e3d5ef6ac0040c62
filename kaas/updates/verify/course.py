"""How far the look after one step of one Cluster has come: kept in memory, and begun anew after a start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from kaas.kube.errors import KubeError
from kaas.updates.run import ClusterKey
from kaas.updates.verify.facts import Facts, Outcome
from kaas.updates.verify.measuring import Measuring

log = logging.getLogger(__name__)

EVERY: Final = timedelta(seconds=5)
"""The least time from one look to the next, however often it is asked for."""
LOOK: Final = 40.0
"""Seconds that a look may take in all."""
CLUSTER: Final = "ClusterReachable"
"""Name under which it is told that a Cluster cannot be looked at."""


@dataclass(slots=True)
class Course:
    """Looks at one Cluster after one step.

    run: which step of which update. since: when its machines were through. first: when it was looked at first.
    seen: when a look last succeeded. metered: whether its API servers have metrics. held: what was found once all held
    but for Jobs, which are not looked at before.
    """

    key: ClusterKey
    run: str
    since: datetime
    first: datetime
    seen: datetime | None = None
    began: datetime | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    held: list[Outcome] | None = None
    facts: Facts | None = None
    measuring: Measuring = field(default_factory=Measuring)
    metered: bool = True
    task: asyncio.Task[None] | None = None

    async def look(self, examine: Callable[[], Awaitable[list[Outcome]]], now: datetime, patience: float) -> None:
        """Begin a look if it is time, and wait for it, but no longer than `patience`: it goes on by itself."""
        if self.task is None and (self.began is None or now - self.began >= EVERY):
            self.began = now
            self.task = asyncio.create_task(self._examined(examine, now), name=f"look at {'/'.join(self.key)}")
        if self.task is not None:
            await asyncio.wait({self.task}, timeout=patience)
            self.task = None if self.task.done() else self.task
        if not self.outcomes:
            self._unseen("it has not answered yet")

    async def _examined(self, examine: Callable[[], Awaitable[list[Outcome]]], now: datetime) -> None:
        try:
            async with asyncio.timeout(LOOK):
                self.outcomes = await examine()
            self.seen = now
        except TimeoutError:
            self._unseen(f"no answer in {LOOK:g} s")
        except KubeError as failure:
            self._unseen(str(failure))
        except Exception as failure:
            log.exception("cannot look at %s", "/".join(self.key))
            self._unseen(f"what it says cannot be read: {type(failure).__name__}: {failure}")

    def _unseen(self, why: str) -> None:
        self.outcomes = [Outcome(CLUSTER, False, f"the Cluster cannot be looked at: {why}")]

    def end(self) -> None:
        """Look no longer."""
        if self.task is not None:
            self.task.cancel()
