"""`Rollout`: a change going through a fleet, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AwareDatetime, Field

from kaas.api.constants import GROUP
from kaas.api.fields import DNS_LABEL, KEY_RULE, LABEL_RULES, LabelValue, NamespaceName, SiteName, pattern_rule
from kaas.api.model import AGE, Atomic, Column, IntOrString, ListSet, Model, Resource
from kaas.api.rollout_carried import ClassName, Image, Kind
from kaas.api.rollout_status import MAX_GATES, MAX_STAGES, RolloutStatus
from kaas.api.rules import Rule
from kaas.api.selectors import fulfils
from kaas.api.shares import IS_PERCENT, is_percent
from kaas.api.updates import MinorVersion
from kaas.api.verification import PromQL
from kaas.api.versions import ExactVersion

# On a Rollout, each JSON: what to whom, `{"by": ..., "at": <RFC 3339>, "reason": ...}`; see kaas.api.rollout_acts.
ANNOTATION_ROLLOUT_APPROVED: Final = f"{GROUP}/rollout-approved"
"""Approvals: `<stage>`, or `<stage>/<gate>` for one of several gates, to the act. One approval opens one gate."""
ANNOTATION_ROLLOUT_SKIP: Final = f"{GROUP}/rollout-skip"
"""Members that are left out of this run: `<namespace>/<name>` to the act."""
ANNOTATION_ROLLOUT_RETRY: Final = f"{GROUP}/rollout-retry"
"""Members that failed, or were skipped, and are tried again: `<namespace>/<name>` to the act."""
ANNOTATION_ROLLOUT_ABORT: Final = f"{GROUP}/rollout-abort"
"""The run is ended: one act. Members that have begun are finished, no other begins."""

DAY: Final = 86400


def _count(least: int, words: str) -> Rule:
    return Rule(
        cel=f"type(self) in [int] ? self >= {least} : ({IS_PERCENT})",
        message=words,
        check=lambda v: v >= least if isinstance(v, int) else is_percent(v),
    )


AtOnce = Annotated[
    int | str, IntOrString(), _count(1, 'must be a number of Clusters from 1, or a percentage in quotes, as "20%"')
]
"""How many Clusters at once; a percentage is rounded down, and at least one."""
Failures = Annotated[
    int | str, IntOrString(), _count(0, 'must be a number of Clusters from 0, or a percentage in quotes, as "5%"')
]
"""How many Clusters may fail; a percentage is rounded up."""

StageName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    pattern_rule(DNS_LABEL, "name must have only lower-case letters, digits and '-', as canary"),
]
ClusterPath = Annotated[
    str,
    Field(min_length=3, max_length=127),
    pattern_rule(f"{DNS_LABEL}/{DNS_LABEL}", "names must be of Clusters with their namespaces, as team-a/training"),
]


# --- gates --------------------------------------------------------------------------------------------------------


class GateType(StrEnum):
    """What a gate asks for."""

    HEALTHY = "Healthy"
    PROM_QL = "PromQL"
    APPROVAL = "Approval"
    START_AT = "StartAt"


class PromQLGate(PromQL):
    """A question to the Sites' metrics, and which answers are good. No number keeps the gate closed."""

    query: str = Field(min_length=1, max_length=2048)
    """Expression whose value is one number, as `sum(rate(errors_total[5m]))`; for no data to count as 0, end it with
    `or vector(0)`."""
    sites: Annotated[tuple[SiteName, ...], Field(max_length=64), ListSet()] = ()
    """Sites whose metrics are asked, and whose answers must all be good; left out: those of the members so far, or of
    the stage's Clusters before the first has started."""


class StartAtGate(Model):
    """A time to wait for."""

    time: AwareDatetime
    """When it opens."""


_NEEDS: Final = {GateType.PROM_QL: "promQL", GateType.START_AT: "startAt"}


def _belongs(field: str, kind: GateType, example: str) -> Rule:
    return Rule(
        cel=f"has(self.{field}) == (self.type == '{kind}')",
        message=f"{field} is for a gate of type {kind}, which needs it: set {example}, or another type",
        check=lambda gate: (field in gate) == (gate["type"] == kind),
        field=f".{field}",
    )


class Gate(Model):
    """What must hold before a Rollout goes on."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _belongs(_NEEDS[GateType.PROM_QL], GateType.PROM_QL, "promQL.query and its bounds"),
        _belongs(_NEEDS[GateType.START_AT], GateType.START_AT, "startAt.time"),
        Rule(
            cel="!has(self.sustainedSeconds) || self.sustainedSeconds == 0 || self.type in ['Healthy', 'PromQL']",
            message="sustainedSeconds is for gates of type Healthy and PromQL, others open once and for all: remove it",
            check=lambda gate: not gate.get("sustainedSeconds") or gate["type"] in ("Healthy", "PromQL"),
            field=".sustainedSeconds",
        ),
    )
    name: StageName
    """Name of the gate, unique in its list."""
    type: GateType
    """Healthy: all members that were updated so far are Ready, and no update of theirs has stopped. PromQL: a question
    to the Sites' metrics. Approval: a person says so. StartAt: a time has come."""
    prom_ql: PromQLGate | None = Field(default=None, alias="promQL")
    """The question, for type PromQL."""
    start_at: StartAtGate | None = None
    """The time, for type StartAt."""
    sustained_seconds: int = Field(default=0, ge=0, le=30 * DAY)
    """Seconds for which it must hold without a break, for types Healthy and PromQL."""


