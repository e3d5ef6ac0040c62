"""Virtual time, and what is to happen in it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Entry = tuple[Any, str]
"""Whom it is about, and what is to be done."""


@dataclass
class Agenda:
    """What is to be done and when; of two times for the same the earlier one counts."""

    _queue: list[tuple[datetime, float, int, Entry]] = field(default_factory=list)
    _due: dict[Entry, datetime] = field(default_factory=dict)
    _count: int = 0

    def put(self, time: datetime, chance: float, entry: Entry) -> None:
        """Add something. chance: of what is due at the same time, that with less of it comes first."""
        known = self._due.get(entry)
        if known is not None and known <= time:
            return
        self._due[entry] = time
        self._count += 1
        heapq.heappush(self._queue, (time, chance, self._count, entry))

    def before(self, until: datetime) -> Iterator[tuple[datetime, Entry]]:
        """All that is due before a time, in order, with what is added meanwhile."""
        while self._queue and self._queue[0][0] < until:
            time, _, _, entry = heapq.heappop(self._queue)
            if self._due.get(entry) == time:
                del self._due[entry]
                yield time, entry
