"""What is remembered of one machine from look to look: what its objects do not tell. In memory only.

After a restart of the controller the clocks of what carries no time of its own begin anew: late, never early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from kaas.repairs.facts import Finding

FLAPPING_LAPSES: Final = 4
"""So often lost within `FLAPPING_WINDOW`, a node flaps: it is never away for as long as a single lapse is tolerated."""
FLAPPING_WINDOW: Final = timedelta(hours=1)
MERGED: Final = timedelta(minutes=2)
"""What is lost twice within so long is lost once: a kubelet that restarts takes the GPUs with it, by another way."""
CALM: Final = timedelta(minutes=30)
"""A node that flaps does so until it was not lost for so long."""
MOST_LAPSES: Final = 16
DAY: Final = timedelta(days=1)

NOTHING: Final[Mapping[str, datetime]] = MappingProxyType({})
NO_XIDS: Final[Mapping[int, tuple[datetime, datetime]]] = MappingProxyType({})


@dataclass(slots=True)
class Trace:
    """Changed by `evaluate` alone; one object a machine, for as long as it is looked at.

    first_seen: by signal, for what is wrong now. lapses: when the node was lost lately, oldest first: Ready went away,
    or GPUs did. ready, ready_since: its Ready condition at the last look, None before the first.
    flapping: since when it flaps. well_since: since when nothing is wrong, None while something is.
    lost: since when Ready is not True, None while it is. xids: those of the last day, first and last time of each.
    """

    first_seen: Mapping[str, datetime] = field(default_factory=lambda: NOTHING)
    lapses: tuple[datetime, ...] = ()
    ready: bool | None = None
    ready_since: datetime | None = None
    lost: datetime | None = None
    flapping: datetime | None = None
    well_since: datetime | None = None
    xids: Mapping[int, tuple[datetime, datetime]] = field(default_factory=lambda: NO_XIDS)

    def follow(self, ready: bool, since: datetime, now: datetime, *, excused: bool) -> None:
        """The Ready condition at this look. since: its last transition. excused: a repair has the node down itself."""
        before, self.ready = self.ready, ready
        changed, self.ready_since = self.ready_since != since, since
        self.lost = None if ready else since if self.lost is None else self.lost
        if before is None or not changed or excused:
            return
        # Ready again with a new time: it was lost in between. Not Ready before and now: the same lapse, seen again.
        if before:
            self.lapse(since, now)

    def lapse(self, at: datetime, now: datetime) -> None:
        """The node was lost at that time."""
        if self.lapses and at - self.lapses[-1] < MERGED:
            return
        recent = [t for t in self.lapses if now - t < FLAPPING_WINDOW]
        self.lapses = (*recent, at)[-MOST_LAPSES:]
        if self.flapping is None and len(self.lapses) >= FLAPPING_LAPSES:
            self.flapping = at

    def calm_down(self, now: datetime) -> None:
        """Ends flapping after a calm time, and forgets lapses that count no more."""
        if not self.ready or not self.lapses or now - self.lapses[-1] < CALM:
            return
        self.flapping = None
        if now - self.lapses[-1] >= FLAPPING_WINDOW:
            self.lapses = ()

    def forgive(self, before: datetime) -> None:
        """Lapses until then do not count: a repair has taken the node down since."""
        self.lapses = tuple(t for t in self.lapses if t > before)
        if self.flapping is not None and self.flapping <= before:
            self.flapping = None

    def since(self, signal: str, now: datetime) -> datetime:
        """Since when a signal is seen that carries no time of its own."""
        return self.first_seen.get(signal, now)

    def remember(self, findings: Iterable[Finding], now: datetime) -> None:
        """What was found at this look."""
        self.first_seen = {f.signal: self.first_seen.get(f.signal, now) for f in findings} or NOTHING
        if self.first_seen:
            self.well_since = None
        elif self.well_since is None:
            self.well_since = now

    def remember_xids(self, xids: Iterable[int], now: datetime) -> None:
        """XIDs that are seen now; those of which nothing was seen for a day are forgotten."""
        kept = {number: times for number, times in self.xids.items() if now - times[1] < DAY}
        self.xids = kept | {number: (kept.get(number, (now, now))[0], now) for number in xids}
