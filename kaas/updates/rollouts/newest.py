"""The newest version of the channel that a Rollout follows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from kaas.api.parsed import Unreadable
from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, dates_of
from kaas.api.rollout import RolloutSpec
from kaas.api.rollout_carried import Kind
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.updates.releases import by_version
from kaas.updates.rollouts.goal import carried
from kaas.updates.rollouts.known_images import KnownImages
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


def doubt_of(
    spec: RolloutSpec,
    found: KubernetesVersion | None,
    unread: Iterable[UnreadRelease],
    sites: Iterable[Unreadable] = (),
) -> str:
    """Why the newest of a channel is not known, for a Release or Site cannot be read; empty when it is.

    found: the newest version of those that can be. Any of them may have the newest image of its version. sites: those
    that cannot be read.
    """
    kinds = carried(spec)
    if spec.channel is None or not kinds & {Kind.KUBERNETES, Kind.NODE_IMAGES}:
        return ""
    images = Kind.NODE_IMAGES in kinds
    doubts = (each.message for each in unread if _may_be_newest(each, spec, None if images else found))
    message = next(doubts, "") or next((str(site) for site in sites if images), "")
    return f"no run is begun while it is not known what is the newest: {message}" if message else ""


def _may_be_newest(unread: UnreadRelease, spec: RolloutSpec, found: KubernetesVersion | None) -> bool:
    version, minor = unread.version, minor_of(spec.minor) if spec.minor else None
    if version is None:
        return True
    return minor in (None, version.minor) and (found is None or version >= found)


def unfit_by_hand(spec: RolloutSpec, releases: Sequence[Release], images: KnownImages, now: datetime) -> str:
    """Why what a Rollout names can be brought to no Cluster, with the way out; empty when it can."""
    return unfit_release(spec, releases, now) or _unfit_image(spec, images, now)


def _unfit_image(spec: RolloutSpec, images: KnownImages, now: datetime) -> str:
    image, version = spec.image, KubernetesVersion.known(spec.version)
    if image is None or any(images.of_name(image, version, now)):
        return ""
    known = [str(v) for v in images.versions_of(image)]
    if version is not None and known and str(version) not in known:
        return f"{image} is a node image of {', '.join(known)}, not of {version}: make a Rollout of one of its own"
    if known:
        return f"the Release of node image {image} is a preview, or has expired: no Cluster is brought to it"
    return f"there is no Release with node image {image}, and no Site names it: make one"


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
