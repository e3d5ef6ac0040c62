"""One Cluster as repairs see it at one moment: its facts, its pools, and those of its nodes that are not well. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from kaas.api.cluster import Cluster, NodePool
from kaas.api.constants import ANNOTATION_PAUSED, CONTROL_PLANE_POOL, LABEL_POOL
from kaas.api.repair import Mode, RepairPolicy
from kaas.api.site import GpuFacts, Site
from kaas.kube.objects import Object, condition, is_true, labels, metadata
from kaas.repairs.evaluate import evaluate
from kaas.repairs.facts import (
    ClusterFacts,
    ClusterKey,
    MachineView,
    NodeKey,
    NodeView,
    Patient,
    PoolFacts,
    PoolKey,
    Progress,
    ServerView,
    Sight,
)
from kaas.repairs.machines import machine_view, works
from kaas.repairs.pauses import paused
from kaas.repairs.records import history_of, replaced_of
from kaas.repairs.settings import limits_of_cluster
from kaas.repairs.signals import NODE_MISSING
from kaas.repairs.subject import Past
from kaas.repairs.traces import Trace


@dataclass(frozen=True)
class Seen:
    """What is known of one Cluster, from all sides.

    servers: what Nova has, by id; None when it was not asked (yet), or there is none, as with the dev provider.
    created: OpenStackServers by name, that of the Machine's infrastructure: ids before a Machine has one.
    nodes: None when they were never listed: then a machine without one tells nothing.
    policies: by pool; those of pools that left the spec too, as long as they have machines.
    paused: why a person has repairs of the Cluster wait, "" when they do not. missing: templates that are named and not
    there, for a person.
    """

    cluster: Cluster
    site: Site
    capi: Object | None
    machines: Sequence[Object]
    deployments: Sequence[Object]
    created: Mapping[str, Object]
    nodes: Mapping[str, NodeView] | None
    sight: Sight
    servers: Mapping[str, ServerView] | None
    policies: Mapping[str, RepairPolicy]
    progress: Mapping[NodeKey, Progress]
    paused: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Observed:
    """What planning needs of one Cluster. zones, hosts: its machines counted. servers: ids of those that it has.

    failed: names of OpenStackServers that CAPO has seen in ERROR.
    """

    cluster: ClusterFacts
    pools: Mapping[PoolKey, PoolFacts]
    patients: Mapping[NodeKey, Patient]
    zones: Mapping[str, int] = field(default_factory=dict)
    hosts: Mapping[str, int] = field(default_factory=dict)
    servers: frozenset[str] = frozenset()
    failed: tuple[str, ...] = ()
    missing: str = ""
    """What a pool names that is not there, for a person."""


def observe(seen: Seen, traces: dict[NodeKey, Trace], now: datetime) -> Observed:
    """The Cluster as it is. traces: what is remembered of its machines; brought up to date, and rid of those gone."""
    meta = seen.cluster.metadata
    key = (meta.namespace or "", meta.name)
    views = [machine_view(m, key, seen.cluster.spec.site, _server_id(m, seen.created)) for m in seen.machines]
    pools = _pools(key, seen, views)
    patients = {}
    for view, machine in zip(views, seen.machines, strict=True):
        patient = _patient(view, machine, pools[view.pool], seen, traces, now)
        if patient is not None:
            patients[view.key] = patient
    pools = {k: _with_replaced(p, seen, views, patients) for k, p in pools.items()}
    for gone in traces.keys() - {v.key for v in views}:
        del traces[gone]
    servers = seen.servers or {}
    found = [servers[v.server] for v in views if v.server and v.server in servers]
    return Observed(
        cluster=_cluster(key, seen, views, patients),
        pools=pools,
        patients=patients,
        zones=Counter(v.zone for v in views),
        hosts=Counter(s.host for s in found if s.host),
        servers=frozenset(v.server for v in views if v.server),
        failed=tuple(name for name, obj in seen.created.items() if has_failed(obj)),
        missing=seen.missing,
    )


def has_failed(server: Object) -> bool:
    """Whether CAPO has seen an OpenStackServer in ERROR."""
    return (server.get("status") or {}).get("instanceState") == "ERROR"


def _server_id(machine: Object, created: Mapping[str, Object]) -> str | None:
    name = ((machine.get("spec") or {}).get("infrastructureRef") or {}).get("name", "")
    found: str | None = (created.get(name, {}).get("status") or {}).get("instanceID")
    return found


def _patient(
    view: MachineView,
    machine: Object,
    pool: PoolFacts,
    seen: Seen,
    traces: dict[NodeKey, Trace],
    now: datetime,
) -> Patient | None:
    """The machine when something is wrong with it, or is being done about it; None for all others."""
    progress = seen.progress.get(view.key)
    if pool.policy.mode is Mode.OFF and progress is None:
        return None
    node = seen.nodes.get(view.node) if seen.nodes and view.node else None
    history = history_of(machine)
    server = seen.servers.get(view.server) if seen.servers is not None and view.server else None
    if seen.servers is not None and view.server and server is None:
        server = ServerView(view.server, "DELETED")
    trace = traces.setdefault(view.key, Trace())
    findings = evaluate(view, node, server, pool, trace, now, Past(progress, history))
    if seen.nodes is None:
        findings = tuple(f for f in findings if f.signal != NODE_MISSING)
    if not findings and progress is None:
        return None
    return Patient(
        machine=view,
        findings=findings,
        progress=progress,
        history=history,
        well_since=trace.well_since,
        host=server.host if server else "",
        boot_id=node.boot_id if node else "",
        ready=node is not None and any(c.type == "Ready" and c.status == "True" for c in node.conditions),
        server=server,
    )


def _pools(key: ClusterKey, seen: Seen, views: Sequence[MachineView]) -> dict[PoolKey, PoolFacts]:
    """Facts of every pool that has machines."""
    sizes = Counter(v.pool for v in views)
    specs = {p.name: p for p in seen.cluster.spec.node_pools}
    updating, waiting = _updating(key, seen, views), _waiting(seen.cluster)
    out = _out(specs, views)
    return {
        pool: PoolFacts(
            key=pool,
            policy=seen.policies[pool[2]],
            size=size,
            updating=updating.get(pool, ""),
            held=pool[2] in waiting,
            out=out.get(pool, 0) if pool[2] in waiting and pool in updating else 0,
            paused=seen.paused,
            gpus_per_node=_gpus(specs.get(pool[2]), seen.site),
        )
        for pool, size in sizes.items()
    }


def _updating(key: ClusterKey, seen: Seen, views: Sequence[MachineView]) -> dict[PoolKey, str]:
    """Pools whose machines wait to be replaced by newer ones."""
    waiting = Counter(v.pool for v in views if v.outdated)
    found = {pool: f"{number} of its machines wait for newer ones" for pool, number in waiting.items()}
    for deployment in seen.deployments:
        pool = (*key, labels(deployment).get(LABEL_POOL, CONTROL_PLANE_POOL))
        if is_true(deployment, "RollingOut"):
            found.setdefault(pool, f"MachineDeployment {metadata(deployment)['name']} is rolling out")
    return found


def _waiting(cluster: Cluster) -> tuple[str, ...]:
    """Pools of which an update begins no further machine: it is held, has stopped, or their turn has not come."""
    update = cluster.status.update if cluster.status else None
    return update.waiting if update else ()


def _out(specs: Mapping[str, NodePool], views: Sequence[MachineView]) -> dict[PoolKey, int]:
    """By pool of the spec, how many of the machines that it asks for are on their way out, or have not joined."""
    there = Counter(v.pool for v in views if v.node and not v.deleting)
    return {pool: max(specs[pool[2]].replicas - there[pool], 0) for pool in {v.pool for v in views} if pool[2] in specs}


def _gpus(pool: NodePool | None, site: Site) -> int:
    gpu: GpuFacts | None = next((f.gpu for f in site.spec.flavors if pool and f.name == pool.flavor), None)
    return gpu.count if gpu else 0


def _with_replaced(
    pool: PoolFacts, seen: Seen, views: Sequence[MachineView], patients: Mapping[NodeKey, Patient]
) -> PoolFacts:
    """With the pool's replacements: one has helped when a machine that came after it is well."""
    ours = [d for d in seen.deployments if labels(d).get(LABEL_POOL) == pool.key[2]] if pool.key[2] else []
    times = sorted(t for d in ours for t in replaced_of(d))
    if not times:
        return pool
    well = [v.created for v in views if v.pool == pool.key and v.node and v.key not in patients]
    replaced = tuple((t, any(created >= t for created in well)) for t in times)
    return replace(pool, replaced=replaced)


