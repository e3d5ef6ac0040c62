"""Where a loader may run: beside Pods that use its volume, where one that waits for it may, or anywhere. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kaas.api.selectors import holds
from kaas.kube.objects import Object, labels
from kaas.volumes.pods import REQUIRED, gpus_of
from kaas.volumes.settings import GPU_LABEL

PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
Term = dict[str, list[Any]]
"""One term of a node selector: `matchExpressions`, `matchFields`. Without either it selects nothing."""
_MOST: Final = 10
"""Nodes of Pods that use a volume, of which one is chosen."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where Pods of a load may run, as parts of a Pod's spec."""

    node_selector: dict[str, str] = field(default_factory=dict)
    affinity: dict[str, Any] = field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    decided: tuple[Any, ...] = ()
    """What Pods decide of the affinity. The rest is another one when the volume is there."""

    @property
    def mark(self) -> str:
        """The same while Pods say the same."""
        text = json.dumps([self.node_selector, self.decided, self.tolerations], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def anywhere(waiting: Sequence[Object] = (), *, gpu_label: str = GPU_LABEL) -> Placement:
    """On nodes with GPUs only when there is no room elsewhere. Taints count as little as for the Pod that waits."""
    first = oldest(waiting)
    off_gpus = [{"weight": 100, "preference": {"matchExpressions": [_gpus(gpu_label, has=False)]}}]
    return Placement(
        affinity={"nodeAffinity": {PREFERRED: off_gpus}} if gpu_label else {},
        tolerations=_tolerations([first] if first else []),
    )


def following(consumer: Object, volumes: Iterable[Mapping[str, Any]] = (), *, gpu_label: str = GPU_LABEL) -> Placement:
    """Where a Pod that waits may run: what is made there is to be within its reach.

    volumes: node selectors of what else it mounts. gpu_label: of nodes with GPUs, where it may run alone if it asks for
    some; "" where nodes have no such label.
    """
    spec = consumer["spec"]
    own = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    gpus = bool(gpus_of(spec))
    needs = [{"nodeSelectorTerms": [{"matchExpressions": [_gpus(gpu_label)]}]}] if gpu_label and gpus else []
    return Placement(
        node_selector=dict(spec.get("nodeSelector") or {}),
        affinity=_required(all_of([*([own] if own else []), *volumes, *needs])),
        tolerations=_tolerations([consumer]),
        decided=tuple(filter(None, (own, gpus))),
    )


def is_for_gpus(spec: Mapping[str, Any], gpu_label: str) -> bool:
    """Whether a Pod may run on nodes with GPUs alone, by its affinity."""
    terms = _terms(spec) or ()
    return bool(terms) and all(_gpus(gpu_label) in (t.get("matchExpressions") or ()) for t in terms)


def lets(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether a Pod's node selector and required affinity let it onto a node. Taints and room are not looked at."""
    found, names = labels(node), {"metadata.name": node["metadata"]["name"]}
    if any(found.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    terms = _terms(spec)
    return terms is None or any(
        all(holds(rule, found) for rule in term.get("matchExpressions") or ())
        and all(holds(rule, names) for rule in term.get("matchFields") or ())
        for term in terms
    )


def _terms(spec: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """Terms of a required node affinity, but those that select nothing; None when there is none."""
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    terms = (required or {}).get("nodeSelectorTerms") or ()
    return [t for t in terms if t.get("matchExpressions") or t.get("matchFields")] if required else None


def beside(users: Sequence[Object]) -> Placement:
    """On the node of Pods that use the volume, for no other one may get it; of those that run, if some do."""
    running = [pod for pod in users if (pod.get("status") or {}).get("phase") == "Running"] or users
    nodes = sorted({pod["spec"]["nodeName"] for pod in running})[:_MOST]
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]} for node in nodes]  # each alone: its rule
    there = [pod for pod in running if pod["spec"]["nodeName"] in nodes]
    found = {"nodeSelectorTerms": [{"matchFields": [field_]} for field_ in fields]}
    return Placement(affinity=_required(found), tolerations=_tolerations(there), decided=(found,))


def oldest(pods: Iterable[Object]) -> Object | None:
    """Of Pods that wait the one that decides; None when there is none."""
    return min(pods, key=lambda p: (p["metadata"]["creationTimestamp"], p["metadata"]["name"]), default=None)


def all_of(selectors: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A node selector for what all of these select; None for none of them."""
    found: list[Term] | None = None
    for selector in _unique(selectors):
        terms = _short([{k: v for k, v in t.items() if v} for t in selector.get("nodeSelectorTerms") or ()])
        found = terms if found is None else _unique([_joined(a, b) for a in found for b in terms if a and b])
    return None if found is None else {"nodeSelectorTerms": found or [{}]}


def _short(terms: list[Term]) -> list[Term]:
    """One term in place of many for the values of one label, as drivers have them: else all of them are multiplied."""
    lists = [t.get("matchExpressions") or [] for t in terms]
    alone = [found[0] for t, found in zip(terms, lists, strict=True) if len(found) == 1 and not t.get("matchFields")]
    if len(alone) < len(terms) or {e["operator"] for e in alone} != {"In"} or len({e["key"] for e in alone}) != 1:
        return _unique(terms)
    values = list(dict.fromkeys(value for e in alone for value in e["values"]))
    return [{"matchExpressions": [{"key": alone[0]["key"], "operator": "In", "values": values}]}]


def _joined(one: Term, other: Term) -> Term:
    return {key: _unique([*one.get(key, []), *other.get(key, [])]) for key in {**one, **other}}


def _unique(found: Sequence[Any]) -> list[Any]:
    return [x for i, x in enumerate(found) if x not in found[:i]]


def _required(selector: dict[str, Any] | None) -> dict[str, Any]:
    return {"nodeAffinity": {REQUIRED: selector}} if selector else {}


def _gpus(label: str, *, has: bool = True) -> dict[str, Any]:
    key, equals, value = label.partition("=")
    if not equals:
        return {"key": key, "operator": "Exists" if has else "DoesNotExist"}
    return {"key": key, "operator": "In" if has else "NotIn", "values": [value]}


def _tolerations(pods: Sequence[Object]) -> tuple[dict[str, Any], ...]:
    found = [t for pod in pods for t in pod["spec"].get("tolerations") or () if not _of_every_pod(t)]
    return tuple(_unique(sorted(found, key=lambda t: json.dumps(t, sort_keys=True)) if len(pods) > 1 else found))


def _of_every_pod(toleration: dict[str, Any]) -> bool:
    """Whether admission gives it to every Pod by itself. Source: Kubernetes, DefaultTolerationSeconds."""
    return str(toleration.get("key") or "") in {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
