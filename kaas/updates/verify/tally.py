"""How an API server has answered, counted. Pure: times are seconds of a clock that never goes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from kaas.api.update_status import Availability

ATTENTIVE: Final = 2.0
"""Seconds without a word to a tally from which on it is the one who asks that was away: that time does not count."""


class Tally:
    """Counts answers, and finds the longest time between two good ones. A few numbers, however long it lasts.

    since: when it began (UTC). at: the same by the clock that never goes back. before: what was counted before a
    restart: it is gone on from, and the time between does not count.
    """

    def __init__(self, since: datetime, at: float, before: Availability | None = None) -> None:
        self._start, self._start_at = since, at
        self._since = before.since if before else since
        self._probes = before.probes if before else 0
        self._failed = before.failed if before else 0
        self._longest = before.longest_gap_milliseconds / 1000 if before else 0.0
        self._longest_began = before.longest_gap_began if before else None
        self._good = self._attended = at

    def attend(self, at: float) -> None:
        """Say that the one who asks is here: now and then between answers."""
        if (away := at - self._attended) > ATTENTIVE:
            self._good += away
        self._attended = at

    def answered(self, good: bool, at: float) -> None:
        """An answer, or that there was none."""
        self.attend(at)
        self._probes += 1
        self._failed += 0 if good else 1
        self._measure(at)
        if good:
            self._good = at

    def blind(self, at: float) -> None:
        """It could not be asked, for a reason that is not its own: that time does not count."""
        self.attend(at)
        self._good = at

    def availability(self) -> Availability:
        """What was counted; a gap that lasts is in it up to the last answer."""
        return Availability(
            since=self._since,
            probes=self._probes,
            failed=self._failed,
            longest_gap_milliseconds=round(self._longest * 1000),
            longest_gap_began=self._longest_began,
        )

    def _measure(self, at: float) -> None:
        if (gap := at - self._good) > self._longest:
            self._longest = gap
            began = self._start + timedelta(seconds=self._good - self._start_at)
            self._longest_began = began.replace(microsecond=0)
