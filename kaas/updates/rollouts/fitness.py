"""What of that which a Rollout carries a Cluster takes, and why not the rest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kaas.api.rollout_carried import Kind
from kaas.api.updates import Channel, KubernetesUpdates
from kaas.api.versions import KubernetesVersion
from kaas.updates.rollouts.goal import Goal, target_of
from kaas.updates.rollouts.known_images import KnownImages
from kaas.updates.rollouts.member import Member


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why it takes none of a kind.

    reason: one CamelCase word. message: for a person. free: whether the Rollout has no say in that kind then, so that
    it goes on as if there were none.
    """

    reason: str
    message: str
    free: bool = True


FREE: Final = frozenset(
    {
        *("Pinned", "ChannelNone", "KubernetesNone", "PatchOnly", "TooFarBehind", "InOtherRollout"),
        *("NodeImagesNone", "OtherVersion", "SiteImage", "ClassRevisionNone", "OtherClassRevision"),
    }
)
"""Reasons for which the Rollout has no say: those of `Unfit` that are free, and that another one decides."""
Rule = Callable[[Member, KubernetesVersion], Unfit | None]


def unfit(member: Member, goal: Goal, kind: Kind, images: KnownImages | None, now: datetime) -> Unfit | None:
    """Why a Cluster cannot be brought to what a Rollout carries of a kind; None when it can, or has it.

    goal: without its version for a Cluster that is not brought to that, so that its image is one of what runs. images:
    None where nobody knows them: then only what its owner says counts, and of what version an image is.
    """
    if kind is Kind.KUBERNETES:
        return version_unfit(member, goal.version)
    if (why := declined(member, kind)) is not None:
        return why
    if kind is Kind.NODE_IMAGES:
        return _image_unfit(member, goal, images, now)
    return _revision_unfit(member, goal)


def declined(member: Member, kind: Kind) -> Unfit | None:
    """Why its owner takes none of a kind from anyone, whatever it is; None when they take some."""
    updates = member.updates
    if kind is Kind.NODE_IMAGES:
        return _none_of("nodeImages", "NodeImagesNone", updates.node_images.channel, updates.image_channel)
    if kind is Kind.CLASS_REVISION:
        return _none_of("classRevision", "ClassRevisionNone", updates.class_revision.channel, updates.class_channel)
    if member.asked.startswith("v"):
        return Unfit("Pinned", f"its spec.version {member.asked} pins it")
    return _opted_out(member)


def _none_of(field: str, reason: str, own: Channel | None, channel: Channel) -> Unfit | None:
    if channel is not Channel.NONE:
        return None
    if own is None:
        return Unfit("ChannelNone", "its spec.updates.channel is None")
    return Unfit(reason, f"its spec.updates.{field}.channel is None")


_NOT_RUNNING: Final = Unfit("NotRunning", "no control plane ran yet when its stage started", free=False)


# --- Kubernetes ---------------------------------------------------------------------------------------------------


def version_unfit(member: Member, version: KubernetesVersion | None) -> Unfit | None:
    """Why a Cluster cannot be brought to a version; None when it can, or runs it. version: None for no one."""
    if version is None:
        return declined(member, Kind.KUBERNETES)
    return next((found for rule in _RULES if (found := rule(member, version)) is not None), None)


def _opted_out(member: Member) -> Unfit | None:
    if member.updates.channel is Channel.NONE:
        return Unfit("ChannelNone", "its spec.updates.channel is None")
    if member.updates.kubernetes is KubernetesUpdates.NONE:
        return Unfit("KubernetesNone", "its spec.updates.kubernetes is None")
    return None


def _not_running(member: Member, _: KubernetesVersion) -> Unfit | None:
    return _NOT_RUNNING if member.running is None else None


def _newer(member: Member, version: KubernetesVersion) -> Unfit | None:
    if member.running is None or member.running <= version:
        return None
    return Unfit("RunsNewer", f"runs {member.running}, newer than {version}", free=False)


