"""When a Cluster may be changed by itself: maintenance windows without what is left out of them. Pure, without a clock.

A window begins at a local time. One that the clocks skip begins at the moment after the gap, one that comes twice at
the first; from there on minutes are counted as they pass. Times that come out are in UTC.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import islice
from operator import attrgetter
from typing import Final
from zoneinfo import ZoneInfo

from kaas.api.cluster import Cluster, NodePool
from kaas.api.maintenance import MAX_MINUTES, WEEKDAYS, Exclusion, Maintenance, Window, zone
from kaas.api.patience import BOX_STARTUP, startup
from kaas.api.site import Site
from kaas.updates.facts import Change, Opening
from kaas.updates.recurrence import BadRecurrence, Recurrence

DEFAULT_MINUTES: Final = 240
"""Length of the weekly window of a Cluster for which nobody has set one."""
NODE_RETURN: Final = timedelta(minutes=15)
"""What a server needs at least beside its drain: it is made, boots, joins, and is Ready."""
BOX_RETURN: Final = timedelta(minutes=20)
"""The same of a whole computer: it boots twice, to be written and then by itself, ten minutes each (a DGX)."""
HORIZON: Final = timedelta(days=400)
"""How far ahead is looked: a window that opens once a year is found."""
SOME_YEAR: Final = 2025
"""Where windows that say no year are looked at for what they are in general."""
_CYCLE: Final = 28
"""In so many years every date, the leap day too, falls on every day of the week."""
_SECOND: Final = timedelta(seconds=1)
_TWO_WEEKS: Final = timedelta(days=14)
_ANY: Final = Change.PATCH  # where nothing is left out, all changes have the same openings
_OWN_DRAIN: Final = "update.drainTimeoutSeconds"
_SCOPES: Final = {
    Change.PATCH: frozenset({"All", "Nodes"}),
    Change.MINOR: frozenset({"All", "Nodes", "Minor"}),
    Change.IMAGE: frozenset({"All", "Nodes"}),
    Change.CLASS_REVISION: frozenset({"All", "Nodes"}),
    Change.CERTIFICATES: frozenset({"All", "Nodes"}),
    Change.ADD_ONS: frozenset({"All"}),
}
"""Which exclusions keep a change out. Add-ons replace no nodes, certificates those of the control plane."""

Openings = tuple[Opening, ...]


@lru_cache(maxsize=4096)
def default_window(uid: str) -> Window:
    """The weekly window of a Cluster for which nobody has set one: always the same, and spread over the week."""
    day, hour = divmod(int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) % (7 * 24), 24)
    return Window(
        recurrence=f"FREQ=WEEKLY;BYDAY={WEEKDAYS[day]}",
        start=f"{hour:02}:00",
        duration_minutes=DEFAULT_MINUTES,
        time_zone="UTC",
    )


@lru_cache(maxsize=2048)
def fault(window: Window) -> str:
    """Why a window cannot be used, for the API server cannot look everything up; empty when it can."""
    if zone(window.time_zone) is None:
        return f"timeZone {window.time_zone!r} is not in the IANA database: write one as Asia/Tokyo"
    try:
        recurrence = Recurrence.parse(window.recurrence)
    except BadRecurrence as error:
        return str(error)
    first = window.from_.year if window.from_ else SOME_YEAR
    if any(recurrence.days(year, window.from_) for year in range(first, first + _CYCLE)):
        return ""
    return (
        f"recurrence {window.recurrence!r} has no day in the {_CYCLE} years from {first}: "
        "correct BYDAY, BYMONTHDAY, BYMONTH or BYSETPOS, which must hold together"
    )


@lru_cache(maxsize=1024)
def _recurrence(text: str) -> Recurrence:
    return Recurrence.parse(text)


def to_utc(local: datetime, where: ZoneInfo) -> datetime:
    """The moment of a local time: after the gap when the clocks skip it, the first when it comes twice."""
    if where.key == "UTC":
        return local.replace(tzinfo=UTC)
    early, late = local.replace(tzinfo=where), local.replace(tzinfo=where, fold=1)
    moment = early.astimezone(UTC)
    if early.utcoffset() == late.utcoffset() or moment.astimezone(where).replace(tzinfo=None) == local:
        return moment
    return _change_between(late.astimezone(UTC), moment, where)


def _change_between(before: datetime, after: datetime, where: ZoneInfo) -> datetime:
    """The moment, to the second, at which the offset changes: later than `before`, at the latest `after`."""
    old = before.astimezone(where).utcoffset()
    while after - before > _SECOND:
        middle = before + ((after - before) // 2 // _SECOND) * _SECOND
        if middle.astimezone(where).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


@lru_cache(maxsize=2048)
def _of_year(window: Window, year: int) -> Openings:
    """Openings that begin in a year of the window's own time zone, in order."""
    return _begun(window, year, date.min, date.max)


