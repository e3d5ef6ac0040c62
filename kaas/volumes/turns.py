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

    @property
    def firsts(self) -> int:
        """How many may be begun beside `at_once`, each by a namespace that has none."""
        return max(1, self.at_once // 2)


def admitted(
    waiting: Mapping[str, Sequence[Entry]], running: Iterable[Key], bounds: Bounds, resting: Iterable[Key] = ()
) -> list[Key]:
    """Claims whose load may begin now, in the order in which they are to.

    waiting: of each namespace, the oldest first. running: of Jobs that have not ended; resting: of these, the ones none
    of whose Pods runs.

    The namespace with the fewest loads comes first, so that nobody's five hundred claims keep another's one from being
    loaded. Nor do Jobs that look like loads, however many somebody makes: of a namespace no more are counted than may
    run in it. Nor do loads that take all turns for days: a namespace that has none may begin one beside them. Jobs that
    rest have a turn of their namespace only, but no more of them than may run at once: all of them might begin to.
    """
    busy = Counter(namespace for namespace, _ in running)
    taken = _taken(busy, Counter(namespace for namespace, _ in resting), bounds)
    begun: Counter[str] = Counter()
    found: list[Key] = []
    while True:
        open_ones = [n for n, line in waiting.items() if begun[n] < len(line) and busy[n] < bounds.per_namespace]
        chosen = min(open_ones, key=lambda n: (busy[n], waiting[n][begun[n]], n), default=None)
        if chosen is None or taken >= bounds.at_once + (0 if busy[chosen] else bounds.firsts):
            return found
        found.append(waiting[chosen][begun[chosen]][1])
        begun[chosen] += 1
        busy[chosen] += 1
        taken += 1


def _taken(busy: Mapping[str, int], resting: Mapping[str, int], bounds: Bounds) -> int:
    """How many turns are taken."""
    counted = sum(min(count, bounds.per_namespace) for count in busy.values())
    active = sum(min(count - resting.get(n, 0), bounds.per_namespace) for n, count in busy.items())
    return active + max(0, counted - active - bounds.at_once)


class Turns:
    """Claims that wait for their turn, and those whose Job is just being made.

    running: claims of Jobs that have not ended; resting: of these the ones none of whose Pods runs.
    """

    def __init__(
        self,
        bounds: Bounds,
        running: Callable[[], Iterable[Key]],
        resting: Callable[[], Iterable[Key]] = tuple,
    ) -> None:
        self.bounds = bounds
        self._running, self._resting = running, resting
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
        running = set(self._running()) | self._starting
        found = admitted(self._lines, running, self.bounds)
        if len(found) < free:  # only then it matters who rests, which is long to find out
            found = admitted(self._lines, running, self.bounds, running.intersection(self._resting()) - self._starting)
        return found[:free]

    def ahead(self, key: Key) -> int:
        """How many claims have waited for longer."""
        since = self._since.get(key)
        return sum(other < since for other in self._since.values()) if since else 0
