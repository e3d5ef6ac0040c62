"""Whether what runs Pods has those that it is to have. Pure."""

from __future__ import annotations

from collections.abc import Iterable
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


def daemon_set(obj: Object, absent: int = 0) -> str:
    """Why a DaemonSet does not run wherever it is to run; empty when it does. absent: see `absent`."""
    wanted = int((obj.get("status") or {}).get("desiredNumberScheduled", 0))
    return _lacks(obj, max(wanted - absent, 0), "updatedNumberScheduled", "numberAvailable")


def absent(ready: Iterable[bool]) -> int:
    """On how many Nodes a DaemonSet may lack its Pod. ready: of each Node whether it is Ready.

    The controller counts Nodes that are not Ready among those that it wants a Pod on. When no Node is Ready, it may be
    for want of these Pods, and none may lack.
    """
    nodes = list(ready)
    return nodes.count(False) if any(nodes) else 0


def problem(obj: Object, absent: int = 0) -> str:
    """Why what runs Pods, of one of `KINDS`, has not what it is to have; empty when it has. absent: see `absent`."""
    if obj["kind"] == resources.DAEMON_SET.kind:
        return daemon_set(obj, absent)
    return stateful_set(obj) if obj["kind"] == resources.STATEFUL_SET.kind else deployment(obj)


def progress(obj: Object) -> int:
    """How many Pods are as it says, and how many work, together: more of it the further it is. 0 when not known."""
    status: dict[str, Any] = obj.get("status") or {}
    if not _is_seen(obj):
        return 0
    if obj["kind"] == resources.DAEMON_SET.kind:
        return int(status.get("updatedNumberScheduled", 0)) + int(status.get("numberAvailable", 0))
    wanted = int((obj.get("spec") or {}).get("replicas", 1))  # a surge has more for a while
    return min(int(status.get("updatedReplicas", 0)), wanted) + min(int(status.get("availableReplicas", 0)), wanted)


def _is_seen(obj: Object) -> bool:
    """Whether the status is about what the object says now."""
    seen = int((obj.get("status") or {}).get("observedGeneration", 0))
    return seen >= int(obj["metadata"].get("generation", 0))


def _lacks(obj: Object, wanted: int, updated: str, available: str) -> str:
    status: dict[str, Any] = obj.get("status") or {}
    if not _is_seen(obj):
        return "its controller has not seen it yet"
    for count, words in ((updated, "are as it says"), (available, "work")):
        if count and (n := int(status.get(count, 0))) < wanted:
            return f"{n} of {wanted} Pods {words}"
    return ""


KINDS: Final = (resources.DEPLOYMENT, resources.STATEFUL_SET, resources.DAEMON_SET)
"""What runs Pods all the time."""
