"""Where the versions stand that there are Releases of, several of one version too. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, dates_of, entered, is_in, state_of
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion

__all__ = ["ReleaseState", "Released", "by_version", "dates_of", "entered", "state_of"]

_parse: Final = cache(KubernetesVersion.parse)
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


def by_version(releases: Iterable[Release]) -> dict[KubernetesVersion, Released]:
    """Every version that there is a Release of."""
    found: dict[KubernetesVersion, tuple[Release, ...]] = {}
    for release in releases:
        version = _parse(release.spec.version)
        found[version] = (*found.get(version, ()), release)
    return {version: Released(version, several) for version, several in found.items()}
