"""Pools of which an update may begin no further machine, and how Cluster API is told so. Pure.

A MachineDeployment that has another version than the topology is left as it is (`defer-upgrade`). One that has begun,
or whose version stays the same, gets the strategy OnDelete: the machine that is on its way out gets its successor, and
none is taken out after it. Pausing it would not do: a paused MachineDeployment fills up again with machines of the old
kind (cluster-api v1.14, core/reconcilers/machinedeployment/machinedeployment_sync.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaas.api.cluster import Cluster
from kaas.clusters.pools import Deployment
from kaas.clusters.snapshot import Live, Object
from kaas.clusters.target import Target, version_of
from kaas.kube.lean import ON_DELETE, strategy_of
from kaas.kube.objects import is_deleting, labels
from kaas.kube.resources import TOPOLOGY_DEPLOYMENT_LABEL


@dataclass(frozen=True, slots=True)
class Holds:
    """Names of MachineDeployments in the topology. deferred: left at their version. on_delete: begin no machine."""

    deferred: frozenset[str] = frozenset()
    on_delete: frozenset[str] = frozenset()


def holds(cluster: Cluster, target: Target, live: Live, parts: Sequence[Deployment]) -> Holds:
    """What is held of a Cluster that is brought to a target."""
    update = cluster.status.update if cluster.status else None
    if update is None or update.target != target.version or target.releases:
        return Holds()
    there = {labels(d).get(TOPOLOGY_DEPLOYMENT_LABEL, ""): d for d in live.deployments}
    waiting = [p for p in parts if p.name in there and (update.hold is not None or p.pool in update.waiting)]
    behind = [p for p in waiting if version_of(there[p.name]) != target.version]
    begun = [p for p in waiting if p not in behind and p.pool in update.waiting]
    calm = [p for p in begun if _is_held(p, live) or _is_calm(p, there[p.name], live)]
    return Holds(frozenset(p.name for p in behind), frozenset(p.name for p in calm))


def _is_held(part: Deployment, live: Live) -> bool:
    """Whether that was said before."""
    pools = (live.topology.get("workers") or {}).get("machineDeployments") or ()
    return any(p["name"] == part.name and strategy_of(p) == ON_DELETE for p in pools)


def _is_calm(part: Deployment, deployment: Object, live: Live) -> bool:
    """Whether no machine is missed when those beyond the number wanted go: OnDelete takes them out at once.

    After a surge that is when the new one works; then the old one that it is for goes in any case.
    """
    machines = [m for m in live.machines if labels(m).get(TOPOLOGY_DEPLOYMENT_LABEL) == part.name]
    surplus = max(sum(not is_deleting(m) for m in machines) - part.replicas, 0)
    available: int = (deployment.get("status") or {}).get("availableReplicas") or 0
    return surplus == 0 or available - surplus >= part.replicas