_UNIQUE: Final = "self.all(x, self.exists_one(y, y.name == x.name))"


def _unique_names(items: list[dict[str, Any]]) -> bool:
    names = [item["name"] for item in items]
    return len(set(names)) == len(names)


Gates = Annotated[
    tuple[Gate, ...],
    Field(max_length=MAX_GATES),
    Atomic(),
    Rule(cel=_UNIQUE, message="gates: a name stands there twice: give each its own", check=_unique_names),
]


# --- who ----------------------------------------------------------------------------------------------------------


class Requirement(Model):
    """What a label must be, as in Kubernetes' own selectors."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            message="values are for the operators In and NotIn, which need some: set them, or use Exists or "
            "DoesNotExist without",
            check=lambda r: (r["operator"] in ("In", "NotIn")) == bool(r.get("values")),
            field=".values",
        ),
    )
    key: Annotated[str, Field(min_length=1, max_length=317), KEY_RULE]
    """Name of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How it is compared. NotIn holds too when there is no such label."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=32), ListSet()] = ()
    """Values to compare with."""


class ClusterSelector(Model):
    """Which Clusters: all that is said must hold; nothing said selects all."""

    namespaces: Annotated[tuple[NamespaceName, ...], Field(max_length=100), ListSet()] = ()
    """Namespaces that they are in, one of these."""
    names: Annotated[tuple[ClusterPath, ...], Field(max_length=200), ListSet()] = ()
    """They are one of these: namespace and name, as `team-a/training`."""
    sites: Annotated[tuple[SiteName, ...], Field(max_length=64), ListSet()] = ()
    """Sites that they run on, one of these."""
    match_labels: Annotated[dict[str, LabelValue], Field(max_length=16), LABEL_RULES[0]] = Field(default_factory=dict)
    """Labels that they have, all of these."""
    match_expressions: Annotated[tuple[Requirement, ...], Field(max_length=16), Atomic()] = ()
    """What their labels must be, all of these."""

    def selects(self, namespace: str, name: str, site: str, labels: Mapping[str, str]) -> bool:
        """Whether all that is said holds for a Cluster of that name, on that Site, with these labels."""
        return (
            (not self.namespaces or namespace in self.namespaces)
            and (not self.names or f"{namespace}/{name}" in self.names)
            and (not self.sites or site in self.sites)
            and all(labels.get(key) == value for key, value in self.match_labels.items())
            and all(fulfils(labels.get(r.key), r.operator, r.values) for r in self.match_expressions)
        )


# --- stages -------------------------------------------------------------------------------------------------------


class Stage(Model):
    """Clusters that are updated before those of the next stage."""

    name: StageName
    """Name of the stage, unique in the Rollout."""
    selector: ClusterSelector = Field(default_factory=ClusterSelector)
    """Its Clusters, of those that no stage before it selects; all of them when left out. The list is fixed when the
    stage starts."""
    max_concurrency: AtOnce = 1
    """How many of its Clusters are updated at once; a percentage of them is rounded down, and at least one."""
    per_site: AtOnce | None = None
    """How many of its Clusters on one Site are updated at once; no limit when left out."""
    per_zone: AtOnce | None = None
    """How many of its Clusters in one zone of a Site are updated at once; no limit when left out."""
    soak_seconds: int = Field(default=0, ge=0, le=30 * DAY)
    """Seconds to wait after its last Cluster came to its end."""
    max_failures: Failures = 0
    """How many of its Clusters may fail before the Rollout stops; a percentage of them is rounded up."""
    before_gates: Gates = ()
    """What must hold before it starts; asked one after the other."""
    after_gates: Gates = ()
    """What must hold after its soak before the next stage starts; asked one after the other."""


Stages = Annotated[
    tuple[Stage, ...],
    Field(min_length=1, max_length=MAX_STAGES),
    Atomic(),
    Rule(cel=_UNIQUE, message="stages: a name stands there twice: give each its own", check=_unique_names),
]


BY_HAND: Final = ("version", "image", "classRevision")
"""Fields of a Rollout that is made by hand, in the order of the kinds that they are of."""


def _immutable(field: str, why: str) -> Rule:
    return Rule(cel="self == oldSelf", message=f"{field} of a Rollout cannot change, {why}: make another Rollout")


def _stays(field: str) -> str:
    return f"has(self.{field}) == has(oldSelf.{field})"


def _is_by_hand(spec: dict[str, Any]) -> bool:
    return any(field in spec for field in BY_HAND)


