"""How far a load is, and how fast. Pure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from kaas.loader.report import Phase, Progress

MEMORY: Final = 10.0
"""Seconds over which a rate is smoothed."""


@dataclass(slots=True)
class Meter:
    """Counts of one load.

    done and files: bytes and files that are there, those that were there already included; fetched and loaded: without
    these. written: whether one of them, or a range of one, is there. listed: objects that the listing has had so far.
    moved: when something last came, or other work went on; looked: when the rate was last measured, at first when the
    load began.
    """

    moved: float
    looked: float
    phase: Phase = Phase.LISTING
    bytes_total: int | None = None
    files_total: int | None = None
    listed: int = 0
    done: int = 0
    files: int = 0
    fetched: int = 0
    loaded: int = 0
    written: bool = False
    deleted: int = 0
    verified: Counter[str] = field(default_factory=Counter)
    _began: float = field(init=False)
    _seen: int = 0
    _rate: float = 0.0
    _weight: float = 0.0

    def __post_init__(self) -> None:
        self._began = self.looked

    def came(self, length: int, now: float) -> None:
        """So many bytes of a file have come."""
        self.fetched += length
        self.done += length
        self.moved = now

    def lost(self, length: int) -> None:
        """So many bytes that had come count no more: they were damaged, or of another version."""
        self.done -= length

    def there(self, length: int) -> None:
        """A file of so many bytes was there already."""
        self.done += length
        self.files += 1

    def compared(self, length: int, method: str) -> None:
        """A file of so many bytes was there already, as this method proves."""
        self.there(length)
        self.verified[method] += 1

    @property
    def skipped(self) -> int:
        """Files that were there before the load."""
        return max(0, self.files - self.loaded)

    def listed_anew(self) -> None:
        """All that is there is counted again."""
        self.phase, self.done, self.files, self.listed = Phase.LISTING, 0, 0, 0
        self.bytes_total = self.files_total = None

    def finished(self, method: str) -> None:
        """A file is there, compared by this method."""
        self.files += 1
        self.loaded += 1
        self.written = True
        self.verified[method] += 1

    def progress(self, now: float) -> Progress:
        """As it is reported. Called every few seconds: it moves the rate."""
        passed = now - self.looked
        if passed > 0:
            keep = math.exp(-passed / MEMORY)
            self._rate = self._rate * keep + (self.fetched - self._seen) / passed * (1 - keep)
            self._weight = self._weight * keep + (1 - keep)
            self._seen, self.looked = self.fetched, now
        rate = self._rate / self._weight if self._weight else 0.0
        left = None if self.bytes_total is None else max(0, self.bytes_total - self.done)
        remaining = left / rate if left is not None and rate >= 1 else None
        told = (self.bytes_total, self.files_total, round(rate, 1), _rounded(remaining), self.listed)
        still, elapsed = round(max(0.0, now - self.moved), 1), round(now - self._began, 1)
        return Progress(self.phase, self.done, self.files, *told, still=still, elapsed=elapsed)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
