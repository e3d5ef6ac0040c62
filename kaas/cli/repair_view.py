"""What is shown of sick nodes: facts picked from Clusters, NodeRepairs and Machines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic.alias_generators import to_camel

from kaas.api.constants import ANNOTATION_HISTORY, ANNOTATION_PAUSED, LABEL_POOL
from kaas.cli.view import CONTROL_PLANE
from kaas.kube.objects import Object, annotation, condition, labels, name_of
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL
from kaas.kube.times import stamp
from kaas.repairs.records import history_of

_STATES = {"Pending": "Watching", "Succeeded": "Healed", "Failed": "Held"}
"""State of a node whose Cluster does not list it, by the phase of its NodeRepair, where the words differ."""


@dataclass(frozen=True)
class TriedView:
    """One step that was tried. Times as the API has them."""

    action: str
    cause: str
    began: str
    ended: str
    outcome: str
    message: str


@dataclass(frozen=True)
class NodeView:
    """One sick node. step: what is under way or comes next. reason, message: what holds it back, or what is done."""

    namespace: str
    cluster: str
    pool: str
    machine: str
    node: str | None
    signals: Sequence[str]
    since: str | None
    state: str
    step: str | None
    reason: str
    message: str
    next_time: str | None
    tried: Sequence[TriedView]


@dataclass(frozen=True)
class BreakerView:
    """Something that holds all repairs of its scope back."""

    scope: str
    reason: str
    message: str
    since: str | None


@dataclass(frozen=True)
class FleetView:
    """Sick nodes, open breakers, and what people paused: kind and name, and the annotation's words."""

    nodes: Sequence[NodeView]
    breakers: Sequence[BreakerView]
    paused: Sequence[tuple[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON in camelCase."""
        found: dict[str, Any] = asdict(self, dict_factory=_json)
        return found | {"paused": [{"what": what, "said": said} for what, said in self.paused]}


@dataclass(frozen=True)
class FindingView:
    """One thing that is wrong with a node."""

    signal: str
    since: str
    message: str


@dataclass(frozen=True)
class RungView:
    """One step of the ladder. outcome: of its last try, "" when it was not tried. now: whether it is under way."""

    action: str
    outcome: str
    now: bool


@dataclass(frozen=True)
class StoryView:
    """Everything about one node. sick: None when nothing is known to be wrong with it."""

    namespace: str
    cluster: str
    pool: str
    machine: str
    node: str | None
    server: str | None
    zone: str | None
    mode: str | None
    sick: NodeView | None
    findings: Sequence[FindingView]
    ladder: Sequence[RungView]
    history: Sequence[TriedView]
    breakers: Sequence[BreakerView]
    paused: Sequence[tuple[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON in camelCase."""
        found: dict[str, Any] = asdict(self, dict_factory=_json)
        return found | {"paused": [{"what": what, "said": said} for what, said in self.paused]}


def _json(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {to_camel(name): list(value) if isinstance(value, tuple) else value for name, value in fields}


def fleet(clusters: Sequence[Object], sites: Iterable[Object], repairs: Sequence[Object]) -> FleetView:
    """What is shown of all nodes of these Clusters. sites: those that they are on, for their pauses."""
    known = {(r["metadata"]["namespace"], r["metadata"]["name"]): r for r in repairs}
    nodes = [_listed(c, n, known) for c in clusters for n in _repair_of(c).get("nodes") or ()]
    told = {(n.namespace, n.machine) for n in nodes}
    names = {name_of(c) for c in clusters}
    nodes += [_unlisted(r) for key, r in sorted(known.items()) if key not in told and _cluster_of(r) in names]
    return FleetView(nodes, _breakers(clusters), _paused([*sites, *clusters]))


def story(
    machine: Object, cluster: Object | None, site: Object | None, repair: Object | None, template: Object | None
) -> StoryView:
    """What is shown of one node. template: of its pool, for the ladder when no repair is under way."""
    spec, status = machine.get("spec") or {}, machine.get("status") or {}
    about = [c for c in (cluster,) if c]
    shown = fleet(about, [s for s in (site,) if s], [repair] if repair else [])
    name = machine["metadata"]["name"]
    sick = next((n for n in shown.nodes if n.machine == name), None)
    policy = (repair or {}).get("spec") or ((template or {}).get("spec") or {}).get("template", {}).get("spec") or {}
    return StoryView(
        namespace=machine["metadata"]["namespace"],
        cluster=labels(machine).get(CLUSTER_NAME_LABEL, ""),
        pool=CONTROL_PLANE if CONTROL_PLANE_LABEL in labels(machine) else labels(machine).get(LABEL_POOL, ""),
        machine=name,
        node=(status.get("nodeRef") or {}).get("name"),
        server=(spec.get("providerID") or "").rpartition("/")[2] or None,
        zone=spec.get("failureDomain"),
        mode=policy.get("mode"),
        sick=sick,
        findings=[FindingView(f["signal"], f["since"], f["message"]) for f in _status(repair).get("findings") or ()],
        ladder=_ladder(policy.get("steps") or (), sick, _status(repair)),
        history=_history(machine),
        breakers=shown.breakers,
        paused=shown.paused,
    )


# --- nodes --------------------------------------------------------------------------------------------------------


def _listed(cluster: Object, node: Object, repairs: dict[tuple[str, str], Object]) -> NodeView:
    """A node that its Cluster's status tells of."""
    namespace, name = name_of(cluster)
    return NodeView(
        namespace=namespace,
        cluster=name,
        pool=node.get("pool") or CONTROL_PLANE,
        machine=node["machine"],
        node=node.get("node"),
        signals=node.get("signals") or [],
        since=node.get("since"),
        state=node["state"],
        step=node.get("step"),
        reason=node.get("reason", ""),
        message=node.get("message", ""),
        next_time=node.get("nextTime"),
        tried=_tried(repairs.get((namespace, node["machine"]))),
    )


def _unlisted(repair: Object) -> NodeView:
    """A node beyond those that its Cluster's status has room for, or that the controller has not looked at yet."""
    namespace, name = _cluster_of(repair)
    status = _status(repair)
    held = condition(repair, "Held") or {}
    phase = status.get("phase") or "Pending"
    return NodeView(
        namespace=namespace,
        cluster=name,
        pool=status.get("pool") or (CONTROL_PLANE if "node" in status else ""),
        machine=repair["metadata"]["name"],
        node=status.get("node"),
        signals=sorted({f["signal"] for f in status.get("findings") or ()}),
        since=status.get("began") or repair["metadata"].get("creationTimestamp"),
        state=_STATES.get(phase, phase),
        step=status.get("action"),
        reason=held.get("reason", "") if held.get("status") == "True" else "",
        message=status.get("message") or "the controller has not looked at it yet",
        next_time=status.get("nextTime"),
        tried=_tried(repair),
    )


def _tried(repair: Object | None) -> list[TriedView]:
    return [_try(t) for t in _status(repair).get("tried") or ()]


def _try(told: Object) -> TriedView:
    return TriedView(
        action=told["action"],
        cause=told["cause"],
        began=told["began"],
        ended=told["ended"],
        outcome=told["outcome"],
        message=told.get("message", ""),
    )


def _history(machine: Object) -> list[TriedView]:
    """Earlier repairs, as the Machine's annotation tells them; none when it cannot be read."""
    if annotation(machine, ANNOTATION_HISTORY) is None:
        return []
    found = history_of(machine)
    return [TriedView(str(t.action), t.cause, stamp(t.began), stamp(t.ended), t.outcome, t.message) for t in found]


def _ladder(steps: Iterable[Object], sick: NodeView | None, status: Object) -> list[RungView]:
    outcomes = {t.action: t.outcome for t in (sick.tried if sick else ())}
    now = status.get("action") if status.get("started") and status.get("phase") != "Succeeded" else None
    return [RungView(s["action"], outcomes.get(s["action"], ""), s["action"] == now) for s in steps]


# --- what holds all of them back ----------------------------------------------------------------------------------


def _breakers(clusters: Iterable[Object]) -> list[BreakerView]:
    """Each once, though several Clusters may tell of it."""
    found = {
        (b["scope"], b["reason"]): BreakerView(b["scope"], b["reason"], b["message"], b.get("since"))
        for c in clusters
        for b in _repair_of(c).get("breakers") or ()
    }
    return [found[key] for key in sorted(found)]


def _paused(objects: Iterable[Object]) -> list[tuple[str, str]]:
    said = [(o, annotation(o, ANNOTATION_PAUSED)) for o in objects]
    return [(f"{o['kind']} {'/'.join(filter(None, name_of(o)))}", value) for o, value in said if value is not None]


def _repair_of(cluster: Object) -> Object:
    found: Object = _status(cluster).get("repair") or {}
    return found


def _status(obj: Object | None) -> Object:
    found: Object = (obj or {}).get("status") or {}
    return found


def _cluster_of(repair: Object) -> tuple[str, str]:
    return repair["metadata"]["namespace"], labels(repair).get(CLUSTER_NAME_LABEL, "")
