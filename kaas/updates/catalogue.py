"""The Releases that there are, and what was found out about them before. Pure.

Between two dates of Releases nothing changes, and a fleet has few different wishes: Clusters that ask for the same, run
the same and have the same limit get the same answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.release_state import dates_of
from kaas.api.site import Site
from kaas.api.versions import KubernetesVersion
from kaas.updates.expiry import expires
from kaas.updates.facts import Choice
from kaas.updates.releases import SameReleases
from kaas.updates.targets import Refusal, choose

MOST_REMEMBERED: Final = 50_000


class Catalogue:
    """Some Releases."""

    def __init__(self, releases: tuple[Release, ...]) -> None:
        self.releases = releases
        self._dates = sorted({date for release in releases for date in dates_of(release)})
        self._known: dict[tuple[Any, ...], Any] = {}

    def choose(
        self, cluster: Cluster, running: KubernetesVersion | None, site: Site, now: datetime
    ) -> Choice | Refusal:
        """As `targets.choose`."""
        spec = cluster.spec
        wish = (spec.version, spec.updates.channel, spec.updates.kubernetes, site.spec.updates.max_version)
        key = (wish, running, bisect_right(self._dates, now))
        found: Choice | Refusal | None = self._known.get(key)
        if found is None:
            found = self._remember(key, choose(cluster, running, self.releases, site, now))
        return found

    def ends(self, version: KubernetesVersion | None, now: datetime) -> datetime | None:
        """As `expiry.expires`."""
        key = (version, bisect_right(self._dates, now))
        if key not in self._known:
            self._remember(key, expires(version, self.releases, now))
        found: datetime | None = self._known[key]
        return found

    def _remember(self, key: tuple[Any, ...], found: Any) -> Any:
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = found
        return found


def catalogue(releases: Iterable[Release]) -> Catalogue:
    """The same for the same Releases."""
    return _of(SameReleases(releases))


@lru_cache(maxsize=4)
def _of(releases: SameReleases) -> Catalogue:
    return Catalogue(releases)
