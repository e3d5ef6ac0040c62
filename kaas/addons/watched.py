"""What of the objects that it watches this feature reads. Pure."""

from __future__ import annotations

from typing import Any

from kaas.kube.objects import Object, annotation, labels, metadata
from kaas.kube.resources import PAUSED_ANNOTATION


def concern(cluster: Object) -> Any:
    """Of a Cluster: who it is, which Addons may select it, whether it can be reached, and how far its update is."""
    meta, status = metadata(cluster), cluster.get("status") or {}
    plane = status.get("controlPlane") or {}
    return (
        (meta.get("uid"), meta.get("deletionTimestamp"), labels(cluster), cluster["spec"]["site"]),
        annotation(cluster, PAUSED_ANNOTATION) is not None,
        (status.get("version"), plane.get("ready"), status.get("kubeconfigSecret"), status.get("addOns")),
        _update(status.get("update") or {}),
    )


def _update(update: Object) -> Any:
    changes = update.get("addOns")
    if not changes:
        return None
    steps = [(s["name"], s["state"], "started" in s) for s in update.get("steps") or ()]
    back = [(r["what"], r.get("addOn")) for r in update.get("rolledBack") or ()]
    return changes, steps, back, "stopped" in update


def concern_of_addon(addon: Object) -> Any:
    """Of an Addon: what people say, and what was found of its versions; not how many Clusters have it."""
    versions = (addon.get("status") or {}).get("versions") or ()
    found = [(v["version"], v.get("digest"), v.get("message"), v.get("stopped")) for v in versions]
    return metadata(addon).get("uid"), metadata(addon).get("deletionTimestamp"), addon["spec"], found


def counted(cluster: Object) -> Any:
    """Of a Cluster: what Addons count."""
    meta, status = metadata(cluster), cluster.get("status") or {}
    found = [(a["name"], a.get("version"), a.get("digest"), a["state"]) for a in status.get("addOns") or ()]
    update = status.get("update") or {}
    stopped = update.get("addOns") if "stopped" in update else None
    is_there = meta.get("deletionTimestamp"), labels(cluster), cluster["spec"]["site"]
    return is_there, status.get("version"), found, stopped


def said_of_addon(addon: Object) -> Any:
    """Of an Addon: what people say. What it says itself it knows."""
    return metadata(addon).get("uid"), metadata(addon).get("generation"), addon["spec"]
