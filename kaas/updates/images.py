"""Which node image the machines of a version are to have, and whether a newer one is due. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, dates_of, entered, is_in, order_of, state_of, suits
from kaas.api.site import Site
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion

_GOOD: Final = frozenset({ReleaseState.SUPPORTED})
_USABLE: Final = frozenset({ReleaseState.SUPPORTED, ReleaseState.DEPRECATED})


@dataclass(frozen=True, slots=True)
class Newer:
    """A newer image of the version that runs. since: None when nobody says since when it is the one to have."""

    image: str
    since: datetime | None
    message: str


def image_of(
    version: KubernetesVersion, cluster: Cluster, releases: Sequence[Release], site: Site, now: datetime
) -> str | None:
    """The image for machines of a version that the Cluster has none of yet; None when there is no Release of it.

    releases: of this version.
    """
    if named := named_by(site, version):
        return named
    channel = channel_of(cluster)
    best = max(releases, key=lambda r: (suits(r, channel, now), order_of(r)), default=None)
    return best.spec.image if best else None


def channel_of(cluster: Cluster) -> Channel:
    """The channel that decides between several images of a version: that of images, unless there is none."""
    updates = cluster.spec.updates
    return updates.channel if updates.image_channel is Channel.NONE else updates.image_channel


def newer_image(
    version: KubernetesVersion, present: str, channel: Channel, releases: Sequence[Release], site: Site, now: datetime
) -> Newer | None:
    """A newer image of the version that runs, if there is one. releases: of this version. present: what it has.

    What the Site names counts in every channel, and for all Releases of the version. An older image is never gone to.
    """
    if channel is Channel.NONE:
        return None
    if named := named_by(site, version):
        words = f"Site {site.metadata.name} names node image {named} for {version}, {present} is in use"
        return Newer(named, None, words) if named != present else None
    own = next((r for r in releases if r.spec.image == present), None)
    found = newest(releases, channel, now)
    if found is None and (own is None or state_of(own, now) is ReleaseState.EXPIRED):
        found = _newest(releases, channel, _USABLE, now)
    if found is None or found.spec.image == present or (own is not None and order_of(found) <= order_of(own)):
        return None
    since = entered(found, channel)
    words = f"node image {found.spec.image} of {version} is in {channel} since {since:%Y-%m-%d}, {present} is in use"
    return Newer(found.spec.image, since, words)


def is_for(image: str, releases: Iterable[Release], named: str | None, now: datetime) -> bool:
    """Whether machines of a version may be made of an image that somebody chose.

    releases: of the version; those that are neither a preview nor expired count. named: what the Site of the Cluster
    names for the version: nothing else counts there; None when it names none.
    """
    if named is not None:
        return image == named
    return any(r.spec.image == image and state_of(r, now) in _USABLE for r in releases)


def is_newer(image: str, present: str, releases: Sequence[Release], named: str | None) -> bool:
    """Whether an image of a version is to take the place of the present one, as `newer_image` would have it."""
    if image == present:
        return False
    own = next((r for r in releases if r.spec.image == present), None)
    found = next((r for r in releases if r.spec.image == image), None)
    return named == image or own is None or found is None or order_of(found) > order_of(own)


def named_by(site: Site, version: KubernetesVersion) -> str | None:
    """The image that a Site names for a version; None when it names none."""
    text = str(version)
    return next((i.name for i in site.spec.images if i.version == text), None)


def next_date(releases: Iterable[Release], now: datetime) -> datetime | None:
    """When the answer may become another one."""
    return min((date.astimezone(UTC) for r in releases for date in dates_of(r) if date > now), default=None)


def newest(releases: Iterable[Release], channel: Channel, now: datetime) -> Release | None:
    """The Release with the newest image, of those that are supported in a channel; None when there is none."""
    return _newest(releases, channel, _GOOD, now)


def _newest(
    releases: Iterable[Release], channel: Channel, states: frozenset[ReleaseState], now: datetime
) -> Release | None:
    there = (r for r in releases if is_in(r, channel, now) and state_of(r, now) in states)
    return max(there, key=order_of, default=None)
