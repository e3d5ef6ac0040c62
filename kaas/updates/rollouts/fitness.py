"""Whether a Cluster can be brought to the version of a Rollout, and why not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kaas.api.updates import Channel, KubernetesUpdates
from kaas.api.versions import KubernetesVersion
from kaas.updates.rollouts.member import Member


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why it cannot.

    reason: one CamelCase word. message: for a person. free: whether the Rollout has no say in it then, so that it goes
    on as if there were none.
    """

    reason: str
    message: str
    free: bool = True


Rule = Callable[[Member, KubernetesVersion], Unfit | None]


def unfit(member: Member, version: KubernetesVersion) -> Unfit | None:
    """Why a Cluster cannot be brought to a version; None when it can, or runs it."""
    return next((found for rule in _RULES if (found := rule(member, version)) is not None), None)


def declined(member: Member) -> Unfit | None:
    """Why its owner takes no version from anyone, whichever it is; None when they take some."""
    if member.asked.startswith("v"):
        return Unfit("Pinned", f"its spec.version {member.asked} pins it")
    return _opted_out(member)


def _opted_out(member: Member) -> Unfit | None:
    if member.updates.channel is Channel.NONE:
        return Unfit("ChannelNone", "its spec.updates.channel is None")
    if member.updates.kubernetes is KubernetesUpdates.NONE:
        return Unfit("KubernetesNone", "its spec.updates.kubernetes is None")
    return None


def _not_running(member: Member, _: KubernetesVersion) -> Unfit | None:
    if member.running is not None:
        return None
    return Unfit("NotRunning", "no control plane ran yet when its stage started", free=False)


def _newer(member: Member, version: KubernetesVersion) -> Unfit | None:
    if member.running is None or member.running <= version:
        return None
    return Unfit("RunsNewer", f"runs {member.running}, newer than {version}", free=False)


def _declined(member: Member, version: KubernetesVersion) -> Unfit | None:
    """An exact version keeps all others away."""
    return _opted_out(member) if member.asked == str(version) else declined(member)


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
