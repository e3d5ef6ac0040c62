"""The newest version of the channel that a Rollout follows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, dates_of
from kaas.api.rollout import RolloutSpec
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.updates.releases import by_version
from kaas.updates.unread import UnreadRelease


def newest(spec: RolloutSpec, releases: Sequence[Release], now: datetime) -> KubernetesVersion | None:
    """The newest version that is supported in the channel, of the minor where one is named; None when there is none."""
    if spec.channel is None:
        return None
    channel, minor = Channel(spec.channel), minor_of(spec.minor) if spec.minor else None
    found = (
        version
        for version, released in by_version(releases).items()
        if minor in (None, version.minor) and released.state_in(channel, now) is ReleaseState.SUPPORTED
    )
    return max(found, default=None)


def next_date(releases: Sequence[Release], now: datetime) -> datetime | None:
    """When either answer may become another one; None when no date of a Release is to come."""
    return min((date for release in releases for date in dates_of(release) if date > now), default=None)


def doubt_of(spec: RolloutSpec, found: KubernetesVersion | None, unread: Iterable[UnreadRelease]) -> str:
    """Why the newest version of a channel is not known, for a Release cannot be read; empty when it is."""
    if spec.channel is None:
        return ""
    minor = minor_of(spec.minor) if spec.minor else None
    for each in unread:
        version = each.version
        if version is None or (minor in (None, version.minor) and (found is None or version >= found)):
            return f"no run is begun while it is not known which version is the newest: {each.message}"
    return ""


def unfit_release(spec: RolloutSpec, releases: Sequence[Release], now: datetime) -> str:
    """Why the version that a Rollout names can be brought to no Cluster, with the way out; empty when it can."""
    if spec.version is None:
        return ""
    released = by_version(releases).get(KubernetesVersion.parse(spec.version))
    if released is None:
        return f"there is no Release of {spec.version}: make one"
    state = released.state(now)
    if state in (ReleaseState.PREVIEW, ReleaseState.EXPIRED):
        way = "give its Release an earlier date" if state is ReleaseState.PREVIEW else "make a Rollout of a newer one"
        return f"{spec.version} is {state}, and no Cluster is brought to it: {way}"
    return ""
