"""What a run of a Rollout brings, and what of that one member is brought to. Pure.

It is fixed when the run begins, and stands in the Rollout's status.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

from kaas.api.rollout import BY_HAND, RolloutSpec
from kaas.api.rollout_carried import CarriedImage, Kind
from kaas.api.rollout_status import RolloutStatus
from kaas.api.versions import KubernetesVersion
from kaas.updates.rollouts.member import Member, Target, joined

ALL_KINDS: Final = frozenset(Kind)
_OF_CHANNEL: Final = (Kind.KUBERNETES,)  # what a channel brings when nothing is said


def carried(spec: RolloutSpec) -> frozenset[Kind]:
    """Kinds of updates that a Rollout decides about."""
    if spec.channel is not None:
        return frozenset(spec.updates or _OF_CHANNEL)
    named = (spec.version, spec.image, spec.class_revision)
    return frozenset(kind for kind, name in zip(Kind, named, strict=True) if name is not None)


def carried_by(spec: Any) -> frozenset[Kind]:
    """The same of a spec that cannot be read: all, where it cannot be made out."""
    said = spec if isinstance(spec, dict) else {}
    if "channel" not in said:
        return frozenset(kind for kind, field in zip(Kind, BY_HAND, strict=True) if field in said) or ALL_KINDS
    updates = said.get("updates", _OF_CHANNEL)
    known = {str(update) for update in updates} if isinstance(updates, Sequence) else set()
    return frozenset(map(Kind, known)) if known and known <= ALL_KINDS else ALL_KINDS


@dataclass(frozen=True)
class Goal:
    """What a run brings. images: one for a version and Site at most. revisions: names, one of a provider at most."""

    kinds: frozenset[Kind] = frozenset({Kind.KUBERNETES})
    version: KubernetesVersion | None = None
    images: tuple[CarriedImage, ...] = ()
    revisions: tuple[str, ...] = ()
    by_hand: bool = True

    @classmethod
    def of(cls, spec: RolloutSpec, status: RolloutStatus | None) -> Self:
        """What goes through the fleet, or went last; by hand as far as the spec says it before a run has begun."""
        said = status or RolloutStatus()
        revisions = said.class_revisions or ((spec.class_revision,) if spec.class_revision else ())
        version = KubernetesVersion.known(spec.version or said.version)
        return cls(carried(spec), version, said.images, revisions, spec.channel is None)

    def __bool__(self) -> bool:
        """Whether there is anything to bring."""
        return bool(self._brought)

    def brings(self, kind: Kind) -> bool:
        """Whether there is anything of a kind to bring."""
        return kind in self._brought

    @cached_property
    def _brought(self) -> frozenset[Kind]:
        parts = (self.version is not None, bool(self.images), bool(self.revisions))
        return frozenset(kind for kind, there in zip(Kind, parts, strict=True) if there and kind in self.kinds)

    @cached_property
    def targets(self) -> dict[tuple[Any, ...], Target]:
        """What was found for Clusters before: those that run the same, at the same Site, are brought to the same."""
        return {}

    @cached_property
    def without_version(self) -> Goal:
        """The same for a Cluster that is brought to no version by it: an image is then one of what runs."""
        return replace(self, kinds=self.kinds - {Kind.KUBERNETES})

    @cached_property
    def _images(self) -> dict[tuple[str | None, str], str]:
        return {(i.site, i.version): i.image for i in self.images}

    def image_for(self, version: KubernetesVersion | None, site: str) -> str | None:
        """The image for a version at a Site; None when there is none."""
        if version is None:
            return None
        return self._images.get((site, str(version))) or self._images.get((None, str(version)))

    @property
    def words(self) -> str:
        """What it brings, for people."""
        names = sorted({i.image for i in self.images})
        images = f"node image {names[0]}" if len(names) == 1 else f"{len(names)} node images" if names else ""
        classes = f"ClusterClass {' and '.join(self.revisions)}" if self.revisions else ""
        return joined(self.version, images, classes)


def target_of(goal: Goal, member: Member, left_out: Collection[Kind] = ()) -> Target:
    """What a Cluster is brought to. left_out: kinds that it does not take.

    The image is that of the version that it is brought to; where it is brought to none, of what it runs.
    """
    coming = member.coming.class_revision
    made_of = (member.running, member.site, member.newest_revision, member.class_revision, coming)
    key = (frozenset(left_out), made_of)
    found = goal.targets.get(key)
    if found is None:
        found = goal.targets[key] = _target_of(goal, member, goal.kinds - key[0])
    return found


def _target_of(goal: Goal, member: Member, kinds: Collection[Kind]) -> Target:
    version = goal.version if Kind.KUBERNETES in kinds else None
    base = version if version is not None and (member.running is None or member.running < version) else member.running
    return Target(
        version,
        goal.image_for(base, member.site) if Kind.NODE_IMAGES in kinds else None,
        _revision(goal.revisions, member) if Kind.CLASS_REVISION in kinds else None,
    )


def _revision(revisions: Sequence[str], member: Member) -> str | None:
    """The one that it can be moved to, else the one that it is on, or is being moved to."""
    known = (member.newest_revision, member.class_revision, member.coming.class_revision)
    return next((name for name in known if name in revisions), None)
