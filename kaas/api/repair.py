"""How sick nodes are repaired: the policy that NodeRepairTemplate, Cluster and Site speak of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from kaas.api.actions import Action as Action  # noqa: PLC0414 - for those who need the models too
from kaas.api.actions import Mode as Mode  # noqa: PLC0414 - as above
from kaas.api.fields import ObjectName, pattern_rule
from kaas.api.model import Atomic, IntOrString, ListMap, Model
from kaas.api.rules import Rule
from kaas.api.shares import IS_PERCENT, is_percent

WEEK: Final = 604800
_BY_STRICTNESS: Final = (Mode.AUTOMATIC, Mode.DRY_RUN, Mode.OFF)


def strictest(*modes: Mode) -> Mode:
    """The one that allows least."""
    return max(modes, key=_BY_STRICTNESS.index)


NumberOrPercent = Annotated[
    int | str,
    IntOrString(),
    Rule(
        cel=f"type(self) in [int] ? self >= 0 : ({IS_PERCENT})",
        message='must be a number of nodes from 0, or a percentage in quotes, as "20%"',
        check=lambda v: v >= 0 if isinstance(v, int) else is_percent(v),
    ),
]


class Limits(Model):
    """What holds repairs back: beyond these a breaker opens and everything in the scope waits."""

    max_in_flight: NumberOrPercent | None = None
    """Nodes that may be under repair or taken out by an update at once; a percentage is at least one node."""
    max_unhealthy: NumberOrPercent | None = None
    """Sick nodes above which nothing more is done: then it is not the nodes. A percentage is at least one node."""


def _fits_a_week(step: dict[str, Any]) -> bool:
    tries: int = step["retries"] + 1
    return bool(step["timeoutSeconds"] * tries + step["backoffSeconds"] * step["retries"] <= WEEK)


class Step(Model):
    """One rung of the ladder."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.timeoutSeconds * (self.retries + 1) + self.backoffSeconds * self.retries <= {WEEK}",
            message="retries: all tries of a step with their pauses must end within a week (604800 s): "
            "set fewer retries, or a shorter timeoutSeconds or backoffSeconds",
            check=_fits_a_week,
            field=".retries",
        ),
    )
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

    name: Annotated[
        str,
        Field(min_length=1, max_length=63),
        pattern_rule(
            r"[A-Z][A-Za-z0-9]*", "name must be that of a signal, as NodeNotReady: see docs/repairs-signals.md"
        ),
    ]
    """Name of the signal, as in docs/repairs-signals.md."""
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

    url: Annotated[
        str,
        Field(min_length=1, max_length=2048),
        pattern_rule(
            r"https?://[^\s]+", "url must begin with https:// or http://, as https://tickets.example.com/hook"
        ),
    ]
    """Gets a POST with JSON: node, cluster, pool, what is wrong, what was tried."""


def _actions(check: Callable[[list[str]], bool]) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda steps: check([step["action"] for step in steps])


def _replaces_late(actions: list[str]) -> bool:
    return "Replace" not in actions or actions[actions.index("Replace") + 1 :] in ([], ["Quarantine"])


def _drains_first(actions: list[str]) -> bool:
    return "Drain" not in actions or not REBOOTS & set(actions[: actions.index("Drain")])


REBOOTS: Final = frozenset({"SoftReboot", "HardReboot", "Rebuild", "PowerCycle"})
"""Actions that end the pods of a node."""
_BY_NAME: Final = sorted(REBOOTS)


def _place(*actions: str) -> str:
    """In CEL, the index of the first step with one of these actions, -1 when there is none."""
    return f"self.map(s, s.action in [{', '.join(repr(a) for a in actions)}]).indexOf(true)"


STEP_RULES: Final = (
    Rule(
        cel="self.all(s, self.exists_one(t, t.action == s.action))",
        message="steps: an action stands there twice: set retries at its step in place of a second one",
        check=_actions(lambda actions: len(set(actions)) == len(actions)),
    ),
    Rule(
        cel=f"{_place('Quarantine')} in [-1, size(self) - 1]",
        message="steps: nothing comes after Quarantine, for then a person has the node: make it the last step",
        check=_actions(lambda actions: "Quarantine" not in actions[:-1]),
    ),
    Rule(
        cel=f"{_place('Replace')} in [-1, size(self) - 1] || "
        f"({_place('Replace')} == size(self) - 2 && self[size(self) - 1].action == 'Quarantine')",
        message="steps: only Quarantine may come after Replace, for the machine is gone then: move Replace to the end",
        check=_actions(_replaces_late),
    ),
    Rule(
        cel=f"{_place('Drain')} < 0 || {_place(*_BY_NAME)} < 0 || {_place('Drain')} < {_place(*_BY_NAME)}",
        message="steps: Drain after a reboot saves no pod, they have ended: move Drain before it",
        check=_actions(_drains_first),
    ),
)

Steps = Annotated[tuple[Step, ...], Field(min_length=1, max_length=16), Atomic(), *STEP_RULES]


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


class ClusterRepair(Model):
    """How the nodes of a Cluster are repaired."""

    mode: Mode = Mode.AUTOMATIC
    """What may be done; the strictest of fleet, Site, Cluster and pool counts."""
    limits: Limits = Field(default_factory=Limits)
    """What holds repairs of the Cluster back, all pools and the control plane together."""
    template: ObjectName | None = None
    """NodeRepairTemplate for all pools, in the Cluster's namespace; when left out, the ladder that suits the pool."""


class PoolRepair(Model):
    """How the nodes of a pool are repaired."""

    mode: Mode = Mode.AUTOMATIC
    """What may be done; the strictest of fleet, Site, Cluster and pool counts."""
    limits: Limits = Field(default_factory=Limits)
    """What holds repairs of the pool back; what is left out is as in the template."""
    template: ObjectName | None = None
    """NodeRepairTemplate for this pool, in the Cluster's namespace; when left out, that of `spec.repair`."""


class SiteRepair(Model):
    """How the nodes of all Clusters on a Site are repaired."""

    mode: Mode = Mode.AUTOMATIC
    """What may be done; the strictest of fleet, Site, Cluster and pool counts."""
    limits: Limits = Field(default_factory=Limits)
    """What holds repairs of the whole Site back."""
    zone_limits: Limits = Field(default_factory=Limits)
    """What holds repairs of one zone of the Site back."""
    ticket: Ticket | None = None
    """Who is told when a node needs a person, unless its template says otherwise."""
