"""How many Clusters of one Site begin updates by themselves at once, and who goes first. Pure.

Counted is who has a step under way: from the moment at which it is let go until the last step is through. Who has
stopped, or is held at a step, disrupts nobody and is not counted; who goes on then is. A step that lasts for more than
a day counts no longer: nobody waits for ever for a machine that never leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from kaas.api.shares import rounded_down
from kaas.kube.times import at

SITE_BUSY: Final = "SiteBusy"
"""Reason while as many Clusters of the Site are updated as may be at once, or others go first."""
AGAIN: Final = timedelta(minutes=2)
"""Until who waits is looked at again."""
COUNTS_FOR: Final = timedelta(hours=24)
"""How long one step counts."""
_ANNOUNCED_FOR: Final = timedelta(minutes=2)
"""When a window opens, so long those are waited for who go first and have not been looked at yet."""
_ASKED_FOR: Final = 3 * AGAIN
"""So long after it was looked at last a Cluster that waits keeps its place."""
_GRANTED_FOR: Final = timedelta(minutes=10)
"""So long a place is kept for a Cluster that is looked at before it begins."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_ANNOUNCED: Final = frozenset({"OutsideMaintenance", "TooSoon", "Excluded"})

Key = tuple[str, str]
Rank = tuple[datetime, datetime, str]


def rank(ends: datetime | None, closes: datetime | None, uid: str) -> Rank:
    """What is taken first: whose version expires first, then whose window closes first, then by a stable hash."""
    return ends or _NEVER, closes or _NEVER, sha256(uid.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Wish:
    """That a Cluster would begin. since, until: the time in which others let it go first, if its rank is better."""

    rank: Rank
    since: datetime
    until: datetime

    def goes_before(self, other: Rank, now: datetime) -> bool:
        """Whether it is waited for."""
        return self.since <= now < self.until and self.rank < other


@dataclass(frozen=True, slots=True)
class Full:
    """Why a Cluster waits. most: how many may be at once of how many that there are. busy: how many are now."""

    most: int
    there: int
    busy: int


@dataclass(slots=True)
class _Site:
    """What is known of one. busy: since when the step of each that counts is under way."""

    there: set[Key] = field(default_factory=set)
    busy: dict[Key, datetime] = field(default_factory=dict)
    granted: dict[Key, datetime] = field(default_factory=dict)
    wishes: dict[Key, Wish] = field(default_factory=dict)

    def drop(self, key: Key) -> None:
        self.there.discard(key)
        for known in (self.busy, self.granted, self.wishes):
            known.pop(key, None)


class Places:
    """All Sites, as far as their Clusters were seen."""

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}
        self._of: dict[Key, str] = {}

    def knows(self, key: Key) -> bool:
        """Whether the Cluster was seen."""
        return key in self._of

    def busy(self, site: str) -> int:
        """How many Clusters of a Site have a step under way."""
        known = self._sites.get(site)
        return len(known.busy) if known else 0

    def seen(self, key: Key, site: str, update: Mapping[str, Any], rank: Rank, now: datetime) -> None:
        """A Cluster as `status.update` tells of it."""
        if self._of.get(key) != site:
            self.forget(key)
            self._of[key] = site
        here = self._sites.setdefault(site, _Site())
        here.there.add(key)
        since = _under_way(update)
        _keep(here.busy, key, since)
        _keep(here.wishes, key, _wish(update, rank, now) if since is None else None)
        if since is not None or update.get("reason") != "Preflight":
            here.granted.pop(key, None)

    def ask(self, key: Key, site: str, most: int | str, rank: Rank, now: datetime) -> Full | None:
        """Whether a Cluster that would begin has to wait; None when it may go, and then it has its place.

        most: a number, or a percentage of the Clusters of the Site, rounded down and at least one.
        """
        here = self._sites.setdefault(site, _Site())
        allowed = rounded_down(most, len(here.there))
        taken = {k for k, since in here.busy.items() if now < since + COUNTS_FOR}
        taken |= {k for k, since in here.granted.items() if now < since + _GRANTED_FOR}
        taken.discard(key)
        free = allowed - len(taken)
        before = (k for k, w in here.wishes.items() if w.goes_before(rank, now) and k != key and k not in taken)
        if free > 0 and sum(1 for _ in islice(before, free)) < free:
            here.granted.setdefault(key, now)
            return None
        here.granted.pop(key, None)
        return Full(allowed, len(here.there), len(taken))

    def forget(self, key: Key) -> None:
        """The Cluster is gone."""
        site = self._of.pop(key, None)
        if site is not None:
            self._sites[site].drop(key)


def _keep(known: dict[Key, Any], key: Key, found: Any) -> None:
    if found is None:
        known.pop(key, None)
    else:
        known[key] = found


def _under_way(update: Mapping[str, Any]) -> datetime | None:
    """Since when a step of its update is under way; None when none is."""
    if "stopped" in update:
        return None
    running = (s for s in update.get("steps") or () if s["state"] == "Running")
    step = next(running, None)
    since = step and (step.get("since") or step.get("started") or update.get("began"))
    return at(since) if since else None


def _wish(update: Mapping[str, Any], rank: Rank, now: datetime) -> Wish | None:
    """Of one that waits for its place, or whose time was announced and has come."""
    if update.get("reason") == SITE_BUSY:
        return Wish(rank, now, now + _ASKED_FOR)
    begins = update.get("nextTime") if update.get("reason") in _ANNOUNCED else None
    return Wish(rank, at(begins), at(begins) + _ANNOUNCED_FOR) if begins else None
