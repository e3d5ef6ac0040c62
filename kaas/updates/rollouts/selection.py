"""Which Clusters a Rollout is about, and the stage that each belongs to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kaas.api.rollout import ClusterSelector, Requirement, Stage
from kaas.updates.rollouts.member import Member

_OPERATORS: Final[Mapping[str, Callable[[str | None, Sequence[str]], bool]]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


def selects(selector: ClusterSelector, member: Member) -> bool:
    """Whether all that a selector says holds for a Cluster."""
    labels = member.labels
    return (
        (not selector.namespaces or member.key[0] in selector.namespaces)
        and (not selector.names or member.name in selector.names)
        and (not selector.sites or member.site in selector.sites)
        and all(labels.get(key) == value for key, value in selector.match_labels.items())
        and all(_holds(requirement, labels) for requirement in selector.match_expressions)
    )


def stage_of(stages: Sequence[Stage], member: Member) -> Stage | None:
    """The first stage that selects a Cluster; None when none does."""
    return next((stage for stage in stages if selects(stage.selector, member)), None)


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    return _OPERATORS[requirement.operator](labels.get(requirement.key), requirement.values)
