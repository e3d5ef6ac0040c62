"""Which Clusters a Rollout is about, and the stage that each belongs to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kaas.api.rollout import ClusterSelector, Stage
from kaas.updates.rollouts.member import Member


def selects(selector: ClusterSelector, member: Member) -> bool:
    """Whether all that a selector says holds for a Cluster."""
    return selector.selects(*member.key, member.site, member.labels)


def stage_of(stages: Sequence[Stage], member: Member) -> Stage | None:
    """The first stage that selects a Cluster; None when none does."""
    return next((stage for stage in stages if selects(stage.selector, member)), None)