def _declined(member: Member, version: KubernetesVersion) -> Unfit | None:
    """An exact version keeps all others away."""
    return _opted_out(member) if member.asked == str(version) else declined(member, Kind.KUBERNETES)


def _patches_only(member: Member, version: KubernetesVersion) -> Unfit | None:
    updates, running = member.updates, member.running
    if updates.kubernetes is KubernetesUpdates.PATCH and running is not None and version.minor > running.minor:
        return Unfit("PatchOnly", f"runs {running}, and its spec.updates.kubernetes is Patch: no newer minor for it")
    return None


def _too_far(member: Member, version: KubernetesVersion) -> Unfit | None:
    if member.running is None or version.minor <= member.running.minor + 1:
        return None
    words = f"runs {member.running}, more than one minor older than {version}: it is brought to 1."
    return Unfit("TooFarBehind", f"{words}{member.running.minor + 1} first")


_RULES: Final[Sequence[Rule]] = (_not_running, _newer, _declined, _patches_only, _too_far)


# --- node image and class revision --------------------------------------------------------------------------------


def _image_unfit(member: Member, goal: Goal, images: KnownImages | None, now: datetime) -> Unfit | None:
    """The image is that of the version that it is brought to."""
    running, target = member.running, target_of(goal, member)
    if running is None:
        return _NOT_RUNNING
    version = max(running, target.version) if target.version else running
    if target.image is None:
        return _no_image(goal, version) if goal.images else None
    if images is None:
        return None
    wanted = _Image(target.image, version, goal.by_hand)
    return _not_for(member, wanted, images, now) or _older_image(member, wanted, images)


@dataclass(frozen=True, slots=True)
class _Image:
    """An image for machines of a version. by_hand: a person named it."""

    name: str
    version: KubernetesVersion
    by_hand: bool


def _not_for(member: Member, wanted: _Image, images: KnownImages, now: datetime) -> Unfit | None:
    """Why an image is none for machines of its version at the Cluster's Site."""
    version, image = wanted.version, wanted.name
    named = images.named(version, member.site)
    if named not in (None, image):
        words = f"its Site {member.site} names node image {named} for {version}, not {image}"
        later = Unfit("NoImage", f"{words}: the next run may have it", free=False)
        return Unfit("SiteImage", words) if wanted.by_hand else later
    if images.is_for(image, version, member.site, now):
        return None
    words = f"node image {image} of {version} is a preview, has expired, or its Release is gone"
    return Unfit("NoImage", words, free=False)


def _no_image(goal: Goal, version: KubernetesVersion) -> Unfit:
    if not goal.by_hand:
        return Unfit("NoImage", f"no node image of {version} is in this run: the next one may have it", free=False)
    known = ", ".join(sorted({i.version for i in goal.images}))
    return Unfit("OtherVersion", f"runs {version}, and {goal.images[0].image} is a node image of {known}")


def _older_image(member: Member, wanted: _Image, images: KnownImages) -> Unfit | None:
    version, image = wanted.version, wanted.name
    if member.image is None:
        return Unfit("ImageUnknown", "it is not known which node image its machines have", free=False)
    if version != member.running or image == member.image:
        return None
    if images.is_newer(image, member.image, version, member.site):
        return None
    return Unfit("HasNewerImage", f"has node image {member.image}, newer than {image}", free=False)


def _revision_unfit(member: Member, goal: Goal) -> Unfit | None:
    newest, present = member.newest_revision, member.class_revision
    if not goal.revisions or target_of(goal, member).class_revision is not None:
        return None
    if newest is None or present is None:
        return Unfit("ClassRevisionUnknown", "it is not known which ClusterClass it is on", free=False)
    words = f"the newest ClusterClass of its kaas is {newest}, not {' or '.join(goal.revisions)}"
    if goal.by_hand:
        return Unfit("OtherClassRevision", words)
    return Unfit("NewerClassRevision", f"{words}: the next run may have it", free=False)
