"""What a round of a Rollout is decided from. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from kaas.api.rollout import RolloutSpec
from kaas.api.rollout_acts import Act, Acts
from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import RolloutMember, Run
from kaas.api.versions import KubernetesVersion
from kaas.updates.rollouts.goal import Goal, target_of
from kaas.updates.rollouts.known_images import NO_IMAGES, KnownImages
from kaas.updates.rollouts.member import Key, Member, Target

SKEW: Final = timedelta(minutes=5)
"""How much the clocks of people may be behind."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the metrics of a Site."""

    site: str
    query: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the metrics of a Site said. value: None when there was no number. problem: why they could not be asked."""

    value: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What there is beside the Rollout and its Clusters.

    newest: newest version of its channel; None when there is none. unfit: why what it names cannot be brought to
    anyone, or nobody knows what its channel brings; empty when neither is so. measured: answers to questions of gates.
    taken: what of Clusters another Rollout decides about, by its name. images: node images that there are.
    """

    newest: KubernetesVersion | None = None
    unfit: str = ""
    measured: Mapping[Ask, Answer] = field(default_factory=dict)
    taken: Mapping[Key, Mapping[Kind, str]] = field(default_factory=dict)
    images: KnownImages = NO_IMAGES


@dataclass(frozen=True, slots=True)
class Scene:
    """One round.

    goal, started: of the run. stages: of each Cluster that one selects, its name. past: runs before it, newest first.
    """

    spec: RolloutSpec
    goal: Goal
    started: datetime
    members: Mapping[Key, Member]
    stages: Mapping[Key, str]
    acts: Acts
    known: Known
    now: datetime
    past: tuple[Run, ...] = ()

    def counts(self, act: Act, skew: timedelta = SKEW) -> bool:
        """Whether something was said to this run: since it started, and not to the one before."""
        said = act.at.replace(microsecond=0)  # as runs are timed
        return said >= self.started - skew and not (self.past and said <= self.past[0].finished)

    @property
    def patience(self) -> timedelta:
        """How long a member may be not Ready."""
        return timedelta(seconds=self.spec.not_ready_seconds)

    def target(self, record: RolloutMember, member: Member) -> Target:
        """What a member is brought to."""
        return target_of(self.goal, member, [kind.kind for kind in record.left_out])

    def brings_version(self, record: RolloutMember) -> bool:
        """Whether a version is among that."""
        return self.goal.version is not None and all(k.kind is not Kind.KUBERNETES for k in record.left_out)


@dataclass(frozen=True, slots=True)
class Told:
    """One Event about a Rollout."""

    reason: str
    message: str
    warning: bool = False
