"""What a Cluster's status says: counts, conditions and a phase, each from the snapshot alone. Pure.

Times are given in: a condition keeps the time of its last change, so the same state is the same status to the byte.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION, LABEL_POOL
from kaas.api.model import Condition
from kaas.api.versions import KubernetesVersion
from kaas.clusters import causes
from kaas.clusters.plan import Step
from kaas.clusters.snapshot import Live, Object, Snapshot
from kaas.clusters.target import live_class_name, live_images, version_of
from kaas.kube.objects import condition, is_deleting, is_true, labels
from kaas.kube.resources import CONTROL_PLANE_LABEL
from kaas.kube.times import at, stamp

MAX_CAUSES = 3
MAX_MESSAGE = 4096
MAX_STEP_TEXT = 1024
SETTLING = "Settling"
SETTLE_SECONDS = 5.0  # Cluster API's controllers look at one object once a second; longer on a busy machine


@dataclass(frozen=True)
class Finding:
    """One condition without its time."""

    type: str
    status: str
    reason: str
    message: str


def status(snapshot: Snapshot, steps: Sequence[Step], now: datetime, refused: str | None = None) -> Object:
    """The status object to apply. `refused`: what the API server or a webhook said when a step was applied."""
    live = snapshot.live
    findings = [_settled(f, snapshot.cluster, now) for f in (_accepted(steps, refused), *_from_cluster_api(snapshot))]
    ready = _ready(snapshot, steps, findings)
    found: Object = {
        "phase": phase(snapshot, steps, ready, blocked=refused is not None),
        "observedGeneration": snapshot.cluster.metadata.generation,
        "conditions": [_condition(f, snapshot.cluster, now) for f in (ready, *findings)],
        "endpoint": _endpoint(live),
        "version": _version(live),
        "classRevision": live_class_name(live.cluster) or _pinned(snapshot.cluster),
        "newestClassRevision": _newest_revision(snapshot, now),
        "image": live_images(live).get(live.topology.get("version", "")),
        "kubeconfigSecret": _kubeconfig(snapshot),
        "controlPlane": _control_plane(live),
        "nodePools": _pools(live),
        "nodes": _nodes(snapshot),
        "plan": [_planned(s) for s in steps],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "metadata": {"name": snapshot.cluster.metadata.name, "namespace": snapshot.cluster.metadata.namespace},
        "status": {k: v for k, v in found.items() if v is not None},
    }


def phase(snapshot: Snapshot, steps: Sequence[Step], ready: Finding, *, blocked: bool = False) -> str:
    """The Cluster in one word; what each means stands at ClusterStatus.phase. `blocked`: a step was refused."""
    cluster = snapshot.live.cluster
    if snapshot.deleting:
        return "Deleting"
    if cluster is None:
        return "Pending"
    if not _was_available(snapshot.cluster) and ready.status != "True":
        return "Provisioning"
    if not is_deleting(cluster) and (blocked or any(s.gates for s in steps)):
        return "Blocked"
    if ready.status == "True":
        return "Ready"
    moving = not is_deleting(cluster) and (steps or ready.reason == SETTLING or _is_moving(snapshot))
    return "Updating" if moving else "Degraded"


def settles_in(found: Object) -> float | None:
    """Seconds until this status may be another one although nothing has changed; None for never."""
    settling = any(c["reason"] == SETTLING for c in found["status"]["conditions"])
    return SETTLE_SECONDS if settling else None


# --- conditions ---------------------------------------------------------------------------------------------------


def _accepted(steps: Sequence[Step], refused: str | None) -> Finding:
    """Whether what the Cluster says can be done, and has been handed to Cluster API."""
    gates = [g for s in steps for g in s.gates]
    if refused:
        return Finding("Accepted", "False", "Refused", refused[:MAX_MESSAGE])
    if gates:
        looks = [g.look_again for g in gates if g.look_again]
        again = f" (looked at again every {min(looks):.0f} s)" if looks else " (looked at again when it changes)"
        words = "; ".join(g.message for g in gates)
        return Finding("Accepted", "False", gates[0].reason, words[:MAX_MESSAGE] + again)
    return Finding("Accepted", "True", "Accepted", "")


def _from_cluster_api(snapshot: Snapshot) -> Iterable[Finding]:
    live = snapshot.live
    if live.cluster is None:
        words = "nothing is made yet"
        for name in ("InfrastructureReady", "ControlPlaneReady", "WorkersReady"):
            yield Finding(name, "Unknown", "NotCreated", words)
        return
    yield _mirror("InfrastructureReady", live, "InfrastructureReady", _infrastructure_causes(live))
    machines = list(live.machines)
    masters = [m for m in machines if CONTROL_PLANE_LABEL in labels(m)]
    workers = [m for m in machines if CONTROL_PLANE_LABEL not in labels(m)]
    faults = snapshot.faults
    yield _mirror("ControlPlaneReady", live, "ControlPlaneAvailable", causes.of_machines(masters, live, faults))
    yield _mirror("WorkersReady", live, "WorkersAvailable", causes.of_machines(workers, live, faults))
    yield _up_to_date(snapshot)


def _infrastructure_causes(live: Live) -> Iterable[causes.Cause]:
    found = causes.of_infrastructure(live)
    return [found] if found else []


def _mirror(name: str, live: Live, verdict_type: str, deeper: Iterable[causes.Cause]) -> Finding:
    """Cluster API's own verdict, with the deepest cause in place of its summary."""
    verdict = condition(live.cluster or {}, verdict_type)
    if verdict is None:
        return Finding(name, "Unknown", "NotReported", "Cluster API has not reported it yet")
    if verdict["status"] == "True":
        return Finding(name, "True", name, "")
    said = [str(c) for c in deeper][:MAX_CAUSES] or [" ".join(str(verdict.get("message") or "").split())]
    return Finding(name, verdict["status"], verdict.get("reason") or name, "; ".join(said)[:MAX_MESSAGE])


