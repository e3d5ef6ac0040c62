"""`NodeRepairTemplate`: how the nodes of a pool are repaired."""

from __future__ import annotations

from typing import ClassVar, Literal

from kaas.api.model import AGE, CONTRACT_LABELS, Column, Model, Resource
from kaas.api.repair import RepairPolicy


def template_name(cluster: str, pool: str) -> str:
    """Name of the template that is rendered for a pool; pool "" is the control plane.

    The dots keep them apart, for neither a Cluster's name nor a pool's has any: `a-b` with pool `c` is not `a` with
    `b-c`, and a pool may be called control-plane.
    """
    return f"{cluster}.pool.{pool}" if pool else f"{cluster}.control-plane"


class NodeRepairBlueprint(Model):
    """What a NodeRepair is made from."""

    spec: RepairPolicy
    """How the nodes are repaired."""


class NodeRepairTemplateSpec(Model):
    """What repairs are made from."""

    template: NodeRepairBlueprint
    """Copied into each NodeRepair, by Cluster API too."""


class NodeRepairTemplate(Resource):
    """How nodes are repaired: the ladder, what it is climbed for, and what holds it back.

    Clusters name one in `spec.repair.template` and `spec.nodePools[].repair.template`. Those with dots in their names
    are made by the controller, one a pool, from what all of them say together.
    """

    plural: ClassVar[str] = "noderepairtemplates"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Namespaced"
    short_names: ClassVar[tuple[str, ...]] = ("nrt",)
    crd_labels: ClassVar[dict[str, str]] = CONTRACT_LABELS
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Mode", json_path=".spec.template.spec.mode"),
        Column(name="Steps", json_path=".spec.template.spec.steps[*].action"),
        Column(name="In flight", json_path=".spec.template.spec.limits.maxInFlight", priority=1),
        Column(name="Unhealthy", json_path=".spec.template.spec.limits.maxUnhealthy", priority=1),
        AGE,
    )

    kind: Literal["NodeRepairTemplate"] = "NodeRepairTemplate"
    spec: NodeRepairTemplateSpec
    """What repairs are made from."""
