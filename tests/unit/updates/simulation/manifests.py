"""Objects of the management cluster as the played controllers write them, as far as updates read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from kaas.api.constants import LABEL_POOL
from kaas.kube import lean, resources
from kaas.kube.lean import ON_DELETE
from kaas.kube.objects import Object
from kaas.kube.times import stamp
from tests.unit.updates.simulation.machines import Group, Machine, Machines, Topology

DEFER_UPGRADE = "topology.cluster.x-k8s.io/defer-upgrade"
NEVER = "cloud-init failed: the kubelet does not start"
CERTIFICATES_LAST = timedelta(days=365)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest ClusterClass, and since when there is that."""

    name: str
    since: datetime


def status_of(
    machines: Machines, newest: Newest, ill: str, repairs: dict[str, int], before: Object, now: datetime
) -> Object:
    """What the clusters feature says in a Cluster's status, and the repairs feature of repairs under way."""
    plane = machines.control_plane
    ready, reason, message = _ready(machines, ill, now)
    since = _since(before, "True" if ready else "False", now)
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }
    conditions = [condition] if ill else [condition, {**condition, "type": "UpToDate"}]
    pools = list(machines.pools.values())
    found: Object = {
        "phase": "Ready" if ready else ("Degraded" if ill else "Updating"),
        "observedGeneration": 1,
        "conditions": conditions,
        "version": str(plane.oldest(now)),
        "classRevision": machines.topology.revision,
        "newestClassRevision": {"name": newest.name, "since": stamp(newest.since)},
        "image": machines.topology.images.get(str(machines.topology.version)),
        "controlPlane": {
            **{k: v for k, v in _counts(plane, now).items() if k != "available"},
            "certificatesEnd": stamp(min(m.made for m in plane.machines) + CERTIFICATES_LAST),
        },
        "nodePools": [{"name": p.name, **_counts(p, now), "version": str(p.wanted.version)} for p in pools],
        "nodes": {
            "ready": sum(len(p.machines) - len(p.unready(now)) for p in pools),
            "desired": sum(len(p.machines) for p in pools),
        },
    }
    if flying := [{"name": name, "inFlight": count, "unhealthy": count} for name, count in repairs.items() if count]:
        found["repair"] = {"unhealthy": len(flying), "inFlight": len(flying), "quarantined": 0, "pools": flying}
    return found


def _ready(machines: Machines, ill: str, now: datetime) -> tuple[bool, str, str]:
    if ill:
        return False, "Ill", ill
    groups = list(machines.groups())
    if never := [m.name for g in groups for m in g.machines if m.ready_at is None]:
        return False, "MachinesNotReady", f"UpToDate: {never[0]}: {NEVER}"
    if waiting := [g.name for g in groups if g.wanted.version != machines.topology.version]:
        return False, "MachineDeploymentsUpgradePending", f"UpToDate: {', '.join(waiting) or 'control plane'} waits"
    if moving := [g.name or "control plane" for g in groups if not g.is_through(now)]:
        return False, "RollingOut", f"UpToDate: machines that are not as the spec says: {', '.join(moving)}"
    return True, "Ready", ""


def _since(before: Object, status: str, now: datetime) -> str | None:
    known = next((c for c in before.get("conditions") or () if c["type"] == "Ready"), None)
    return known["lastTransitionTime"] if known and known["status"] == status else stamp(now)


def _counts(group: Group, now: datetime) -> dict[str, int]:
    ready = len(group.machines) - len(group.unready(now))
    new = len(group.machines) - len(group.outdated())
    return {"replicas": len(group.machines), "ready": ready, "upToDate": new, "available": ready}


def deployment(key: Key, group: Group, now: datetime) -> Object:
    """The MachineDeployment of a pool."""
    counts = _counts(group, now)
    spec: Object = {
        "clusterName": key[1],
        "replicas": len(group.machines),
        "template": {"metadata": {"labels": {LABEL_POOL: group.name}}, "spec": _machine_spec(key, group)},
    }
    if group.paused:
        spec["paused"] = True
    if group.on_delete:
        spec["rollout"] = {"strategy": {"type": ON_DELETE}}
    labels = {
        resources.CLUSTER_NAME_LABEL: key[1],
        resources.TOPOLOGY_DEPLOYMENT_LABEL: group.name,
        LABEL_POOL: group.name,
        "topology.cluster.x-k8s.io/owned": "",
    }
    status = {
        "replicas": counts["replicas"],
        "readyReplicas": counts["ready"],
        "upToDateReplicas": counts["upToDate"],
        "availableReplicas": counts["available"],
        "observedGeneration": group.observed,
    }
    meta = {
        "name": f"{key[1]}-{group.name}",
        "namespace": key[0],
        "uid": f"md-{key[1]}-{group.name}",
        "labels": labels,
        "annotations": {DEFER_UPGRADE: ""} if group.deferred else {},
        "generation": group.generation,
    }
    return _object(resources.MACHINE_DEPLOYMENT, meta, spec, status)


