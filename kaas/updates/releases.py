"""Where the versions stand that there are Releases of, several of one version too. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import is_
from types import MappingProxyType
from typing import Final

from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, entered, is_in, state_of
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion

# Of several Releases of one version the first of these counts: one in preview makes nothing better that has expired.
_BEST_FIRST: Final = (ReleaseState.SUPPORTED, ReleaseState.DEPRECATED, ReleaseState.EXPIRED, ReleaseState.PREVIEW)


@dataclass(frozen=True, slots=True)
class Released:
    """One version and its Releases: more than one where a newer node image was made for it."""

    version: KubernetesVersion
    releases: tuple[Release, ...]

    def state(self, now: datetime) -> ReleaseState:
        """Where the version stands: as the best of its Releases."""
        return min((state_of(r, now) for r in self.releases), key=_BEST_FIRST.index)

    def state_in(self, channel: Channel, now: datetime) -> ReleaseState | None:
        """As the best of its Releases that are in the channel now; None when none is."""
        there = [state_of(r, now) for r in self.releases if is_in(r, channel, now)]
        return min(there, key=_BEST_FIRST.index, default=None)

    def entered(self, channel: Channel, now: datetime) -> datetime | None:
        """When the first of its Releases that have not expired enters the channel; None when none ever does."""
        of_each = (entered(r, channel) for r in self.releases if state_of(r, now) is not ReleaseState.EXPIRED)
        return min((date for date in of_each if date is not None), default=None)


class SameReleases(tuple[Release, ...]):
    """A key for the very same Releases: thousands of Clusters are decided about with them."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(tuple(map(id, self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameReleases) and len(self) == len(other) and all(map(is_, self, other))


def by_version(releases: Iterable[Release]) -> Mapping[KubernetesVersion, Released]:
    """Every version that there is a Release of, newest first. Shared: it can't be changed."""
    return _by_version(SameReleases(releases))


@lru_cache(maxsize=16)
def _by_version(releases: SameReleases) -> Mapping[KubernetesVersion, Released]:
    found: dict[KubernetesVersion, tuple[Release, ...]] = {}
    for release in releases:
        version = KubernetesVersion.parse(release.spec.version)
        found[version] = (*found.get(version, ()), release)
    return MappingProxyType({v: Released(v, found[v]) for v in sorted(found, reverse=True)})
