"""Pools of which an update may begin no further machine, and how Cluster API is told so. Pure.

A MachineDeployment that has another version than the topology is left as it is (`defer-upgrade`). One whose version
stays the same keeps its image until it is its turn, by an override. One that has begun, or would be changed by another
class revision, gets the strategy OnDelete: the machine that is on its way out gets its successor, and none is taken out
after it. Pausing it would not do: a paused MachineDeployment fills up again with machines of the old kind (cluster-api
v1.14, core/reconcilers/machinedeployment/machinedeployment_sync.go). But OnDelete is not for a pool that can do without
it: a MachineSet that is no longer the newest has no sick machine replaced.

When the update has stopped, a pool in the middle may be rolled back: it has its old image again, by an override, in the
same change as OnDelete, under which another template replaces no machine. Under OnDelete Cluster API takes out machines
beyond the number wanted, from the oldest MachineSet first (machinedeployment_rollout_ondelete.go): those that work. So
that number goes up by what a surge has left, and stays so as long as the pool is rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kaas.api.cluster import Cluster
from kaas.api.shares import rounded_down
from kaas.api.update_status import RolledBack, UpdateSummary
from kaas.clusters.pools import Deployment
from kaas.clusters.snapshot import Live, Object
from kaas.clusters.target import Target, live_class_name, live_images, version_of
from kaas.kube.lean import ON_DELETE, strategy_of
from kaas.kube.objects import annotation, is_deleting, labels
from kaas.kube.resources import DEFER_UPGRADE, TOPOLOGY_DEPLOYMENT_LABEL


@dataclass(frozen=True, slots=True)
class Holds:
    """By names of MachineDeployments in the topology.

    deferred: left at their version. on_delete: begin no machine. images: those that keep the image which they have, or
    have the one before again. surplus: how many machines more than wanted they are to have.
    """

    deferred: frozenset[str] = frozenset()
    on_delete: frozenset[str] = frozenset()
    images: Mapping[str, str] = field(default_factory=dict)
    surplus: Mapping[str, int] = field(default_factory=dict)


def holds(cluster: Cluster, target: Target, live: Live, parts: Sequence[Deployment]) -> Holds:
    """What is held of a Cluster that is brought to a target."""
    update = cluster.status.update if cluster.status else None
    if update is None or update.target != target.version or target.releases:
        return Holds()
    there = {labels(d).get(TOPOLOGY_DEPLOYMENT_LABEL, ""): d for d in live.deployments}
    wait = [p for p in parts if update.hold is not None or p.pool in update.waiting]
    unseen = _as_before([p for p in wait if p.name not in there], live)
    waiting = [p for p in wait if p.name in there]
    behind = [p for p in waiting if version_of(there[p.name]) != target.version]
    same = [p for p in waiting if p not in behind and p.pool in update.waiting]
    begun = [p for p in same if update.class_revision is not None or _has_begun(p.pool, update)]
    moves = live_class_name(live.cluster) not in (None, target.class_name)  # only their version is left as it is
    begun += [p for p in behind if p.pool in update.waiting and (moves or _is_held(p, live))]
    back = _rolled_back(same, update)
    calm = [p for p in begun if p.name in back or _is_held(p, live) or _is_calm(p, there[p.name], live)]
    kept = {p.name: image for p in same if not _has_begun(p.pool, update) and (image := _image(p, target, live))}
    deferred, on_delete = {p.name for p in behind} | unseen.deferred, {p.name for p in calm} | unseen.on_delete
    surplus = {s.name: s.machines for entry in update.rolled_back for s in entry.surplus if s.name in on_delete}
    images = {**kept, **unseen.images, **{name: entry.to for name, entry in back.items() if entry.to}}
    return Holds(frozenset(deferred), frozenset(on_delete), images, surplus)


def _rolled_back(parts: Sequence[Deployment], update: UpdateSummary) -> Mapping[str, RolledBack]:
    """Of MachineDeployments that an update has stopped in, those that have their old image again."""
    entries = {e.pool: e for e in update.rolled_back if e.what == "Image" and e.pool}
    return {p.name: entries[p.pool] for p in parts if p.pool in entries}


def _as_before(parts: Sequence[Deployment], live: Live) -> Holds:
    """What is held of MachineDeployments that are not seen now, as when their kind is not served for a while."""
    said = {p.name: part for p in parts if (part := _in_topology(p, live))}
    version = live.topology.get("version", "")
    images = {name: (_own_images(part) or {}).get(version) for name, part in said.items()}
    return Holds(
        frozenset(name for name, part in said.items() if annotation(part, DEFER_UPGRADE) is not None),
        frozenset(name for name, part in said.items() if strategy_of(part) == ON_DELETE),
        {name: image for name, image in images.items() if image},
    )


def alone(desired: Object, live: Object | None) -> Object | None:
    """The Cluster API Cluster as it is, but for the pools that are held; None when that has been said.

    For when the rest of what is wanted has to wait: a maintenance window closes, and an update stops, all the same.
    """
    has = list(_pools(live or {}))
    wanted = {p["name"]: p for p in _pools(desired)}
    held = [_held_as(wanted[p["name"]], p) if p["name"] in wanted else p for p in has]
    if live is None or held == has:
        return None
    topology = live["spec"]["topology"]
    workers = {**topology["workers"], "machineDeployments": held}
    said = {name: live["spec"][name] for name in desired["spec"] if name in live["spec"]}
    return {**desired, "spec": {**said, "topology": {**topology, "workers": workers}}}


def _held_as(wanted: Object, part: Object) -> Object:
    """A pool of the topology, held if it is to be; what is held already is not let go."""
    found = part
    if strategy_of(wanted) == ON_DELETE:
        found = {**found, "rollout": wanted["rollout"]}
        if _own_images(wanted) is not None:  # rolled back, which is one change with that
            found |= {name: wanted[name] for name in ("replicas", "variables")}
    if (said := annotation(wanted, DEFER_UPGRADE)) is not None:
        meta = found.get("metadata") or {}
        found = {**found, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), DEFER_UPGRADE: said}}}
    return found


def _pools(cluster: Object) -> Sequence[Object]:
    topology = (cluster.get("spec") or {}).get("topology") or {}
    return (topology.get("workers") or {}).get("machineDeployments") or ()


def _has_begun(pool: str, update: UpdateSummary) -> bool:
    """Whether the update has begun with a pool."""
    return any(s.name == f"Pool/{pool}" and s.started is not None for s in update.steps)


def _image(part: Deployment, target: Target, live: Live) -> str | None:
    """The image that a MachineDeployment has, if it is to be another one; None when it is not."""
    own = _own_images(_in_topology(part, live))
    has: str | None = (own if own is not None else live_images(live)).get(target.version)
    return has if has != target.images.get(target.version) else None


def _own_images(part: Object) -> Mapping[str, str] | None:
    """The images of a MachineDeployment in the topology that keeps its own; None where it has those of the Cluster."""
    overrides = (part.get("variables") or {}).get("overrides") or ()
    return next((v["value"] for v in overrides if v["name"] == "images"), None)


def _in_topology(part: Deployment, live: Live) -> Object:
    return next((p for p in _pools(live.cluster or {}) if p["name"] == part.name), {})


def _is_held(part: Deployment, live: Live) -> bool:
    """Whether that was said before."""
    return strategy_of(_in_topology(part, live)) == ON_DELETE


def _is_calm(part: Deployment, deployment: Object, live: Live) -> bool:
    """Whether no machine is missed when those beyond the number wanted go: OnDelete takes them out at once.

    After a surge that is when the new one works; then the old one that it is for goes in any case. One that has not
    joined and is deleted counts as long as it is there: its MachineSet is asked for it still.
    """
    machines = [m for m in live.machines if labels(m).get(TOPOLOGY_DEPLOYMENT_LABEL) == part.name]
    surplus = max(sum(not is_deleting(m) or not _has_joined(m) for m in machines) - part.replicas, 0)
    available: int = (deployment.get("status") or {}).get("availableReplicas") or 0
    return surplus == 0 or available - surplus >= part.replicas - _missing(part)


def _has_joined(machine: Object) -> bool:
    return bool((machine.get("status") or {}).get("nodeRef"))


def _missing(part: Deployment) -> int:
    """Machines that may be missing while others are replaced; Cluster API rounds percentages down."""
    return rounded_down(part.rollout.max_unavailable, part.replicas, least=0) if part.rollout else 0
