"""Whether what runs Pods has those that it is to have. Pure."""

from __future__ import annotations

from typing import Any

from kaas.kube.objects import Object, name_of


def called(obj: Object) -> str:
    """What people call it: Deployment kube-system/coredns."""
    namespace, name = name_of(obj)
    return f"{obj['kind']} {namespace}/{name}"


def deployment(obj: Object) -> str:
    """Why a Deployment has not what it is to have; empty when it has."""
    wanted = int((obj.get("spec") or {}).get("replicas", 1))
    return _lacks(obj, wanted, "updatedReplicas", "availableReplicas")


def daemon_set(obj: Object) -> str:
    """Why a DaemonSet does not run wherever it is to run; empty when it does."""
    wanted = int((obj.get("status") or {}).get("desiredNumberScheduled", 0))
    return _lacks(obj, wanted, "updatedNumberScheduled", "numberAvailable")


def _lacks(obj: Object, wanted: int, updated: str, available: str) -> str:
    status: dict[str, Any] = obj.get("status") or {}
    if int(status.get("observedGeneration", 0)) < int(obj["metadata"].get("generation", 0)):
        return "its controller has not seen it yet"
    for count, words in ((updated, "are as it says"), (available, "work")):
        if (n := int(status.get(count, 0))) < wanted:
            return f"{n} of {wanted} Pods {words}"
    return ""