def _cluster(
    key: ClusterKey, seen: Seen, views: Sequence[MachineView], patients: Mapping[NodeKey, Patient]
) -> ClusterFacts:
    masters = [(v, m) for v, m in zip(views, seen.machines, strict=True) if v.control_plane]
    well = [v for v, m in masters if works(m) and v.node and v.key not in patients]
    return ClusterFacts(
        key=key,
        site=seen.cluster.spec.site,
        sight=seen.sight,
        limits=limits_of_cluster(seen.cluster),
        size=len(views),
        away=_away(seen),
        control_plane=_control_plane(seen.capi),
        masters=len(masters),
        healthy_masters=len(well),
    )


def _away(seen: Seen) -> str:
    """Why nothing may be done to the Cluster, "" when something may."""
    if seen.cluster.metadata.deletion_timestamp is not None:
        return "the Cluster is being deleted"
    if seen.capi is None:
        return "Cluster API does not have the Cluster yet"
    if (seen.capi.get("spec") or {}).get("paused"):
        return "the Cluster is paused: Cluster API's Cluster has spec.paused"
    if not is_true(seen.capi, "ControlPlaneInitialized"):
        return "the control plane comes up for the first time"
    return ""


def _control_plane(capi: Object | None) -> str:
    """Why the control plane counts as not healthy; what is not known counts as nothing wrong."""
    found = condition(capi, "ControlPlaneAvailable") if capi else None
    if found is None or found.get("status") != "False":
        return ""
    return found.get("message") or found.get("reason") or "ControlPlaneAvailable is False"


def pause_of(cluster: Cluster, now: datetime) -> str:
    """Why repairs of a Cluster are paused, "" when they are not."""
    return paused(cluster.metadata.annotations.get(ANNOTATION_PAUSED), now)
