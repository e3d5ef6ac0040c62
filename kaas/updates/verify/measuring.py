"""How API servers answer in these minutes, from looks at their counters one after another. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kaas.updates.verify.counters import Counters, Traffic, between

APART: Final = timedelta(seconds=10)
"""Two looks at a process that are nearer to each other tell nothing."""
WINDOW: Final = timedelta(seconds=60)
"""What is longer ago does not count any more: it was before the Cluster had settled."""
ENOUGH: Final = 100
"""Requests from which on a 99th percentile is one."""
_KEPT: Final = 16  # looks at one process


@dataclass(frozen=True, slots=True)
class Measured:
    """What was asked of the API servers lately. seconds: since the first look that counts.

    complete: whether that is all that there will be: enough requests, or a whole window.
    """

    traffic: Traffic
    seconds: float
    complete: bool


class Measuring:
    """Keeps looks at the counters of each process of one Cluster, those of the last minute."""

    def __init__(self) -> None:
        self._looks: dict[str, deque[tuple[datetime, Counters]]] = {}
        self._began: datetime | None = None

    def add(self, counters: Counters, at: datetime) -> None:
        """One more look. at: not before the last one."""
        self._began = self._began or at
        looks = self._looks.setdefault(counters.process, deque(maxlen=_KEPT))
        if looks and between(looks[-1][1], counters) is None:
            looks.clear()
        looks.append((at, counters))
        self._forget(at - WINDOW)

    def _forget(self, before: datetime) -> None:
        for process, looks in list(self._looks.items()):
            while looks and looks[0][0] < before:
                looks.popleft()
            if not looks:
                del self._looks[process]

    def measured(self) -> Measured | None:
        """What is known; None as long as no process was looked at twice."""
        found = Traffic()
        first: list[datetime] = []
        last: list[datetime] = []
        for looks in self._looks.values():
            (began, before), (ended, after) = looks[0], looks[-1]
            part = between(before, after) if ended - began >= APART else None
            if part is not None:
                found += part
                first.append(began)
                last.append(ended)
        if not first or self._began is None:
            return None
        complete = found.timed >= ENOUGH or max(last) - self._began >= WINDOW
        return Measured(found, (max(last) - min(first)).total_seconds(), complete)