class RolloutSpec(Model):
    """What goes through which Clusters, and how carefully."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"({' || '.join(f'has(self.{field})' for field in BY_HAND)}) != has(self.channel)",
            message="a Rollout is made by hand or by a channel: set at least one of version, image and classRevision "
            "for one run, or channel alone for a run with every newer one of it",
            check=lambda spec: _is_by_hand(spec) != ("channel" in spec),
        ),
        Rule(
            cel="!has(self.updates) || has(self.channel)",
            message="updates says what of the channel goes through the fleet: remove it beside version, image and "
            "classRevision, which say so themselves",
            check=lambda spec: "updates" not in spec or "channel" in spec,
            field=".updates",
        ),
        Rule(
            cel="!has(self.minor) || has(self.channel)",
            message="minor goes with channel, whose newest version of that minor is meant: remove it beside version",
            check=lambda spec: "minor" not in spec or "channel" in spec,
            field=".minor",
        ),
        Rule(
            cel="!has(self.minor) || !has(self.updates) || self.updates.exists(u, u != 'ClassRevision')",
            message="minor is of versions and node images, and updates names neither: remove it, or add one to updates",
            check=lambda spec: "minor" not in spec or any(u != "ClassRevision" for u in spec.get("updates", ["any"])),
            field=".minor",
        ),
        Rule(
            cel=" && ".join(map(_stays, (*BY_HAND, "channel"))),
            message="a Rollout goes on carrying what it carries: to add or to remove version, image, classRevision or "
            "channel, make another Rollout",
        ),
    )
    version: Annotated[ExactVersion, _immutable("version", "Clusters may already run it")] | None = None
    """Version that its Clusters are brought to, as v1.36.3."""
    image: Annotated[Image, _immutable("image", "Clusters may already have it")] | None = None
    """Node image that its Clusters are brought to, as a Release or `spec.images` of a Site names it; those of other
    versions are left out."""
    class_revision: Annotated[ClassName, _immutable("classRevision", "Clusters may already be on it")] | None = None
    """Name of the ClusterClass that its Clusters are brought to, which is the newest of their kaas and provider; see
    `status.newestClassRevision` of a Cluster."""
    channel: (
        Annotated[Literal["Rapid", "Regular", "Stable"], _immutable("channel", "its run would have another target")]
        | None
    ) = None
    """Channel of which what is newer goes through its Clusters, one run after the other."""
    updates: Annotated[tuple[Kind, ...], Field(min_length=1, max_length=3), ListSet()] | None = None
    """What of the channel: Kubernetes for its newest version, NodeImages for the newest image of every version that a
    Cluster runs, ClassRevision for the newest of kaas. Kubernetes alone when left out."""
    minor: MinorVersion | None = None
    """With channel: versions and node images of this minor alone, as `1.36`; of all minors when left out."""
    paused: bool = False
    """Whether nothing further is begun; what has begun is finished."""
    stages: Stages
    """Stages in order. A Cluster belongs to the first that selects it."""
    max_concurrency: AtOnce | None = None
    """How many Clusters of all stages are updated at once; a percentage of all of them is rounded down, and at least
    one. No limit when left out."""
    per_site: AtOnce | None = None
    """How many Clusters of one Site are updated at once; a percentage of those there. No limit when left out."""
    per_zone: AtOnce | None = None
    """How many Clusters of one zone of a Site are updated at once; a percentage of those there. No limit when left
    out."""
    not_ready_seconds: int = Field(default=3600, ge=60, le=7 * DAY)
    """Seconds for which a Cluster may be not Ready after its update began before it counts as failed."""


_UNDER_WAY: Final = (
    "has(self.status) && has(self.status.state) && self.status.state in ['Running', 'Pending', 'Stopping', 'Stopped']"
    " && !(has(self.status.reason) && self.status.reason == 'Aborted')"
)
_NAMES: Final = "{0}.spec.stages.map(s, s.name)"


class Rollout(Resource):
    """A change going through the fleet in stages."""

    plural: ClassVar[str] = "rollouts"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Cluster"
    short_names: ClassVar[tuple[str, ...]] = ("kro",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Brings", json_path=".status.brings", description="What goes through the fleet"),
        Column(name="Channel", json_path=".spec.channel", priority=1),
        Column(name="State", json_path=".status.state"),
        Column(name="Stage", json_path=".status.stage"),
        Column(name="Progress", json_path=".status.progress", description="Members that came to their end"),
        Column(name="Failed", json_path=".status.counts.failed", type="integer"),
        # Not of type date: kubectl shows a time to come as <invalid>.
        Column(name="Next", json_path=".status.nextTime", description="When it goes on by the clock alone"),
        Column(name="Reason", json_path=".status.message", priority=1),
        AGE,
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"{_NAMES.format('self')} == {_NAMES.format('oldSelf')} || !({_UNDER_WAY})",
            message="stages: their names and order cannot change while a run is under way: wait for its end, abort it "
            "with `kaas rollout abort`, or make another Rollout",
            field=".spec.stages",
        ),
    )

    kind: Literal["Rollout"] = "Rollout"
    spec: RolloutSpec
    """What goes through which Clusters, and how carefully."""
    status: RolloutStatus | None = None
    """How far the change is."""