MOVEMENTS = ("RollingOut", "ScalingUp", "ScalingDown", "Remediating")
# Reasons of TopologyReconciled while Cluster API is at work (api/core/v1beta2/cluster_types.go); others are failures.
AT_WORK = frozenset(
    {
        "ClusterCreating",
        "ClusterUpgrading",
        "ControlPlaneUpgradePending",
        "LifecycleHookBlocking",
        "MachineDeploymentsCreatePending",
        "MachineDeploymentsUpgradeDeferred",
        "MachineDeploymentsUpgradePending",
    }
)


def _is_moving(snapshot: Snapshot) -> bool:
    """Whether Cluster API is at work, or has not yet begun: what is missing then is on its way, not broken."""
    live = snapshot.live
    cluster = live.cluster or {}
    reconciled = condition(cluster, "TopologyReconciled") or {}
    if reconciled.get("reason") in AT_WORK or any(is_true(cluster, m) for m in MOVEMENTS):
        return True
    if not _is_observed(live) or _outdated(snapshot) or _surplus(snapshot):
        return True
    if any(has < wants for _, has, wants in _parts(snapshot, "replicas")):  # there are no machines yet to be unwell
        return True
    return any(_is_coming(m, snapshot) for m in live.machines)


def _is_observed(live: Live) -> bool:
    """Whether what was last handed to Cluster API has reached everything that makes machines.

    Its controllers see a change one after the other: the condition's generation is that of the one for the topology.
    """
    cluster = live.cluster or {"metadata": {}}
    newest: int = cluster["metadata"].get("generation", 0)
    passed_on = (condition(cluster, "TopologyReconciled") or {}).get("observedGeneration", newest)
    seen = min(_status_of(cluster).get("observedGeneration", 0), passed_on)
    parts = [p for p in (live.control_plane, *live.deployments) if p is not None]
    return bool(seen >= newest) and all(_has_seen_itself(p) for p in parts)


def _has_seen_itself(part: Object) -> bool:
    newest = part["metadata"].get("generation", 0)
    return bool(_status_of(part).get("observedGeneration", newest) >= newest)


def _outdated(snapshot: Snapshot) -> list[str]:
    """Parts with machines that are not as the spec says."""
    parts = [("control plane", snapshot.live.control_plane or {})]
    parts += [(f"pool {labels(d).get(LABEL_POOL)}", d) for d in snapshot.live.deployments]
    counted = [(name, _status_of(p).get("replicas") or 0, _status_of(p).get("upToDateReplicas")) for name, p in parts]
    return [f"{name} {has - new}" for name, has, new in counted if new is not None and new < has]


def _is_coming(machine: Object, snapshot: Snapshot) -> bool:
    """Whether a machine is not a Node yet, or became one in an update that goes on; one whose server failed is not."""
    if is_deleting(machine) or causes.failed_servers(snapshot.live, of=machine):
        return False
    before = snapshot.cluster.status.phase if snapshot.cluster.status else None
    return not _status_of(machine).get("nodeRef") or (before == "Updating" and not is_true(machine, "Ready"))