def _machine_spec(key: Key, group: Group) -> Object:
    made = group.wanted
    return {
        "clusterName": key[1],
        "version": str(made.version),
        "infrastructureRef": {"kind": "DevMachineTemplate", "name": f"{group.name}-{made.image}-{made.revision}"},
    }


def machine(key: Key, group: Group, made: Machine, now: datetime) -> Object:
    """One Machine; those of the control plane have certificates that end."""
    labels = {resources.CLUSTER_NAME_LABEL: key[1]}
    worker = {LABEL_POOL: group.name, resources.TOPOLOGY_DEPLOYMENT_LABEL: group.name}
    labels |= worker if group.name else {resources.CONTROL_PLANE_LABEL: ""}
    meta = {
        "name": f"{key[1]}-{made.name}",
        "namespace": key[0],
        "uid": f"m-{key[1]}-{made.name}",
        "labels": labels,
        "creationTimestamp": stamp(made.made),
    }
    ready = made.is_ready(now)
    condition = {"type": "Ready", "status": "True" if ready else "False", "reason": "Because", "message": ""}
    condition = {**condition, "lastTransitionTime": stamp(made.made)}
    status: Object = {"phase": "Running" if ready else "Provisioning", "conditions": [condition]}
    if ready:
        status["nodeRef"] = {"name": made.name}
    elif made.ready_at is None:
        status["conditions"].append({**condition, "type": "NodeReady", "message": NEVER})
    if not group.name:
        status["certificatesExpiryDate"] = stamp(made.made + CERTIFICATES_LAST)
    spec = {"clusterName": key[1], "version": str(made.made_of.version)}
    return _object(resources.MACHINE, meta, spec, status)


def capi_cluster(key: Key, machines: Machines) -> Object:
    """The Cluster API Cluster with its topology."""
    said = machines.topology
    pools = [_in_topology(p, said) for p in machines.pools.values()]
    topology: Object = {
        "version": str(said.version),
        "classRef": {"name": said.revision},
        "variables": [{"name": "images", "value": dict(said.images)}],
        "workers": {"machineDeployments": pools},
    }
    if said.made_after is not None:
        topology["controlPlane"] = {"rollout": {"after": stamp(said.made_after)}}
    meta = {"name": key[1], "namespace": key[0], "uid": f"capi-{key[1]}", "generation": machines.generation}
    reconciled = {"type": "TopologyReconciled", "status": "True", "reason": "ReconcileSucceeded", "message": ""}
    conditions = [{**reconciled, "observedGeneration": machines.observed}]
    status = {"observedGeneration": machines.observed, "conditions": conditions}
    return _object(resources.CAPI_CLUSTER, meta, {"topology": topology}, status)


def _in_topology(pool: Group, said: Topology) -> Object:
    found: Object = {"name": pool.name, "metadata": {"labels": {LABEL_POOL: pool.name}}}
    if image := said.kept.get(pool.name):
        images = {**said.images, str(said.version): image}
        found["variables"] = {"overrides": [{"name": "images", "value": images}]}
    return found | ({"rollout": {"strategy": {"type": ON_DELETE}}} if pool.name in said.on_delete else {})


def control_plane(key: Key, group: Group, now: datetime) -> Object:
    """The KubeadmControlPlane."""
    counts = _counts(group, now)
    meta = {
        "name": f"{key[1]}-cp",
        "namespace": key[0],
        "uid": f"kcp-{key[1]}",
        "labels": {resources.CLUSTER_NAME_LABEL: key[1]},
        "generation": group.generation,
    }
    status = {
        "replicas": counts["replicas"],
        "readyReplicas": counts["ready"],
        "upToDateReplicas": counts["upToDate"],
        "version": str(group.oldest(now)),
        "observedGeneration": group.observed,
    }
    spec = {"replicas": len(group.machines), "version": str(group.wanted.version)}
    return _object(resources.KUBEADM_CONTROL_PLANE, meta, spec, status)


def _object(kind: resources.Resource, meta: Object, spec: Object, status: Object) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": spec, "status": status}


Part = tuple[str, object, Callable[[], Object]]


def parts(key: Key, machines: Machines, now: datetime) -> Iterator[Part]:
    """Everything that Cluster API has of a Cluster: name, what it depends on, and how the watch keeps it."""
    seen = (machines.topology, machines.generation, machines.observed)
    yield "cluster", seen, lambda: lean.cluster(capi_cluster(key, machines))
    for group in machines.groups():
        yield from _of_group(key, group, now)


def _of_group(key: Key, group: Group, now: datetime) -> Iterator[Part]:
    unready, outdated = len(group.unready(now)), len(group.outdated())
    made = (group.wanted, group.paused, group.on_delete, group.deferred, group.generation, group.observed)
    seen = (*made, len(group.machines), unready, outdated, group.oldest(now))
    make = deployment if group.name else control_plane
    yield f"group {group.name}", seen, lambda: lean.part(make(key, group, now))
    for one in group.machines:
        yield (
            f"machine {one.name}",
            (one.is_ready(now), one.ready_at is None),
            partial(_lean_machine, key, group, one, now),
        )


def _lean_machine(key: Key, group: Group, one: Machine, now: datetime) -> Object:
    return lean.machine(machine(key, group, one, now))
