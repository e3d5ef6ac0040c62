"""What a round of a Rollout is decided from. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kaas.api.rollout import RolloutSpec
from kaas.api.rollout_acts import Acts
from kaas.api.versions import KubernetesVersion
from kaas.updates.rollouts.member import Key, Member


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

    newest: newest version of its channel; None when there is none. unfit: why the version that it names cannot be
    brought to anyone; empty when it can. measured: answers to questions of gates. taken: Clusters that another Rollout
    decides about, by its name.
    """

    newest: KubernetesVersion | None = None
    unfit: str = ""
    measured: Mapping[Ask, Answer] = field(default_factory=dict)
    taken: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """One round. version, started: of the run. stages: of each Cluster that one selects, its name."""

    spec: RolloutSpec
    version: KubernetesVersion
    started: datetime
    members: Mapping[Key, Member]
    stages: Mapping[Key, str]
    acts: Acts
    known: Known
    now: datetime

    @property
    def patience(self) -> timedelta:
        """How long a member may be not Ready."""
        return timedelta(seconds=self.spec.not_ready_seconds)


@dataclass(frozen=True, slots=True)
class Told:
    """One Event about a Rollout."""

    reason: str
    message: str
    warning: bool = False