def _up_to_date(snapshot: Snapshot) -> Finding:
    """Whether Cluster API has brought every machine to what was handed to it."""
    cluster = snapshot.live.cluster or {}
    reconciled = condition(cluster, "TopologyReconciled")
    if reconciled and reconciled["status"] != "True":
        words = " ".join(str(reconciled.get("message") or "").split())
        return Finding("UpToDate", "False", reconciled.get("reason") or "NotReconciled", words[:MAX_MESSAGE])
    moving = [condition(cluster, m) for m in MOVEMENTS if is_true(cluster, m)]
    if moving and moving[0]:
        words = "; ".join(f"{m['type']}: {' '.join(str(m.get('message') or '').split())}" for m in moving if m)
        return Finding("UpToDate", "False", moving[0]["type"], words[:MAX_MESSAGE])
    if reconciled is None or not _is_observed(snapshot.live):
        return Finding("UpToDate", "Unknown", "NotReported", "Cluster API has not reported it yet")
    return _behind(snapshot) or Finding("UpToDate", "True", "UpToDate", "")


def _behind(snapshot: Snapshot) -> Finding | None:
    """What the counts of machines say before, or in place of, Cluster API's own summary."""
    if outdated := _outdated(snapshot):
        words = f"machines that are not as the spec says: {', '.join(outdated)}"
        return Finding("UpToDate", "False", "RollingOut", words)
    if surplus := _surplus(snapshot):
        return Finding("UpToDate", "False", "ScalingDown", f"machines: {', '.join(surplus)}")
    if short := _short(snapshot):
        why = causes.of_machines(snapshot.live.machines, snapshot.live, snapshot.faults)
        said = [f"ready: {', '.join(short)}", *map(str, list(why)[:MAX_CAUSES])]
        return Finding("UpToDate", "False", "MachinesNotReady", "; ".join(said)[:MAX_MESSAGE])
    return None


def _short(snapshot: Snapshot) -> list[str]:
    """Parts with fewer ready machines than the Cluster wants."""
    return [f"{name} {has} of {wants}" for name, has, wants in _parts(snapshot, "ready") if has < wants]


def _surplus(snapshot: Snapshot) -> list[str]:
    """Parts with more machines than the Cluster wants, and pools that it does not have any more."""
    found = [f"{name} {has}, wanted {wants}" for name, has, wants in _parts(snapshot, "replicas") if has > wants]
    pools = {p.name for p in snapshot.cluster.spec.node_pools}
    gone = [p["name"] for p in _pools(snapshot.live) or () if p["name"] not in pools]
    return found + [f"pool {name} is on its way out" for name in gone]


def _parts(snapshot: Snapshot, count: str) -> Iterable[tuple[str, int, int]]:
    """Control plane and pools: name, how many machines it has by that count, and how many the Cluster wants."""
    spec, live = snapshot.cluster.spec, snapshot.live
    pools = {p["name"]: p[count] for p in _pools(live) or ()}
    yield "control plane", (_control_plane(live) or {}).get(count, 0), spec.control_plane.replicas
    for pool in spec.node_pools:
        yield f"pool {pool.name}", pools.get(pool.name, 0), pool.replicas


def _ready(snapshot: Snapshot, steps: Sequence[Step], findings: Sequence[Finding]) -> Finding:
    """True when everything else is; otherwise the first that is not, in its own words."""
    if snapshot.deleting:
        waits = [g.message for s in steps for g in s.gates]
        return Finding("Ready", "False", "Deleting", (waits or ["being deleted"])[0][:MAX_MESSAGE])
    if steps and findings[0].status == "True":
        return Finding("Ready", "False", "Applying", f"next: {steps[0].reason}"[:MAX_MESSAGE])
    for finding in findings:
        if finding.status != "True":
            return Finding("Ready", finding.status, finding.reason, f"{finding.type}: {finding.message}"[:MAX_MESSAGE])
    return Finding("Ready", "True", "Ready", "")


def _was_available(cluster: Cluster) -> bool:
    """Whether it was up before: then what is missing now is an update or a fault, not a first start."""
    return cluster.status is not None and cluster.status.phase in ("Ready", "Updating", "Degraded", "Blocked")


def _settled(finding: Finding, cluster: Cluster, now: datetime) -> Finding:
    """A finding, or that it is too early for it.

    A pool that has seen a change counts its machines as up to date until it looks at them a second later.
    """
    before = _before(finding, cluster)
    if finding.type != "UpToDate" or finding.status != "True" or before is None or before.status == "True":
        return finding
    if (now - before.last_transition_time).total_seconds() >= SETTLE_SECONDS:
        return finding
    return Finding("UpToDate", "Unknown", SETTLING, "all is as it should be, if Cluster API has begun with the change")


