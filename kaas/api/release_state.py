"""Where a Release stands at a time, and which channels it is in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from kaas.api.release import Release
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion, matches, newest


class ReleaseState(StrEnum):
    """Where a Release, or a version, stands in its life."""

    PREVIEW = "preview"
    SUPPORTED = "supported"
    DEPRECATED = "deprecated"
    EXPIRED = "expired"


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


def is_in(release: Release, channel: Channel, now: datetime) -> bool:
    """Whether the Release is in the channel."""
    date = entered(release, channel)
    return date is not None and date <= now


_WORSE_FIRST: Final = (
    ReleaseState.PREVIEW,
    ReleaseState.EXPIRED,
    ReleaseState.DEPRECATED,
    ReleaseState.SUPPORTED,
)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def suits(release: Release, channel: Channel, now: datetime) -> int:
    """How well a Release of a version suits those of a channel: by its state, then by its being in the channel."""
    return 2 * _WORSE_FIRST.index(state_of(release, now)) + is_in(release, channel, now)


def version_for(asked: str, releases: Iterable[Release], channel: Channel, now: datetime) -> KubernetesVersion | None:
    """The version that `version` of a Cluster asks for: of `1.36` the newest of those that suit its channel best.

    None when there is no Release for it, but maybe a preview, which is only for who asks for exactly that.
    """
    of_asked = [r for r in releases if matches(asked, KubernetesVersion.parse(r.spec.version))]
    if not asked.startswith("v"):
        usable = [r for r in of_asked if state_of(r, now) is not ReleaseState.PREVIEW]
        best = max((suits(r, channel, now) for r in usable), default=0)
        of_asked = [r for r in usable if suits(r, channel, now) == best]
    return newest(asked, (KubernetesVersion.parse(r.spec.version) for r in of_asked))


def none_for(asked: str, releases: Iterable[Release]) -> str:
    """Why there is no version for that, and the way out."""
    versions = sorted(KubernetesVersion.parse(r.spec.version) for r in releases)
    preview = newest(asked, versions)
    only = f" but {preview}, which is a preview and must be asked for exactly" if preview else ""
    known = ", ".join(map(str, dict.fromkeys(versions))) or "none"
    return (
        f"there is no Release for {asked}{only}; choose one of those that there are ({known}), or have the platform "
        "team add a Release"
    )


def order_of(release: Release) -> tuple[datetime, str]:
    """Of Releases of one version the newer has more of this: by when it enters its first channel, then by its name."""
    return entered(release, Channel.RAPID) or _NEVER, release.metadata.name


def dates_of(release: Release) -> Iterator[datetime]:
    """Every moment at which the state of the Release, or the channels that it is in, change. In UTC, in no order."""
    spec, channels = release.spec, release.spec.channels
    of_channels = (channels.rapid, channels.regular, channels.stable) if channels else ()
    for date in (*of_channels, spec.deprecated, spec.expires):
        if date is not None:
            yield date.astimezone(UTC)
