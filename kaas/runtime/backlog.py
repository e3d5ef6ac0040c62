"""Which key is worked on next: pure bookkeeping, told the time by its caller.

A key is never given out twice at once. What is added while it is worked on is given out again afterwards, once. The
earliest of several due times counts, and giving a key out forgets all of them: who works on it says anew when to look.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
_NO_LIMIT = 40  # 2**40 seconds are more than any limit


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds to wait after failures in a row: doubled each time, up to the longest, give or take a share of jitter."""

    first: float = 1.0
    longest: float = 300.0
    jitter: float = 0.2

    def delay(self, failures: int, chance: float) -> float:
        """Wait after so many failures (from 1); `chance` is a random number between 0 and 1."""
        plain = min(self.first * 2.0 ** min(failures - 1, _NO_LIMIT), self.longest)
        return plain * (1 + self.jitter * (2 * chance - 1))


class Backlog(Generic[K]):
    """Keys that wait, are due, or are worked on. Times are seconds of one monotonic clock."""

    def __init__(self, backoff: Backoff | None = None, chance: Callable[[], float] = random.random) -> None:
        self._backoff = backoff or Backoff()
        self._chance = chance
        self._ready: dict[K, float] = {}  # since when; the oldest first
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []  # entries that `_due` no longer confirms are void
        self._order = 0
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}

    def add(self, key: K, now: float) -> None:
        """Have the key worked on as soon as possible."""
        if key in self._working:
            self._again.add(key)
        else:
            self._ready.setdefault(key, now)

    def add_after(self, key: K, seconds: float, now: float) -> None:
        """Have the key worked on in so many seconds at the latest."""
        due = now + max(0.0, seconds)
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, key))

    def take(self, now: float) -> K | None:
        """Give out the key that has been ready for longest; None when none is."""
        self._wake(now)
        if not self._ready:
            return None
        key = next(iter(self._ready))
        del self._ready[key]
        self._due.pop(key, None)
        self._working.add(key)
        return key

    def _wake(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key, due)

    def done(self, key: K, now: float, requeue_after: float | None = None) -> None:
        """Work on the key ended well; look again in so many seconds, or on the next event when None."""
        self._failures.pop(key, None)
        self._finish(key, now)
        if requeue_after is not None:
            self.add_after(key, requeue_after, now)

    def failed(self, key: K, now: float) -> float:
        """Work on the key failed: it comes again after the returned seconds, or at once when it was added meanwhile."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = self._backoff.delay(self._failures[key], self._chance())
        self._finish(key, now)
        self.add_after(key, delay, now)
        return delay

    def _finish(self, key: K, now: float) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key, now)

    def failures(self, key: K) -> int:
        """Failures in a row, 0 after a success."""
        return self._failures.get(key, 0)

    def next_due(self) -> float | None:
        """When the next waiting key becomes ready; None when none waits."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def depth(self) -> int:
        """Keys that are ready and not yet worked on, those added while in work included."""
        return len(self._ready) + len(self._again)

    @property
    def working(self) -> int:
        """Keys in work."""
        return len(self._working)

    def oldest(self, now: float) -> float:
        """Seconds that the longest waiting ready key has waited; 0 when none is."""
        return now - next(iter(self._ready.values())) if self._ready else 0.0
