"""Which workloads of the system do not work, and what kaas has put into a Cluster. Pure.

Pods are counted by what made them: an update replaces every Pod by one with another name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from kaas.api.update_status import UnwellWorkload
from kaas.kube.objects import Object, is_deleting, is_true, labels

MANAGED: Final = "app.kubernetes.io/managed-by=kaas"
"""Selects what kaas has put into a Cluster."""
_TEMPLATE_HASH: Final = "pod-template-hash"
_ENDED: Final = frozenset({"Succeeded", "Failed"})
_LONGEST: Final = 316  # characters of a workload's name in a baseline
_MOST: Final = 50  # workloads in a baseline: what the status takes


def unwell(pods: Iterable[Object], absent: Collection[str] = ()) -> dict[str, int]:
    """How many Pods of each workload should work and do not.

    absent: nodes that are not Ready: theirs is another check, or whoever repairs them cares for their Pods.
    """
    found = Counter(_workload(p) for p in pods if is_unwell(p) and (p.get("spec") or {}).get("nodeName") not in absent)
    return dict(sorted(found.items()))


def is_unwell(pod: Object) -> bool:
    """Whether a Pod should work and does not.

    Those that have ended or are to end are somebody's history, and Jobs end when they like.
    """
    if is_deleting(pod) or _owner(pod).get("kind") == "Job":
        return False
    return (pod.get("status") or {}).get("phase") not in _ENDED and not is_true(pod, "Ready")


def _owner(pod: Object) -> dict[str, Any]:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((o for o in owners if o.get("controller")), {})


def _workload(pod: Object) -> str:
    """Deployment/coredns for a Pod of one of its ReplicaSets; kube-apiserver for the static Pod of any node."""
    owner, name = _owner(pod), pod["metadata"]["name"]
    kind, owned_by = owner.get("kind", "Pod"), str(owner.get("name") or name)
    if kind == "ReplicaSet" and (template := labels(pod).get(_TEMPLATE_HASH)):
        return f"Deployment/{owned_by.removesuffix(f'-{template}')}"
    if kind == "Node":
        return f"Pod/{name.removesuffix(f'-{owned_by}')}"
    return f"{kind}/{owned_by}"[:_LONGEST]


def as_baseline(found: Mapping[str, int]) -> tuple[UnwellWorkload, ...]:
    """As it is said in status."""
    return tuple(UnwellWorkload(name=name, pods=pods) for name, pods in sorted(found.items())[:_MOST])
