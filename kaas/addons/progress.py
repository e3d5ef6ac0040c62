"""When an add-on came further with its version for the last time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from kaas.api.addon_status import InstalledAddOn

WRITTEN: Final = timedelta(seconds=30)
"""The least between two times that are written, as long as the state is the same."""


class Progress:
    """High-water marks, begun anew with every version: what comes and goes again is no progress.

    moved: when one of them rose last (UTC); None when none has been seen to.
    """

    def __init__(self) -> None:
        self.moved: datetime | None = None
        self._goal = ""
        self._calls = 0
        self._most_calls = 0
        self._works: int | None = None

    def aim(self, goal: str) -> None:
        """Count for a version, from nothing if it is another one."""
        if goal != self._goal:
            self._goal, self.moved = goal, None
            self._calls, self._most_calls, self._works = 0, 0, None

    def begun(self) -> None:
        """Its objects are applied from the first."""
        self._calls = 0

    def called(self, now: datetime) -> None:
        """Another call of those that have them there was made."""
        self._calls += 1
        if self._calls > self._most_calls:
            self._most_calls, self.moved = self._calls, now

    def works(self, count: int, now: datetime) -> None:
        """So much of it works. How much did before the first time is not known: that is no progress."""
        if self._works is not None and count > self._works:
            self.moved = now
        self._works = max(self._works or 0, count)


def said(before: InstalledAddOn | None, now: InstalledAddOn, moved: datetime | None) -> datetime | None:
    """What is said of when it came further. before: what was said. moved: when it did, None when that was not seen."""
    was = before.moved if before and _target(before) == _target(now) else None
    if was is None or moved is None:
        return was or moved
    news = before is None or before.state != now.state or moved - was >= WRITTEN
    return max(was, moved) if news else was


def _target(entry: InstalledAddOn) -> str | None:
    return entry.wanted or entry.version
