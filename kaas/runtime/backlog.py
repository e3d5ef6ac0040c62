"""Which key is worked on next: pure bookkeeping, told the time by its caller.

A key is never given out twice at once. What is added while it is worked on is given out again afterwards, once. The
earliest of several due times counts, and giving a key out forgets all of them: who works on it says anew when to look.
Urgent keys are given out before all others, those added while they are worked on too.
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
        self._urgent: dict[K, float] = {}  # the same
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []  # entries that `_due` no longer confirms are void
        self._order = 0
        self._working: set[K] = set()
        self._again: dict[K, bool] = {}  # whether it is urgent
        self._failures: dict[K, int] = {}

    def add(self, key: K, now: float, *, urgent: bool = False) -> None:
        """Have the key worked on as soon as possible."""
        if key in self._working:
            self._again[key] = urgent or self._again.get(key, False)
        elif urgent:
            self._urgent.setdefault(key, self._ready.pop(key, now))
        elif key not in self._urgent:
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
        """Give out the urgent key that has been ready for longest, else the other one; None when none is."""
        self._wake(now)
        line = self._urgent or self._ready
        if not line:
            return None
        key = next(iter(line))
        del line[key]
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
            self.add(key, now, urgent=self._again.pop(key))

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
        return len(self._urgent) + len(self._ready) + len(self._again)

    @property
    def working(self) -> int:
        """Keys in work."""
        return len(self._working)

    def oldest(self, now: float) -> float:
        """Seconds that the longest waiting ready key has waited; 0 when none is."""
        first = [next(iter(line.values())) for line in (self._urgent, self._ready) if line]
        return now - min(first) if first else 0.0
