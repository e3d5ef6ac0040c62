"""Where a Release stands in its life, and where the versions stand that several Releases may be of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Final

from kaas.api.release import Release
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion


class ReleaseState(StrEnum):
    """Where a Release, or a version, stands in its life."""

    PREVIEW = "preview"
    SUPPORTED = "supported"
    DEPRECATED = "deprecated"
    EXPIRED = "expired"


_parse: Final = cache(KubernetesVersion.parse)
# Of several Releases of one version the first of these counts: one in preview makes nothing better that has expired.
_BEST_FIRST: Final = (ReleaseState.SUPPORTED, ReleaseState.DEPRECATED, ReleaseState.EXPIRED, ReleaseState.PREVIEW)
_FROM: Final = {
    Channel.RAPID: ("rapid", "regular", "stable"),
    Channel.REGULAR: ("regular", "stable"),
    Channel.STABLE: ("stable",),
    Channel.NONE: (),
}
"""Dates by which a Release is in a channel: in Stable is only what Rapid and Regular have too."""


def state_of(release: Release, now: datetime) -> ReleaseState:
    """Where the Release stands. One without channels is supported, only that no Cluster is brought to it by itself."""
    spec = release.spec
    if spec.expires is not None and spec.expires <= now:
        return ReleaseState.EXPIRED
    if spec.deprecated is not None and spec.deprecated <= now:
        return ReleaseState.DEPRECATED
    if spec.channels is not None:
        first = entered(release, Channel.RAPID)
        if first is None or first > now:
            return ReleaseState.PREVIEW
    return ReleaseState.SUPPORTED


def entered(release: Release, channel: Channel) -> datetime | None:
    """When the Release enters the channel, past or to come, in UTC; None when it never does, as far as is known."""
    channels = release.spec.channels
    if channels is None:
        return None
    dates = (getattr(channels, name) for name in _FROM[channel])
    first = min((d for d in dates if d is not None), default=None)
    return first.astimezone(UTC) if first else None


def dates_of(release: Release) -> Iterator[datetime]:
    """Every moment at which the state of the Release, or the channels that it is in, change. In UTC, in no order."""
    spec, channels = release.spec, release.spec.channels
    of_channels = (channels.rapid, channels.regular, channels.stable) if channels else ()
    for date in (*of_channels, spec.deprecated, spec.expires):
        if date is not None:
            yield date.astimezone(UTC)


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
        dates = ((r, entered(r, channel)) for r in self.releases)
        there = [state_of(r, now) for r, date in dates if date is not None and date <= now]
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