def _begun(window: Window, year: int, first: date, last: date) -> Openings:
    """Those of a year that begin from one day there to another."""
    if (where := zone(window.time_zone)) is None or fault(window):
        return ()
    clock, length = time.fromisoformat(window.start), timedelta(minutes=window.duration_minutes)
    days = _recurrence(window.recurrence).days(year, window.from_)
    starts = (to_utc(datetime.combine(day, clock), where) for day in days if first <= day <= last)
    return tuple(Opening(start, start + length) for start in starts)


def merged(openings: Iterable[Opening]) -> Openings:
    """In order, those that touch or overlap as one."""
    found: list[Opening] = []
    for opening in sorted(openings, key=attrgetter("start", "end")):
        if found and opening.start <= found[-1].end:
            if opening.end > found[-1].end:
                found[-1] = Opening(found[-1].start, opening.end)
        else:
            found.append(opening)
    return tuple(found)


@lru_cache(maxsize=1024)
def _three_years(windows: tuple[Window, ...], year: int) -> Openings:
    """Openings of a year, the one before and the one after it."""
    years = (year - 1, year, year + 1)
    return merged(opening for window in windows for each in years for opening in _of_year(window, each))


@lru_cache(maxsize=1024)
def _around(windows: tuple[Window, ...], year: int) -> Openings:
    """Openings of a year, with all of those before and after it that reach into it, as far as the years beside it."""
    before, after = date(year - 1, 12, 1), date(year + 1, 1, 31)
    found = merged(
        opening
        for window in windows
        for part in (
            _begun(window, year - 1, before, date.max),
            _of_year(window, year),
            _begun(window, year + 1, date.min, after),
        )
        for opening in part
    )
    # A window is open for a week at most: one that touches what lies within these two weeks has been looked at.
    begin, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    long = any(
        (o.start < begin - _TWO_WEEKS and o.end >= begin) or (o.start <= end and o.end > end + _TWO_WEEKS)
        for o in found
    )
    return _three_years(windows, year) if long else found


def _without(openings: Openings, times: Openings) -> Openings:
    """What is left of openings outside some times; both in order, and apart among themselves."""
    found: list[Opening] = []
    for opening in openings:
        start = opening.start
        for gone in times[max(bisect_right(times, start, key=attrgetter("start")) - 1, 0) :]:
            if gone.start >= opening.end:
                break
            if gone.start > start:
                found.append(Opening(start, gone.start))
            start = max(start, gone.end)
        if start == opening.start:
            found.append(opening)
        elif start < opening.end:
            found.append(Opening(start, opening.end))
    return tuple(found)


