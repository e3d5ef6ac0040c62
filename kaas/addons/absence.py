"""Clusters that did not answer: asked again after a while, and few at once, so that others are not kept waiting."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final

SHORTEST, LONGEST = 30.0, 60.0
"""Seconds after which a Cluster that did not answer is asked again."""
MOST: Final = 4
"""Of these, how many are asked at once: fewer than there are workers."""
FULL: Final = 5.0
"""Seconds after which one that found no place comes again."""


class Absence:
    """What is known of Clusters that did not answer. Times are those of a clock that never goes back."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, Any, str]] = {}
        self._asked = 0

    def why(self, key: Hashable, signs: Any, now: float) -> str:
        """Why a Cluster is not asked now; empty when it is. signs: what is told of it; another one has it asked."""
        until, before, words = self._known.get(key, (now, signs, ""))
        if not words or before != signs:
            return ""
        if now < until:
            return words
        if self._asked < MOST:
            return ""
        self._known[key] = (now + FULL, before, words)
        return words

    @contextmanager
    def asking(self, key: Hashable) -> Iterator[None]:
        """While a Cluster is asked: it counts when it did not answer the last time."""
        counts = int(key in self._known)
        self._asked += counts
        try:
            yield
        finally:
            self._asked -= counts

    def lost(self, key: Hashable, signs: Any, words: str, now: float) -> None:
        """A Cluster did not answer."""
        pause = random.uniform(SHORTEST, LONGEST)  # noqa: S311 - spreads them, keeps no secret
        self._known[key] = (now + pause, signs, words)

    def until(self, key: Hashable, now: float) -> float:
        """When a Cluster is asked again."""
        return self._known[key][0] if key in self._known else now

    def forget(self, key: Hashable) -> None:
        """A Cluster answers, or is gone."""
        self._known.pop(key, None)
