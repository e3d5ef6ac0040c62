"""Which loads may begin when not all can run at once: namespaces in turn, in each the oldest claim first. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kaas.volumes.claim import Key

Entry = tuple[datetime, Key]
"""When a claim was made, and the claim."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many loads run at the same time: everywhere, and in one namespace.

    starting: how many are being begun at the same time. To begin one takes five requests, and who waits for the end of
    another is not to wait for those.
    """

    at_once: int
    per_namespace: int
    starting: int = 2


def admitted(waiting: Mapping[str, Sequence[Entry]], running: Iterable[Key], bounds: Bounds) -> list[Key]:
    """Claims whose load may begin now, in the order in which they are to.

    waiting: of each namespace, the oldest first. The namespace with the fewest loads comes first, so that nobody's five
    hundred claims keep another's one from being loaded. Nor do Jobs that look like loads, however many somebody makes:
    of a namespace no more are counted than may run in it.
    """
    busy = Counter(namespace for namespace, _ in running)
    free = bounds.at_once - sum(min(count, bounds.per_namespace) for count in busy.values())
    taken: Counter[str] = Counter()
    found: list[Key] = []
    while len(found) < free:
        open_ones = [n for n, line in waiting.items() if taken[n] < len(line) and busy[n] < bounds.per_namespace]
        if not open_ones:
            break
        chosen = min(open_ones, key=lambda n: (busy[n], waiting[n][taken[n]], n))
        found.append(waiting[chosen][taken[chosen]][1])
        taken[chosen] += 1
        busy[chosen] += 1
    return found


class Turns:
    """Claims that wait for their turn, and those whose Job is just being made. running: claims of Jobs that run."""

    def __init__(self, bounds: Bounds, running: Callable[[], Iterable[Key]]) -> None:
        self.bounds = bounds
        self._running = running
        self._since: dict[Key, datetime] = {}
        self._lines: dict[str, list[Entry]] = {}
        self._starting: set[Key] = set()
        self._held: dict[Key, datetime] = {}

    def __len__(self) -> int:
        return len(self._since)

    def leave(self, key: Key) -> None:
        """A claim waits no more."""
        since = self._since.pop(key, None)
        if since is None:
            return
        line = self._lines[key[0]]
        del line[bisect_left(line, (since, key))]
        if not line:
            del self._lines[key[0]]

    def take(self, key: Key, created: datetime) -> bool:
        """Whether it is the claim's turn, which then has to be given back by `done`; else it waits."""
        self.leave(key)
        since = self._since[key] = max(created, self._held.get(key, created))
        insort(self._lines.setdefault(key[0], []), (since, key))
        if key not in self.next():
            return False
        self.leave(key)
        self._starting.add(key)
        return True

    def done(self, key: Key) -> None:
        """A claim's Job is made, or could not be."""
        self._starting.discard(key)

    def held(self, key: Key, now: datetime) -> None:
        """It could not be for want of something: next time all that wait by now come first."""
        self._held[key] = now

    def forget(self, key: Key) -> None:
        """A claim is gone, or its Job is there."""
        self.leave(key)
        self._held.pop(key, None)

    def next(self) -> list[Key]:
        """Claims whose turn it is."""
        free = self.bounds.starting - len(self._starting)
        if not self._since or free <= 0:
            return []
        return admitted(self._lines, set(self._running()) | self._starting, self.bounds)[:free]

    def ahead(self, key: Key) -> int:
        """How many claims have waited for longer."""
        since = self._since.get(key)
        return sum(other < since for other in self._since.values()) if since else 0