class Calendar:
    """When one Cluster may be changed.

    layers: what Cluster, Namespace and Site say, nearest first. The windows of the first that has any count, and the
    exclusions of all. uid: of the Cluster, for the window that it has when nobody has set one.

    readable: False when one of them cannot be read: nobody knows then what it leaves out, and nothing ever opens.

    A window that cannot be read never opens: `faults` says why. What is open without a break for more than a year
    begins, and may end, at the turn of a year as far as this calendar tells.
    """

    def __init__(self, layers: Sequence[Maintenance], uid: str, *, readable: bool = True) -> None:
        set_windows = next((layer.windows for layer in layers if layer.windows), ())
        self.is_default = not set_windows
        """Whether nobody has set a window."""
        self.windows: tuple[Window, ...] = (set_windows or (default_window(uid),)) if readable else ()
        """The windows that count."""
        self.exclusions: tuple[Exclusion, ...] = tuple(e for layer in layers for e in layer.exclusions)
        """Times that are left out."""
        self._closed = {change: merged(map(_as_opening, self._against(change))) for change in Change}
        self._known: dict[tuple[Change, int], Openings] = {}
        self._first: dict[Change, tuple[datetime, timedelta, Opening]] = {}

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with windows that cannot be read, and so never open; empty when all is well."""
        return tuple(filter(None, map(fault, self.windows)))

    def openings(self, change: Change, since: datetime, until: datetime) -> Iterator[Opening]:
        """Openings that are open at some time from `since` (inclusive) to `until`, in order, with their real ends."""
        first = since.astimezone(UTC).year
        for year in range(first, until.astimezone(UTC).year + 1):
            found = self._around(change, year)
            for opening in islice(found, bisect_right(found, since, key=attrgetter("end")), None):
                begun = opening.start.year
                if opening.start >= until or begun > year:
                    break
                if year in (begun, first):
                    yield self._to_its_end(change, opening, until) if opening.end.year > year else opening

    def first(self, change: Change, since: datetime, least: timedelta) -> Opening | None:
        """The first opening with more than `least` left of it, at `since` or when it begins; None when none is near.

        Who plans asks for the same one again and again: it is the answer until too little of it is left.
        """
        if (known := self._first.get(change)) is not None:
            asked, left, found = known
            if asked <= since and since + least < found.end and left == least:
                return found
        opening = next(
            (o for o in self.openings(change, since, since + HORIZON) if max(o.start, since) + least < o.end), None
        )
        # Of one that ends in the year that is asked, the end is known also where another year is asked.
        if opening is not None and opening.end.year == since.astimezone(UTC).year:
            self._first[change] = since, least, opening
        return opening

    def _to_its_end(self, change: Change, opening: Opening, until: datetime) -> Opening:
        """The opening with its real end, or one that is later than `until`: what a year knows ends with the next."""
        end = opening.end
        while end < until and (later := self.open_at(change, end - _SECOND)) and later.end > end:
            end = later.end
        return opening if end == opening.end else Opening(opening.start, end)

    def open_at(self, change: Change, now: datetime) -> Opening | None:
        """The opening that is open now; None when none is."""
        found = self._around(change, now.astimezone(UTC).year)
        index = bisect_right(found, now, key=attrgetter("start")) - 1
        return found[index] if index >= 0 and now < found[index].end else None

    def next(self, change: Change, now: datetime, horizon: timedelta = HORIZON) -> Opening | None:
        """The first opening that begins after now; None when there is none so far ahead."""
        return next((o for o in self.openings(change, now, now + horizon) if o.start > now), None)

    def excluded_by(self, change: Change, now: datetime) -> Exclusion | None:
        """The exclusion that keeps a change out now; of several, the one that ends last."""
        found = (e for e in self._against(change) if e.from_ <= now < e.until)
        return max(found, key=attrgetter("until"), default=None)

    def taken_by(self, change: Change, since: datetime, until: datetime, least: timedelta) -> Exclusion | None:
        """The exclusion without which a change could be begun earlier than `until`; None when there is none.

        since: nothing is begun before. least: with no more left of an opening nothing is begun. Of several, the one at
        the beginning of the first opening that would be there without any counts.
        """
        closed = self._closed[change]
        if not closed or not any(times.start < until and since < times.end for times in closed):
            return None
        for opening in self._without_exclusions.openings(_ANY, since, until):
            start = max(opening.start, since)
            if start + least < opening.end:
                into = (e for e in self._against(change) if start < e.from_ < opening.end)
                return self.excluded_by(change, start) or min(into, key=attrgetter("from_"), default=None)
        return None

    @cached_property
    def _without_exclusions(self) -> Calendar:
        """The same, asked about its windows alone."""
        found = copy(self)
        found.exclusions, found._closed, found._known, found._first = (), dict.fromkeys(Change, ()), {}, {}
        return found

    def longest(self) -> timedelta:
        """The longest time without a break that the windows are open, exclusions aside."""
        single = max((w.duration_minutes for w in self.windows if not fault(w)), default=0)
        # Where two windows meet they do so within some years, leap days included; intervals of many years aside.
        begin = max((w.from_.year for w in self.windows if w.from_), default=SOME_YEAR)
        together = (
            o.end - o.start for year in (begin + 1, begin + 3, begin + 5) for o in _three_years(self.windows, year)
        )
        return max((timedelta(minutes=single), *together))

    def _against(self, change: Change) -> Iterator[Exclusion]:
        return (e for e in self.exclusions if e.scope in _SCOPES[change])

    def _around(self, change: Change, year: int) -> Openings:
        if (found := self._known.get((change, year))) is None:
            around, closed = _around(self.windows, year), self._closed[change]
            found = self._known[change, year] = _without(around, closed) if closed else around
        return found


def too_short(cluster: Cluster, site: Site, calendar: Calendar) -> str:
    """Why the Cluster never has time for one node of its slowest pool, with the arithmetic; empty when it has.

    Summed up are its drain and the least time in which such a machine comes back: what may take longer, and what soaks,
    is a matter of the checks before an update. Only nodes with GPUs, and those of pools that set a time-out, may need
    more than the shortest window that there can be. A pool whose drain has no time-out is not judged: no window is long
    enough for ever.
    """
    with_gpus = {flavor.name for flavor in site.spec.flavors if flavor.gpu}
    pools = [pool for pool in cluster.spec.node_pools if pool.flavor in with_gpus or _has_own_drain(pool)]
    needs = [_Need.of(pool, site) for pool in pools]
    slowest = max(needs, key=lambda need: need.together, default=None)
    if slowest is None or slowest.together <= (longest := calendar.longest()):
        return ""
    return (
        f"maintenance: no window is ever long enough for one node of pool {slowest.pool}: its drain takes up to "
        f"{minutes(slowest.drain)} min ({slowest.said} {slowest.drain // _SECOND}) and its return "
        f"{minutes(slowest.back)} min, together {minutes(slowest.together)} min, but the longest opening is "
        f"{minutes(longest)} min: {_ways_out(slowest, longest)}"
    )


@dataclass(frozen=True, slots=True)
class _Need:
    """What one node of a pool needs. said: the field that says how long it may drain. back: its return."""

    pool: str
    drain: timedelta
    said: str
    back: timedelta

    @classmethod
    def of(cls, pool: NodePool, site: Site) -> _Need:
        seconds, said = _drain(pool)
        return cls(pool.name, timedelta(seconds=seconds), said, _return(pool, site))

    @property
    def together(self) -> timedelta:
        """Nothing when its drain has no end: then there is nothing to sum up."""
        return self.drain + self.back if self.drain else timedelta()


def _return(pool: NodePool, site: Site) -> timedelta:
    """The least time in which a new machine is Ready; less than usual where the Site gives it less."""
    flavor = next((f for f in site.spec.flavors if f.name == pool.flavor), None)
    least = BOX_RETURN if flavor is not None and flavor.bare_metal else NODE_RETURN
    most = timedelta(seconds=startup(site, pool.flavor, BOX_STARTUP))
    return min(least, most)


def _has_own_drain(pool: NodePool) -> bool:
    return pool.update.drain_timeout_seconds is not None


def _drain(pool: NodePool) -> tuple[int, str]:
    """How long a node of a pool with GPUs may drain, in seconds, and the field that says so."""
    own = pool.update.drain_timeout_seconds
    return (pool.gpu.drain_timeout_seconds, "gpu.drainTimeoutSeconds") if own is None else (own, _OWN_DRAIN)


def _ways_out(need: _Need, longest: timedelta) -> str:
    ways = []
    if minutes(need.together) <= MAX_MINUTES:
        ways.append(f"set durationMinutes of a window to {minutes(need.together)} or more")
    if longest > need.back:
        ways.append(f"set {need.said} of the pool to {(longest - need.back) // _SECOND} or less")
    return ", or ".join(ways)


def minutes(length: timedelta) -> int:
    """Whole minutes, rounded up."""
    return -(-length // timedelta(minutes=1))


def _as_opening(exclusion: Exclusion) -> Opening:
    return Opening(exclusion.from_.astimezone(UTC), exclusion.until.astimezone(UTC))
