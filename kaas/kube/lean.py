"""How little of what Cluster API and its providers made is kept in memory, for all features together. Pure.

A Cluster with ten machines is some forty objects of 3 to 10 KB each; what status and plan read of them is a tenth. Most
of that is alike in thousands of objects ("Ready is True"), and kept once. So nothing that comes out may be changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

from kaas.api.constants import GROUP
from kaas.kube.objects import Object
from kaas.kube.resources import (
    CLUSTER_NAME_LABEL,
    CONTROL_PLANE_LABEL,
    DEPLOYMENT_NAME_LABEL,
    DRAIN_HOOK,
    PAUSED_ANNOTATION,
    REMEDIATE_ANNOTATION,
    SKIP_REMEDIATION_ANNOTATION,
    TOPOLOGY_DEPLOYMENT_LABEL,
)

APPLIED = f"{GROUP}/applied"
KEPT_OF_OTHERS = frozenset({REMEDIATE_ANNOTATION, SKIP_REMEDIATION_ANNOTATION, PAUSED_ANNOTATION, DRAIN_HOOK})
KEPT_METADATA = ("name", "namespace", "uid", "resourceVersion", "generation", "deletionTimestamp")
KEPT_LABELS = frozenset({CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL, DEPLOYMENT_NAME_LABEL, TOPOLOGY_DEPLOYMENT_LABEL})
KEPT_STATUS = (
    *("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas", "observedGeneration"),
    *("version", "versions", "nodeRef", "instanceID", "instanceState", "failureReason", "failureMessage"),
    "certificatesExpiryDate",
)
KEPT_OF_CONDITION = ("type", "status", "reason", "message")
KEPT_WITH_TIME = (*KEPT_OF_CONDITION, "lastTransitionTime")
KEPT_OF_OWN_CONDITION = (*KEPT_OF_CONDITION, "observedGeneration")
ON_DELETE = "OnDelete"
"""Strategy of a MachineDeployment that takes no machine out by itself."""
DROPPED_OF_CLUSTER = frozenset({"deprecated", "conditions"})
_ALIKE = 8192  # different pieces that are remembered to be shared


def cluster(obj: Object) -> Object:
    """Of a Cluster API Cluster or CAPO's identity: all of the spec, which is compared with what is wanted."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in ("annotations", "managedFields")}
    found = obj["metadata"].get("annotations") or {}
    if kept := {k: v for k, v in found.items() if k == APPLIED}:
        meta["annotations"] = kept
    status = obj.get("status") or {}
    rest = {k: v for k, v in status.items() if k not in DROPPED_OF_CLUSTER}
    return {**obj, "metadata": meta, "status": rest | _conditions_of(status, KEPT_OF_OWN_CONDITION)}


def part(obj: Object) -> Object:
    """Of what Cluster API made: who it is, whose, its version, its counts and conditions."""
    status = obj.get("status") or {}
    counts = {k: status[k] for k in KEPT_STATUS if k in status}
    return {
        "apiVersion": intern(obj["apiVersion"]),
        "kind": intern(obj["kind"]),
        "metadata": _metadata(obj["metadata"]),
        "spec": _spec(obj.get("spec") or {}),
        "status": counts | _conditions_of(status),
    }


def infrastructure(obj: Object) -> Object:
    """Of an OpenStackCluster, beside the above: the addresses of the API server."""
    kept = part(obj)
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    where = {k: spec[k] for k in ("controlPlaneEndpoint", "apiServerFloatingIP") if k in spec}
    ip = (status.get("apiServerLoadBalancer") or {}).get("ip")
    balanced = {"apiServerLoadBalancer": {"ip": ip}} if ip else {}
    return {**kept, "spec": kept["spec"] | where, "status": kept["status"] | balanced}


def machine(obj: Object) -> Object:
    """Of a Machine, beside the above: where it runs, what it boots from, and since when its server is made.

    That time is kept as long as it has no Node: it says how long the machine has been trying to join.
    """
    kept = part(obj)
    spec, meta = obj.get("spec") or {}, kept["metadata"]
    where = {k: spec[k] for k in ("failureDomain", "providerID") if k in spec}
    boot = (spec.get("bootstrap") or {}).get("dataSecretName")
    server = (spec.get("infrastructureRef") or {}).get("name")
    where |= {"bootstrap": {"dataSecretName": boot}} if boot else {}
    where |= {"infrastructureRef": {"name": server}} if server else {}
    made = {"creationTimestamp": obj["metadata"]["creationTimestamp"]} if "creationTimestamp" in obj["metadata"] else {}
    return {**kept, "metadata": meta | made, "spec": kept["spec"] | where, "status": _joining(kept["status"], obj)}


def _joining(kept: Object, obj: Object) -> Object:
    """The status, with the times of conditions as long as the machine has no Node."""
    if "nodeRef" in kept or "conditions" not in kept:
        return kept
    return kept | {"conditions": [{k: c[k] for k in KEPT_WITH_TIME if k in c} for c in obj["status"]["conditions"]]}


def cluster_class(obj: Object) -> Object:
    """Of a ClusterClass, the names of its variables and whether it is taken up."""
    variables = [{"name": v["name"]} for v in obj.get("spec", {}).get("variables") or ()]
    return {**cluster(obj), "spec": {"variables": variables}}


def _metadata(meta: Object) -> Object:
    kept = {k: meta[k] for k in KEPT_METADATA if k in meta}
    if namespace := kept.get("namespace"):
        kept["namespace"] = intern(namespace)
    labels = meta.get("labels") or {}
    ours = {k: v for k, v in labels.items() if k in KEPT_LABELS or k.startswith(f"{GROUP}/")}
    notes = meta.get("annotations") or {}
    if told := {k: v for k, v in notes.items() if k in KEPT_OF_OTHERS or k.startswith(f"{GROUP}/")}:
        kept["annotations"] = told
    return kept | ({"labels": _shared(tuple(sorted(ours.items())))} if ours else {})


def strategy_of(deployment: Object) -> str | None:
    """How a MachineDeployment, or one of a topology, replaces its machines; None where that is not said."""
    rollout = (deployment.get("spec") or deployment).get("rollout") or {}
    found: str | None = (rollout.get("strategy") or {}).get("type")
    return found


def _spec(spec: Object) -> Object:
    """The version of a control plane or machine, and of a MachineDeployment's machines that of them, and OnDelete."""
    template = ((spec.get("template") or {}).get("spec") or {}).get("version")
    return _versions(spec.get("version"), template, strategy_of(spec) == ON_DELETE)


@lru_cache(maxsize=_ALIKE)
def _versions(own: str | None, template: str | None, on_delete: bool) -> Object:
    found: Object = {"version": own} if own else {}
    found |= {"template": {"spec": {"version": template}}} if template else {}
    return found | ({"rollout": {"strategy": {"type": ON_DELETE}}} if on_delete else {})


@lru_cache(maxsize=_ALIKE)
def _shared(items: tuple[tuple[str, Any], ...]) -> Object:
    return dict(items)


def _conditions_of(status: Mapping[str, Any], kept: Sequence[str] = KEPT_OF_CONDITION) -> Object:
    """Conditions without their times, which nobody reads."""
    if "conditions" not in status:
        return {}
    said = tuple(tuple((k, found[k]) for k in kept if k in found) for found in status["conditions"] or ())
    return {"conditions": _conditions(said)}


@lru_cache(maxsize=_ALIKE)
def _conditions(said: tuple[tuple[tuple[str, Any], ...], ...]) -> list[Object]:
    return [_shared(one) for one in said]
