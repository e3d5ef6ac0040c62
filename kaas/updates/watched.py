"""What of the objects that it watches this feature reads. Pure."""

from __future__ import annotations

from typing import Any, Final

from kaas.api.constants import ANNOTATION_MAINTENANCE
from kaas.api.update_status import THROUGH
from kaas.kube.objects import Object, annotation, condition, metadata_without

_COUNTS: Final = ("name", "replicas", "ready", "upToDate", "available")


def concern(cluster: Object) -> Any:
    """Of a Cluster: what its user says, what runs and of what it is made, whether it is well, and repairs under way."""
    meta = metadata_without(cluster, "resourceVersion", "finalizers")
    status = cluster.get("status") or {}
    ready = condition(cluster, "Ready") or {}
    pools = (status.get("repair") or {}).get("pools") or ()
    in_flight = sorted(p["name"] for p in pools if p["inFlight"])
    breakers = sorted(b["scope"] for b in (status.get("repair") or {}).get("breakers") or ())
    versions = [status.get("version"), *((p["name"], p.get("version")) for p in status.get("nodePools") or ())]
    made_of = [status.get(name) for name in ("image", "classRevision", "newestClassRevision")]
    made_of.append((status.get("controlPlane") or {}).get("certificatesEnd"))
    well = ready.get("status"), ready.get("message")
    return meta, cluster["spec"], versions, made_of, well, in_flight, breakers, _moving(status), _add_ons(status)


def _moving(status: Object) -> Any:
    """How many machines there are of each kind, while an update is under way."""
    steps = (status.get("update") or {}).get("steps") or ()
    if all(s["state"] in THROUGH for s in steps):
        return None
    pools = status.get("nodePools") or ()
    return status.get("controlPlane"), [[p.get(n) for n in _COUNTS] for p in pools]


def _add_ons(status: Object) -> Any:
    """Which versions of add-ons there are, and while an update is under way also how they are."""
    found = status.get("addOns") or ()
    steps = (status.get("update") or {}).get("steps") or ()
    if all(s["state"] in THROUGH for s in steps):
        return [(a["name"], a.get("version")) for a in found]
    return [(a["name"], a.get("version"), a["state"], a.get("message")) for a in found]


def concern_of_addon(addon: Object) -> Any:
    """Of an Addon: what people say, and which of its versions can be used."""
    versions = (addon.get("status") or {}).get("versions")
    return metadata_without(addon, "resourceVersion", "managedFields"), addon["spec"], versions


def lean_namespace(namespace: Object) -> Object:
    """Of a Namespace: who it is, and what it says of maintenance."""
    meta = {k: v for k, v in namespace["metadata"].items() if k in ("name", "uid", "resourceVersion")}
    said = annotation(namespace, ANNOTATION_MAINTENANCE)
    kept = {"annotations": {ANNOTATION_MAINTENANCE: said}} if said is not None else {}
    return {"apiVersion": namespace["apiVersion"], "kind": namespace["kind"], "metadata": meta | kept}
