"""`NodeRepair`: the repair of one Machine, in the shape that Cluster API's external remediation asks for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kaas.api.model import AGE, CONTRACT_LABELS, Atomic, Column, Conditions, Model, Resource, condition_message
from kaas.api.repair import Action, RepairPolicy
from kaas.api.repair_status import MAX_MESSAGE, MAX_TRIED, Name, RepairFinding, TriedStep

Phase = Literal["Pending", "Repairing", "Held", "Succeeded", "Failed", "Quarantined", "DryRun"]
Findings = Annotated[tuple[RepairFinding, ...], Field(max_length=64), Atomic()]
Tried = Annotated[tuple[TriedStep, ...], Field(max_length=MAX_TRIED), Atomic()]


class NodeRepairStatus(Model):
    """How far the repair is. Written before each step and after it, so that another controller can go on."""

    phase: Phase | None = None
    """The repair in one word. Pending: nothing is decided yet. Repairing: a step is under way, or it is watched whether
    it helped. Held: the next step is due and something holds it back. Succeeded: nothing is wrong any more. Failed: no
    step helped. Quarantined: a person has the node. DryRun: it is shown what would be done."""
    message: str | None = Field(default=None, max_length=MAX_MESSAGE)
    """What is done or waited for, for people."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The metadata.generation that this status is about."""
    node: Name | None = None
    """Name of the Node; left out for a machine that never joined."""
    pool: Name | None = None
    """Name of the pool; left out for the control plane."""
    began: datetime | None = None
    """When the repair began (UTC)."""
    cause: str | None = Field(default=None, max_length=63)
    """Signal that the repair began with."""
    findings: Findings = ()
    """What is wrong now."""
    step: int | None = Field(default=None, ge=0)
    """Index of the step in `spec.steps`."""
    action: Action | None = None
    """The step that is under way or was done last."""
    number: int | None = Field(default=None, ge=0)
    """Which try of this step, from 1."""
    started: datetime | None = None
    """When this try began (UTC)."""
    acted: datetime | None = None
    """When its act was done (UTC); left out while it is under way."""
    failed: str | None = Field(default=None, max_length=MAX_MESSAGE)
    """Why the act could not be done."""
    not_before: datetime | None = None
    """End of the pause before the next try (UTC)."""
    boot_id: str | None = Field(default=None, max_length=128)
    """Boot ID of the Node before the step: another one shows that it was rebooted."""
    cordoned: bool | None = None
    """Whether the repair cordoned the Node, and so uncordons it."""
    quarantined: datetime | None = None
    """Since when a person has the node (UTC)."""
    next_time: datetime | None = None
    """When it is looked at again at the latest (UTC)."""
    tried: Tried = ()
    """Steps of this repair that were tried, oldest first."""
    conditions: Conditions = ()
    """Progressing: whether the repair goes on. Held: whether something holds the next step back, and what."""


class NodeRepair(Resource):
    """The repair of one Machine; it has the Machine's name. The controller makes it, and so does Cluster API."""

    plural: ClassVar[str] = "noderepairs"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Namespaced"
    short_names: ClassVar[tuple[str, ...]] = ("nr",)
    crd_labels: ClassVar[dict[str, str]] = CONTRACT_LABELS
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Node", json_path=".status.node"),
        Column(name="Phase", json_path=".status.phase"),
        Column(name="Cause", json_path=".status.cause", description="What is wrong"),
        Column(name="Step", json_path=".status.action"),
        Column(name="Try", json_path=".status.number", type="integer", priority=1),
        Column(name="Since", json_path=".status.began", type="date"),
        condition_message("Held"),
        Column(name="Next", json_path=".status.nextTime", priority=1, description="Looked at again at the latest"),
        AGE,
    )

    kind: Literal["NodeRepair"] = "NodeRepair"
    spec: RepairPolicy
    """How the node is repaired: the policy of its pool when the repair began."""
    status: NodeRepairStatus | None = None
    """How far the repair is."""