def _before(finding: Finding, cluster: Cluster) -> Condition | None:
    conditions = cluster.status.conditions if cluster.status else ()
    return next((c for c in conditions if c.type == finding.type), None)


def _condition(finding: Finding, cluster: Cluster, now: datetime) -> Object:
    before = _before(finding, cluster)
    since = before.last_transition_time if before and before.status == finding.status else now
    return {
        "type": finding.type,
        "status": finding.status,
        "reason": finding.reason,
        "message": finding.message,
        "lastTransitionTime": stamp(since),
        "observedGeneration": cluster.metadata.generation,
    }


# --- counts -------------------------------------------------------------------------------------------------------


def _endpoint(live: Live) -> Object | None:
    found: Object = (live.cluster or {}).get("spec", {}).get("controlPlaneEndpoint") or {}
    return {"host": found["host"], "port": found["port"]} if found.get("host") else None


def _version(live: Live) -> str | None:
    """The oldest version of the control plane's machines."""
    versions = [v["version"] for v in _status_of(live.control_plane).get("versions") or ()]
    found = sorted(versions, key=lambda v: [int(n) for n in v.lstrip("v").split(".")[:3] if n.isdigit()])
    reported: str | None = found[0] if found else _status_of(live.control_plane).get("version")
    return reported


def _status_of(obj: Object | None) -> Any:
    return (obj or {}).get("status") or {}


def _pinned(cluster: Cluster) -> str | None:
    return cluster.status.class_revision if cluster.status else None


def _newest_revision(snapshot: Snapshot, now: datetime) -> Object | None:
    """Since when there is its ClusterClass; as long as nobody uses it there is none, then since it is known here."""
    if snapshot.revision is None:
        return None
    name = snapshot.revision.name
    before = snapshot.cluster.status.newest_class_revision if snapshot.cluster.status else None
    made = ((snapshot.classes.get(name) or {}).get("metadata") or {}).get("creationTimestamp")
    since = before.since if before and before.name == name else now
    return {"name": name, "since": stamp(min(since, at(made)) if made else since)}


def _kubeconfig(snapshot: Snapshot) -> Object | None:
    """Cluster API writes it when the control plane comes up, under this name."""
    if not is_true(snapshot.live.cluster or {}, "ControlPlaneInitialized"):
        return None
    return {"name": f"{snapshot.cluster.metadata.name}-kubeconfig"}


def _control_plane(live: Live) -> Object | None:
    if live.control_plane is None:
        return None
    found = _status_of(live.control_plane)
    counts = {
        "replicas": found.get("replicas") or 0,
        "ready": found.get("readyReplicas") or 0,
        "upToDate": found.get("upToDateReplicas") or 0,
    }
    ends = [_status_of(m).get("certificatesExpiryDate") for m in live.machines if CONTROL_PLANE_LABEL in labels(m)]
    first = min((at(end) for end in ends if end), default=None)
    return counts | ({"certificatesEnd": stamp(first)} if first else {})


COUNTS = {
    "replicas": "replicas",
    "ready": "readyReplicas",
    "upToDate": "upToDateReplicas",
    "available": "availableReplicas",
}


def _pools(live: Live) -> list[Object] | None:
    """Counts by pool, its MachineDeployments of all zones together, and the oldest of their versions."""
    parts: dict[str, list[Object]] = defaultdict(list)
    for deployment in live.deployments:
        if pool := labels(deployment).get(LABEL_POOL):
            parts[pool].append(deployment)
    return [{"name": name, **_counted(found), **_oldest(found)} for name, found in sorted(parts.items())] or None


def _counted(deployments: Sequence[Object]) -> dict[str, int]:
    return {ours: sum(_status_of(d).get(theirs) or 0 for d in deployments) for ours, theirs in COUNTS.items()}


def _oldest(deployments: Sequence[Object]) -> dict[str, str]:
    oldest = min(filter(None, (KubernetesVersion.known(version_of(d)) for d in deployments)), default=None)
    return {"version": str(oldest)} if oldest else {}


def _nodes(snapshot: Snapshot) -> Object:
    ready = sum(_status_of(d).get("readyReplicas") or 0 for d in snapshot.live.deployments if not is_deleting(d))
    return {"ready": ready, "desired": sum(p.replicas for p in snapshot.cluster.spec.node_pools)}


def _planned(step: Step) -> Object:
    waits = {"waitsFor": "; ".join(g.message for g in step.gates)[:MAX_STEP_TEXT]} if step.gates else {}
    return {"id": step.id, "reason": step.reason[:MAX_STEP_TEXT], **waits}
