"""What a run would bring if it began now, and whether it is to begin. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from kaas.api.rollout import RolloutSpec
from kaas.api.rollout_carried import MAX_IMAGES, MAX_REVISIONS, Kind
from kaas.api.updates import Channel
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.updates.kinds import REVISION_AFTER
from kaas.updates.rollouts.fitness import unfit, version_unfit
from kaas.updates.rollouts.goal import Goal, carried, target_of
from kaas.updates.rollouts.member import Member, Target
from kaas.updates.rollouts.scene import Known

SETTLES: Final = timedelta(minutes=15)
"""After so long all Clusters have told of a newer class revision: a run would leave out those that have not."""


def wanted(spec: RolloutSpec, members: Sequence[Member], known: Known, now: datetime) -> Goal:
    """What a run brings that begins now. members: Clusters that the Rollout selects."""
    if spec.channel is None:
        return _by_hand(spec, known, now)
    kinds, channel = carried(spec), Channel(spec.channel)
    version = known.newest if Kind.KUBERNETES in kinds else None
    images = known.images.of_channel(channel, _places(spec, members, version), now) if Kind.NODE_IMAGES in kinds else ()
    revisions = _revisions(members, channel, now) if Kind.CLASS_REVISION in kinds else ()
    return Goal(kinds, version, tuple(images)[:MAX_IMAGES], tuple(revisions)[:MAX_REVISIONS], by_hand=False)


def _by_hand(spec: RolloutSpec, known: Known, now: datetime) -> Goal:
    version = KubernetesVersion.known(spec.version)
    images = known.images.of_name(spec.image, version, now) if spec.image else ()
    revisions = (spec.class_revision,) if spec.class_revision else ()
    return Goal(carried(spec), version, tuple(images)[:MAX_IMAGES], revisions)


def _places(
    spec: RolloutSpec, members: Iterable[Member], version: KubernetesVersion | None
) -> Iterable[tuple[KubernetesVersion, str]]:
    """Versions that members run, or are brought to, with their Sites."""
    minor = minor_of(spec.minor) if spec.minor else None
    for member in members:
        for each in (member.running, version):
            if each is not None and minor in (None, each.minor):
                yield each, member.site


def _revisions(members: Iterable[Member], channel: Channel, now: datetime) -> list[str]:
    """The newest of each provider that the channel has: while kaas is upgraded, Clusters tell of several."""
    newest: dict[str, tuple[datetime, str]] = {}
    for name, since in _since(members).items():
        if since + _after(channel) <= now:
            provider = name.rpartition("-")[0]  # kaas-openstack-0c8d3f21aa: what comes last is made of its content
            newest[provider] = max(newest.get(provider, (since, name)), (since, name))
    return sorted(name for _, name in newest.values())


def _since(members: Iterable[Member]) -> Mapping[str, datetime]:
    """Since when there is each class revision that is the newest of some Cluster."""
    found: dict[str, datetime] = {}
    for member in members:
        name, since = member.newest_revision, member.newest_since
        if name is not None and since is not None:
            found[name] = min(found.get(name, since), since)
    return found


def _after(channel: Channel) -> timedelta:
    return max(REVISION_AFTER[channel], SETTLES)


def next_revision(spec: RolloutSpec, members: Iterable[Member], now: datetime) -> datetime | None:
    """When a class revision enters the channel of a Rollout; None when none is to, or it brings none."""
    if spec.channel is None or Kind.CLASS_REVISION not in carried(spec):
        return None
    dates = (since + _after(Channel(spec.channel)) for since in _since(members).values())
    return min((date for date in dates if date > now), default=None)


def nobody_takes(goal: Goal, members: Sequence[Member]) -> str:
    """Why a class revision that a person names can be brought to no Cluster, with the way out; empty when it can."""
    if not goal.by_hand or not goal.revisions:
        return ""
    known = {name for m in members for name in (m.newest_revision, m.class_revision) if name}
    if known & {*goal.revisions}:
        return ""
    newest = ", ".join(sorted({m.newest_revision for m in members if m.newest_revision})) or "not known yet"
    words = f"no Cluster that its stages select can be brought to ClusterClass {goal.revisions[0]}"
    return f"{words}: the newest of their kaas is {newest}; make a Rollout of it"


def is_news(now_wanted: Goal, last: Goal, members: Sequence[Member], known: Known, now: datetime) -> bool:
    """Whether a Rollout by channel begins another run: there is what the last one did not bring.

    A newer version is in any case; an image or a class revision when some Cluster lacks it and takes it. What a Cluster
    lacks is known when no update of it is under way.
    """
    version = now_wanted.version
    if version is not None and (last.version is None or version > last.version):
        return True
    return any(_lacks(member, now_wanted, last, known, now) for member in members if member.as_asked)


def _lacks(member: Member, goal: Goal, last: Goal, known: Known, now: datetime) -> bool:
    taken = known.taken.get(member.key, {})
    if Kind.KUBERNETES in taken or version_unfit(member, goal.version) is not None:
        goal, last = goal.without_version, last.without_version
    target, before = target_of(goal, member), target_of(last, member)
    new = {
        Kind.NODE_IMAGES: Target(image=target.image if target.image != before.image else None),
        Kind.CLASS_REVISION: Target(class_revision=_not_in(last.revisions, target.class_revision)),
    }
    lacking = (kind for kind, part in new.items() if kind not in taken and not member.is_made_of(part))
    return any(unfit(member, goal, kind, known.images, now) is None for kind in lacking)


def _not_in(revisions: Sequence[str], name: str | None) -> str | None:
    return None if name in revisions else name
