"""Which Clusters a Rollout is about, and the stage that each belongs to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kaas.api.rollout import ClusterSelector, Stage
from kaas.api.selectors import fulfils
from kaas.updates.rollouts.member import Member


def selects(selector: ClusterSelector, member: Member) -> bool:
    """Whether all that a selector says holds for a Cluster."""
    labels = member.labels
    return (
        (not selector.namespaces or member.key[0] in selector.namespaces)
        and (not selector.names or member.name in selector.names)
        and (not selector.sites or member.site in selector.sites)
        and all(labels.get(key) == value for key, value in selector.match_labels.items())
        and all(fulfils(labels.get(r.key), r.operator, r.values) for r in selector.match_expressions)
    )


def stage_of(stages: Sequence[Stage], member: Member) -> Stage | None:
    """The first stage that selects a Cluster; None when none does."""
    return next((stage for stage in stages if selects(stage.selector, member)), None)
