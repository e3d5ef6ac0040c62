"""Whether what runs Pods has those that it is to have. Pure."""

from __future__ import annotations

from typing import Any, Final

from kaas.kube import resources
from kaas.kube.objects import Object, name_of


def called(obj: Object) -> str:
    """What people call it: Deployment kube-system/coredns."""
    namespace, name = name_of(obj)
    return f"{obj['kind']} {namespace}/{name}"


def deployment(obj: Object) -> str:
    """Why a Deployment has not what it is to have; empty when it has.

    As long as Pods of before are there, it is these that may work (see `kubectl rollout status`).
    """
    wanted, status = int((obj.get("spec") or {}).get("replicas", 1)), obj.get("status") or {}
    updated = int(status.get("updatedReplicas", 0))
    lacks = _lacks(obj, wanted, "updatedReplicas", "")
    if not lacks and (old := int(status.get("replicas", 0)) - updated) > 0:
        works = int(status.get("availableReplicas", 0)) - old
        return f"{max(works, 0)} of {wanted} Pods work, and {old} of before are there still"
    return lacks or _lacks(obj, wanted, "", "availableReplicas")


def stateful_set(obj: Object) -> str:
    """Why a StatefulSet has not what it is to have; empty when it has. A partition leaves Pods of before."""
    spec = obj.get("spec") or {}
    wanted, strategy = int(spec.get("replicas", 1)), spec.get("updateStrategy") or {}
    kept = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    by_hand = strategy.get("type") == "OnDelete"
    lacks = "" if by_hand else _lacks(obj, max(wanted - kept, 0), "updatedReplicas", "")
    return lacks or _lacks(obj, wanted, "", "availableReplicas")


def daemon_set(obj: Object) -> str:
    """Why a DaemonSet does not run wherever it is to run; empty when it does."""
    wanted = int((obj.get("status") or {}).get("desiredNumberScheduled", 0))
    return _lacks(obj, wanted, "updatedNumberScheduled", "numberAvailable")


def _lacks(obj: Object, wanted: int, updated: str, available: str) -> str:
    status: dict[str, Any] = obj.get("status") or {}
    if int(status.get("observedGeneration", 0)) < int(obj["metadata"].get("generation", 0)):
        return "its controller has not seen it yet"
    for count, words in ((updated, "are as it says"), (available, "work")):
        if count and (n := int(status.get(count, 0))) < wanted:
            return f"{n} of {wanted} Pods {words}"
    return ""


KINDS: Final = (
    (resources.DEPLOYMENT, deployment),
    (resources.STATEFUL_SET, stateful_set),
    (resources.DAEMON_SET, daemon_set),
)
"""What runs Pods all the time, and why one of them does not."""
