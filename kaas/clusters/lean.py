"""How little of what others made is kept in memory. Pure.

A Cluster with ten machines is some forty objects of 3 to 10 KB each; what status and plan read of them is a tenth. Most
of that is alike in thousands of objects ("Ready is True"), and kept once. So nothing that comes out may be changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

from kaas.api.constants import GROUP
from kaas.clusters.snapshot import Object
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL

KEPT_ANNOTATIONS = frozenset({"kaas.internal/applied"})
KEPT_METADATA = ("name", "namespace", "uid", "resourceVersion", "generation", "deletionTimestamp")
KEPT_LABELS = frozenset({CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL})
KEPT_STATUS = (
    *("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas", "observedGeneration"),
    *("version", "versions", "nodeRef", "instanceID", "instanceState", "failureReason", "failureMessage"),
)
KEPT_OF_CONDITION = ("type", "status", "reason", "message")
KEPT_OF_OWN_CONDITION = (*KEPT_OF_CONDITION, "observedGeneration")
DROPPED_OF_CLUSTER = frozenset({"deprecated", "conditions"})
_ALIKE = 8192  # different pieces that are remembered to be shared


def cluster(obj: Object) -> Object:
    """Of a Cluster API Cluster or CAPO's identity: all of the spec, which is compared with what is wanted."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in ("annotations", "managedFields")}
    found = obj["metadata"].get("annotations") or {}
    if kept := {k: v for k, v in found.items() if k in KEPT_ANNOTATIONS}:
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
    return kept | ({"labels": _shared(tuple(sorted(ours.items())))} if ours else {})


def _spec(spec: Object) -> Object:
    """The version of a control plane or machine, and that of a MachineDeployment's machines."""
    template = ((spec.get("template") or {}).get("spec") or {}).get("version")
    return _versions(spec.get("version"), template)


@lru_cache(maxsize=_ALIKE)
def _versions(own: str | None, template: str | None) -> Object:
    found: Object = {"version": own} if own else {}
    return found | ({"template": {"spec": {"version": template}}} if template else {})


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
