"""The Releases that there are, and what was found out about them before. Pure.

Between two dates of Releases nothing changes, and a fleet has few different wishes: Clusters that ask for the same, run
the same and have the same limit get the same answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final, TypeVar

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.release_state import dates_of
from kaas.api.site import Site
from kaas.api.versions import KubernetesVersion
from kaas.updates import images
from kaas.updates.expiry import expires
from kaas.updates.facts import Choice, Turn
from kaas.updates.images import Newer
from kaas.updates.limits import Limit, limit_of
from kaas.updates.releases import SameReleases, by_version
from kaas.updates.targets import Refusal, choose

MOST_REMEMBERED: Final = 50_000
MOST_DATES: Final = 16
"""So many dates ahead is looked whether a Refusal stays: one look too many does no harm."""

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks, and the wish that a Cluster there has: all of it that an answer depends on."""

    cluster: Cluster
    site: Site
    limits: tuple[Limit, ...]
    wish: tuple[Any, ...]

    @classmethod
    def of(cls, cluster: Cluster, site: Site, limits: tuple[Limit, ...]) -> _Asking:
        spec, limit = cluster.spec, limit_of(cluster, site, limits)
        return cls(cluster, site, limits, (spec.version, spec.updates.channel, spec.updates.kubernetes, limit))

    def is_of(self, cluster: Cluster, site: Site, limits: tuple[Limit, ...]) -> bool:
        return self.cluster is cluster and self.site is site and self.limits == limits


class Catalogue:
    """Some Releases."""

    def __init__(self, releases: tuple[Release, ...]) -> None:
        self.releases = releases
        self._dates = sorted({date for release in releases for date in dates_of(release)})
        self._known: dict[tuple[Any, ...], Any] = {}
        self._asking: _Asking | None = None
        self._looked: tuple[datetime | None, int] = None, 0

    def choose(
        self,
        cluster: Cluster,
        running: KubernetesVersion | None,
        site: Site,
        now: datetime,
        *,
        turn: Turn | None = None,
        limits: tuple[Limit, ...] = (),
    ) -> Choice | Refusal:
        """As `targets.choose`."""
        brought = (turn.rollout, turn.stage, turn.version) if turn else None
        key = (self._wish_of(cluster, site, limits), brought, running, self._passed(now))
        found: Choice | Refusal | None = self._known.get(key)
        if found is None:
            found = self._remember(key, self._chosen(cluster, running, site, now, turn, limits))
        return found

    def _chosen(
        self,
        cluster: Cluster,
        running: KubernetesVersion | None,
        site: Site,
        now: datetime,
        turn: Turn | None,
        limits: tuple[Limit, ...],
    ) -> Choice | Refusal:
        return choose(cluster, running, self.releases, site, now, turn=turn, limits=limits)

    @cached_property
    def lasting(self) -> Catalogue:
        """The same, which says of a Refusal until when it stays, not only until when it may."""
        return _Lasting(self)

    def image_of(self, version: KubernetesVersion, cluster: Cluster, site: Site, now: datetime) -> str | None:
        """As `images.image_of`."""
        key = (version, images.channel_of(cluster), id(site.spec.images), self._passed(now))
        known: tuple[Site, str | None] | None = self._known.get(key)
        if known is None:
            known = self._remember(key, (site, images.image_of(version, cluster, self._of(version), site, now)))
        return known[1]

    def newer_image(
        self, version: KubernetesVersion, present: str, cluster: Cluster, site: Site, now: datetime
    ) -> tuple[Newer | None, datetime | None]:
        """As `images.newer_image`, and when the answer may become another one."""
        channel = cluster.spec.updates.image_channel
        key = (version, present, channel, id(site.spec.images), self._passed(now))
        known: tuple[Site, Newer | None, datetime | None] | None = self._known.get(key)
        if known is None:
            of_it = self._of(version)
            newer = images.newer_image(version, present, channel, of_it, site, now)
            known = self._remember(key, (site, newer, images.next_date(of_it, now)))
        return known[1:]

    def takes_image(self, image: str, version: KubernetesVersion, site: Site, now: datetime) -> bool:
        """As `images.is_for`, at a Site."""
        return images.is_for(image, self._of(version), images.named_by(site, version), now)

    def is_newer_image(self, image: str, present: str, version: KubernetesVersion, site: Site) -> bool:
        """As `images.is_newer`, at a Site."""
        return images.is_newer(image, present, self._of(version), images.named_by(site, version))

    def _of(self, version: KubernetesVersion) -> tuple[Release, ...]:
        released = by_version(self.releases).get(version)
        return released.releases if released else ()

    def next_date(self, now: datetime) -> datetime | None:
        """The next date of any Release; None when all have passed."""
        index = self._passed(now)
        return self._dates[index] if index < len(self._dates) else None

    def ends(self, version: KubernetesVersion | None, now: datetime) -> datetime | None:
        """As `expiry.expires`."""
        key = (version, self._passed(now))
        known: tuple[datetime | None] | None = self._known.get(key)
        if known is None:
            known = self._remember(key, (expires(version, self.releases, now),))
        return known[0]

    def _passed(self, now: datetime) -> int:
        """How many dates have passed. One look asks for it several times."""
        time, passed = self._looked
        if time is not now:
            passed = bisect_right(self._dates, now)
            self._looked = now, passed
        return passed

    def _wish_of(self, cluster: Cluster, site: Site, limits: tuple[Limit, ...]) -> tuple[Any, ...]:
        """A calendar asks about the same Cluster again and again: its wish is read once."""
        asking = self._asking
        if asking is None or not asking.is_of(cluster, site, limits):
            asking = self._asking = _Asking.of(cluster, site, limits)
        return asking.wish

    def _remember(self, key: tuple[Any, ...], found: _Found) -> _Found:
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = found
        return found


class _Lasting(Catalogue):
    """For who looks ahead, from one date to the next: at most dates of Releases in reach nothing new is refused."""

    def __init__(self, known: Catalogue) -> None:
        super().__init__(known.releases)
        self._each = known

    def _chosen(
        self,
        cluster: Cluster,
        running: KubernetesVersion | None,
        site: Site,
        now: datetime,
        turn: Turn | None,
        limits: tuple[Limit, ...],
    ) -> Choice | Refusal:
        found, end = self._each.choose(cluster, running, site, now, turn=turn, limits=limits), self.ends(running, now)
        for _ in range(MOST_DATES):
            if isinstance(found, Choice) or found.until is None or self.ends(running, found.until) != end:
                break
            later = self._each.choose(cluster, running, site, found.until, turn=turn, limits=limits)
            if isinstance(later, Choice) or (later.reason, later.message) != (found.reason, found.message):
                break
            found = later
        return found


def catalogue(releases: Iterable[Release]) -> Catalogue:
    """The same for the same Releases."""
    return _of(SameReleases(releases))


@lru_cache(maxsize=4)
def _of(releases: SameReleases) -> Catalogue:
    return Catalogue(releases)
