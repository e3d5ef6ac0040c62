"""What is said of repairs: of one node by its NodeRepair, of all together by the Cluster's status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from kaas.api.model import Atomic, ListMap, Model
from kaas.api.repair import Action

MAX_NODES: Final = 32
"""Nodes that a Cluster's status lists; the counts are about all of them."""
MAX_TRIED: Final = 20
MAX_MESSAGE: Final = 2048

Name = Annotated[str, Field(max_length=253)]
Signals = Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=64), Atomic()]
RepairState = Literal["Watching", "Held", "Repairing", "Waiting", "Healed", "Quarantined", "DryRun"]


class RepairFinding(Model):
    """One thing that is wrong with a node."""

    signal: str = Field(max_length=63)
    """Name of the signal, as in docs/repairs-signals.md."""
    since: datetime
    """Since when, as far as is known (UTC)."""
    message: str = Field(max_length=MAX_MESSAGE)
    """What is wrong, for people."""


class TriedStep(Model):
    """One step that was tried."""

    action: Action
    """What was done."""
    cause: str = Field(max_length=63)
    """Signal for which it was done."""
    began: datetime
    """When it began (UTC)."""
    ended: datetime
    """When it was known whether it helped (UTC)."""
    outcome: Literal["Succeeded", "Failed", "TimedOut", "Skipped", "CalledOff"]
    """What came of it."""
    message: str = Field(default="", max_length=MAX_MESSAGE)
    """Why, for people."""


class OpenBreaker(Model):
    """Something that holds every repair of its scope back."""

    scope: str = Field(max_length=512)
    """What it is about: `pool/<namespace>/<cluster>/<pool>`, `cluster/…`, `zone/<site>/<zone>`, `site/…` or `fleet`."""
    reason: str = Field(max_length=128)
    """Why it opened, as one CamelCase word."""
    message: str = Field(max_length=MAX_MESSAGE)
    """The numbers, and the way out."""
    since: datetime
    """When it opened (UTC)."""


class SickNode(Model):
    """One node that is sick or under repair."""

    machine: Name
    """Name of its Machine."""
    node: Name | None = None
    """Name of its Node; left out for a machine that never joined."""
    pool: Name = ""
    """Its pool; empty for the control plane."""
    signals: Signals = ()
    """What is wrong with it."""
    since: datetime
    """Since when (UTC)."""
    state: RepairState
    """Watching: it is tolerated still, or watched after a repair. Held: something holds the next step back. Repairing:
    a step is under way. Waiting: a step was done and has not yet helped. Healed: nothing is wrong any more.
    Quarantined: it waits for a person. DryRun: what is said would be done."""
    reason: str = Field(default="", max_length=128)
    """What holds it back, as one CamelCase word."""
    message: str = Field(default="", max_length=MAX_MESSAGE)
    """What is done or waited for, for people."""
    step: Action | None = None
    """The step that is under way or comes next."""
    next_time: datetime | None = None
    """When it is looked at again at the latest (UTC)."""


class PoolRepairs(Model):
    """Repairs of one pool, counted."""

    name: Name
    """Name of the pool; empty for the control plane."""
    in_flight: int = Field(ge=0)
    """Nodes under repair: meanwhile no update replaces machines of the pool."""
    unhealthy: int = Field(ge=0)
    """Nodes that are sick for longer than is tolerated."""


class RepairSummary(Model):
    """Sick nodes of a Cluster, and what is done about them."""

    unhealthy: int = Field(ge=0)
    """Nodes that are sick for longer than is tolerated."""
    in_flight: int = Field(ge=0)
    """Nodes under repair."""
    quarantined: int = Field(ge=0)
    """Nodes that wait for a person."""
    breakers: Annotated[tuple[OpenBreaker, ...], Field(max_length=64), ListMap("scope", "reason")] = ()
    """What holds repairs back here."""
    nodes: Annotated[tuple[SickNode, ...], Field(max_length=MAX_NODES), ListMap("machine")] = ()
    """The nodes, those that are repaired first."""
    pools: Annotated[tuple[PoolRepairs, ...], Field(max_length=100), ListMap("name")] = ()
    """Pools with sick nodes, counted."""
