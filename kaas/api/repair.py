"""How sick nodes are repaired: the policy that NodeRepairTemplate, Cluster and Site speak of."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from kaas.api.model import ListMap, Model
from kaas.api.rules import Rule

_PERCENT: Final = r"(100|[1-9]?[0-9])%"


class Action(StrEnum):
    """A step of a ladder, from the mildest to the hardest."""

    WAIT = "Wait"
    RESTART_DEVICE_PLUGIN = "RestartDevicePlugin"
    DRAIN = "Drain"
    SOFT_REBOOT = "SoftReboot"
    HARD_REBOOT = "HardReboot"
    REBUILD = "Rebuild"
    POWER_CYCLE = "PowerCycle"
    REPLACE = "Replace"
    QUARANTINE = "Quarantine"


class Mode(StrEnum):
    """What may be done. DryRun: decisions are shown, nothing is done. Off: nodes are not even looked at."""

    AUTOMATIC = "Automatic"
    DRY_RUN = "DryRun"
    OFF = "Off"


NumberOrPercent = Annotated[
    int | str,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
    Rule(
        cel=f"type(self) == int ? self >= 0 : self.matches('^(?:{_PERCENT})$')",
        message='must be a number of nodes from 0, or a percentage as "20%"',
        check=lambda v: v >= 0 if isinstance(v, int) else re.fullmatch(_PERCENT, v) is not None,
    ),
]


class Limits(Model):
    """What holds repairs back: beyond these a breaker opens and everything in the scope waits."""

    max_in_flight: NumberOrPercent | None = None
    """Nodes that may be under repair or taken out by an update at once; a percentage is at least one node."""
    max_unhealthy: NumberOrPercent | None = None
    """Sick nodes above which nothing more is done: then it is not the nodes. A percentage is at least one node."""


class Step(Model):
    """One rung of the ladder."""

    action: Action
    """What is done."""
    timeout_seconds: int = Field(default=600, ge=1, le=604800)
    """Seconds after which the step has not helped. For Drain: how long pods are waited for before the next step."""
    retries: int = Field(default=0, ge=0, le=10)
    """How often it is tried again before the next step."""
    backoff_seconds: int = Field(default=60, ge=0, le=86400)
    """Pause before it is tried again."""


class SignalPolicy(Model):
    """How one signal counts here."""

    name: str = Field(min_length=1, max_length=63)
    """Name of the signal, as in docs/repairs.md."""
    enabled: bool = True
    """Whether it counts at all."""
    tolerance_seconds: int | None = Field(default=None, ge=0, le=604800)
    """Seconds that it may last; when left out, as in the table."""
    entry: Action | None = None
    """The first step of the ladder that is tried; when left out, as in the table."""


class XidPolicy(Model):
    """How one XID of the NVIDIA driver counts here."""

    number: int = Field(ge=1, le=999)
    """The XID."""
    action: Literal["Ignore", "Reset", "Reboot", "PowerCycle", "Replace", "Support"]
    """What it asks for. Reset and Reboot: the node is rebooted. Support: it is quarantined."""


class Memory(Model):
    """How earlier repairs count."""

    climb_within_seconds: int = Field(default=86400, ge=0, le=2592000)
    """A node that is sick again within so long after a repair begins one step above the one that helped."""
    max_repairs: int = Field(default=3, ge=1, le=100)
    """Repairs of one node within `climbWithinSeconds` after which it goes to the end of the ladder."""
    max_replacements: int = Field(default=3, ge=1, le=100)
    """Replacements in a row that did not help, after which the pool's breaker opens until a person resumes it."""


class Ticket(Model):
    """Who is told when a node needs a person."""

    url: str = Field(min_length=1, max_length=2048, pattern=r"^https?://")
    """Gets a POST with JSON: node, cluster, pool, what is wrong, what was tried."""


Steps = Annotated[tuple[Step, ...], Field(min_length=1, max_length=16)]


class RepairPolicy(Model):
    """How the nodes of a pool are repaired."""

    mode: Mode = Mode.AUTOMATIC
    """What may be done."""
    steps: Steps
    """The ladder, mildest first."""
    limits: Limits = Limits()
    """What holds repairs of the pool back."""
    signals: Annotated[tuple[SignalPolicy, ...], Field(max_length=64), ListMap("name")] = ()
    """Signals that count differently here."""
    xids: Annotated[tuple[XidPolicy, ...], Field(max_length=256), ListMap("number")] = ()
    """XIDs that count differently here."""
    memory: Memory = Memory()
    """How earlier repairs count."""
    settle_seconds: int = Field(default=30, ge=0, le=3600)
    """Seconds that a node must be well before it counts as healed."""
    ticket: Ticket | None = None
    """Who is told when a node needs a person; when left out, as the Site says."""
