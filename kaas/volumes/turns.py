"""Which loads may begin when not all can run at once: namespaces in turn, in each the oldest claim first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from kaas.volumes.claim import Key


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many loads run at the same time: everywhere, and in one namespace."""

    at_once: int
    per_namespace: int


def admitted(waiting: Mapping[Key, datetime], running: Iterable[Key], bounds: Bounds) -> list[Key]:
    """Claims whose load may begin now, in the order in which they are to.

    waiting: when each claim was made. The namespace with the fewest loads comes first, so that nobody's five hundred
    claims keep another's one from being loaded. Nor do Jobs that look like loads, however many somebody makes: of a
    namespace no more are counted than may run in it.
    """
    busy = Counter(namespace for namespace, _ in running)
    free = bounds.at_once - sum(min(count, bounds.per_namespace) for count in busy.values())
    if free <= 0:
        return []
    queues: dict[str, list[Key]] = {}
    for key in sorted(waiting, key=lambda k: (waiting[k], k), reverse=True):
        queues.setdefault(key[0], []).append(key)
    found: list[Key] = []
    while len(found) < free:
        open_ones = [n for n, queue in queues.items() if queue and busy[n] < bounds.per_namespace]
        if not open_ones:
            break
        chosen = min(open_ones, key=lambda n: (busy[n], waiting[queues[n][-1]], n))
        found.append(queues[chosen].pop())
        busy[chosen] += 1
    return found


class Turns:
    """Claims that wait for their turn, and those whose Job is just being made. running: claims of Jobs that run."""

    def __init__(self, bounds: Bounds, running: Callable[[], Iterable[Key]]) -> None:
        self.bounds = bounds
        self._running = running
        self._waiting: dict[Key, datetime] = {}
        self._starting: set[Key] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def leave(self, key: Key) -> None:
        """A claim waits no more."""
        self._waiting.pop(key, None)

    def take(self, key: Key, created: datetime) -> bool:
        """Whether it is the claim's turn, which then has to be given back by `done`; else it waits."""
        self._waiting[key] = created
        if key not in self.next():
            return False
        del self._waiting[key]
        self._starting.add(key)
        return True

    def done(self, key: Key) -> None:
        """A claim's Job is made, or could not be."""
        self._starting.discard(key)

    def next(self) -> list[Key]:
        """Claims whose turn it is."""
        return admitted(self._waiting, set(self._running()) | self._starting, self.bounds) if self._waiting else []

    def ahead(self, key: Key) -> int:
        """How many claims have waited for longer."""
        since = self._waiting.get(key)
        return sum(other < since for other in self._waiting.values()) if since else 0
