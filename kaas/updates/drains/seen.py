"""From objects to what a drain is decided from. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from kaas.api.cluster import Cluster, NodePool
from kaas.api.constants import ANNOTATION_GPU, LABEL_POOL
from kaas.api.patience import drain
from kaas.api.pool_update import Strategy, gives_notice, soak_of
from kaas.api.shares import rounded_down
from kaas.api.site import GpuFacts
from kaas.gpu.layouts import CONFIG, layout_of
from kaas.kube.objects import Object, annotation, condition, is_deleting, labels, metadata, name_of
from kaas.kube.resources import DRAIN_HOOK, REMEDIATE_ANNOTATION
from kaas.kube.times import at
from kaas.updates.drains.facts import Departure, Neighbour, NodeSeen, Offer, PodSeen, Rules
from kaas.updates.drains.words import (
    CHECKPOINT,
    CHECKPOINTED,
    DO_NOT_DISRUPT,
    DRAIN_AT,
    DRAIN_NOW,
    DRAIN_REASON,
    NOTICED,
    WHOLE,
)

LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
NVIDIA: Final = "nvidia.com/"
"""Begins the names of NVIDIA's resources: whole GPUs, and slices of each geometry."""
_MIRROR: Final = "kubernetes.io/config.mirror"
_OF_THE_NODE: Final = frozenset({"DaemonSet", "Node"})
_MADE_AGAIN: Final = frozenset({"ReplicaSet", "ReplicationController", "StatefulSet"})
"""Kinds whose Pods never end by themselves, and are made again elsewhere when they are evicted."""


def is_held(machine: Object) -> bool:
    """Whether a Machine is to go and waits for us."""
    return is_deleting(machine) and annotation(machine, DRAIN_HOOK) is not None


def pool_of(machine: Object) -> str:
    """Name of a Machine's pool; empty for the control plane."""
    return labels(machine).get(LABEL_POOL, "")


def node_of(machine: Object) -> str | None:
    """Name of its Node, None when it has not joined."""
    name: str | None = ((machine.get("status") or {}).get("nodeRef") or {}).get("name")
    return name


def departure_of(machine: Object) -> Departure:
    """A Machine that is held."""
    return Departure(
        name=metadata(machine)["name"],
        asked=at(metadata(machine)["deletionTimestamp"]),
        node=node_of(machine),
        noticed=_time(annotation(machine, NOTICED)),
        outdated=is_outdated(machine),
        repaired=_is_false(machine, "OwnerRemediated") or annotation(machine, REMEDIATE_ANNOTATION) is not None,
        now=annotation(machine, DRAIN_NOW),
    )


def is_outdated(machine: Object) -> bool:
    """Whether Cluster API replaces it by a newer one, or will."""
    return _is_false(machine, "UpToDate")


def _is_false(machine: Object, name: str) -> bool:
    found = condition(machine, name)
    return found is not None and found.get("status") == "False"


def rules_of(cluster: Cluster, machine: Object) -> Rules | None:
    """What the Machine's pool says; None when the Cluster has no such pool any more."""
    pool = next((p for p in cluster.spec.node_pools if p.name == pool_of(machine)), None)
    return _rules(pool, gpus=annotation(machine, ANNOTATION_GPU) is not None) if pool else None


def _rules(pool: NodePool, *, gpus: bool) -> Rules:
    update = pool.update
    seconds = drain(pool, gpus=gpus)
    unavailable = update.max_unavailable if update.max_unavailable is not None else 1
    return Rules(
        pool=pool.name,
        replicas=pool.replicas,
        notice=gives_notice(update, gpus=gpus),
        unavailable=rounded_down(unavailable, pool.replicas),
        timeout=timedelta(seconds=seconds) if seconds else None,
        soak=timedelta(seconds=soak_of(update)) if update.strategy is Strategy.BLUE_GREEN else None,
    )


def neighbours(machine: Object, machines: Iterable[Object], nodes: Mapping[str, NodeSeen]) -> tuple[Neighbour, ...]:
    """The others of a Machine's pool, with their Nodes by name."""
    name, pool = metadata(machine)["name"], pool_of(machine)
    others = (m for m in machines if pool_of(m) == pool and metadata(m)["name"] != name)
    return tuple(neighbour(m, nodes.get(node_of(m) or "")) for m in others)


def neighbour(machine: Object, node: NodeSeen | None) -> Neighbour:
    """A machine of the pool as another one sees it."""
    leaving = departure_of(machine) if is_held(machine) else None
    gone = is_deleting(machine) and leaving is None
    count, model = gpus_of_machine(machine)
    return Neighbour(metadata(machine)["name"], node, is_outdated(machine), leaving, gone, count, model)


def gpus_of_machine(machine: Object) -> tuple[int, str]:
    """How many GPUs it was made with, and which; 0 and "" when that was never written, or is no JSON."""
    try:
        facts = GpuFacts.model_validate_json(annotation(machine, ANNOTATION_GPU) or "")
    except ValidationError:
        return 0, ""
    return facts.count, facts.model


def node_seen(node: Object) -> NodeSeen:
    """A Node of the workload cluster."""
    ready = condition(node, "Ready") or {}
    since = _time(ready.get("lastTransitionTime")) or _time(metadata(node).get("creationTimestamp")) or LONG_AGO
    cordoned = bool((node.get("spec") or {}).get("unschedulable"))
    layout = layout_of(labels(node))
    return NodeSeen(metadata(node)["name"], ready.get("status") == "True", since, gpus_of(node), cordoned, layout)


def gpus_of(node: Object) -> dict[str, int]:
    """GPUs and slices of them that Pods may ask for on a Node."""
    offers = (node.get("status") or {}).get("allocatable") or {}
    own = {name: int(number) for name, number in offers.items() if _is_gpu(name) and str(number).isdigit()}
    return {name: number for name, number in own.items() if number}


def _is_gpu(resource: str) -> bool:
    """Whether a resource is GPUs, of NVIDIA or another maker (as amd.com/gpu)."""
    return resource.startswith(NVIDIA) or resource.endswith("/gpu")


def pods_seen(pods: Iterable[Object], node: str, *, gpus: bool) -> tuple[PodSeen, ...]:
    """Pods of a Node that its drain would end. gpus: whether its pool has any; then jobs are those that use them."""
    found = [p for p in pods if (p.get("spec") or {}).get("nodeName") == node and not _stays(p)]
    return tuple(_pod(p, gpus=gpus) for p in sorted(found, key=name_of))


def _stays(pod: Object) -> bool:
    """Whether it ends with its Node, or has ended."""
    finished = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    return finished or owner_kind(pod) in _OF_THE_NODE or annotation(pod, _MIRROR) is not None


def _pod(pod: Object, *, gpus: bool) -> PodSeen:
    namespace, name = name_of(pod)
    checkpoints = annotation(pod, CHECKPOINT) == "true"
    asks = checkpoints or annotation(pod, DO_NOT_DISRUPT) == "true"
    reason = annotation(pod, DRAIN_REASON)
    return PodSeen(
        namespace,
        name,
        waited=asks or (owner_kind(pod) not in _MADE_AGAIN and (not gpus or uses_gpus(pod))),
        checkpoints=checkpoints,
        checkpointed=_time(annotation(pod, CHECKPOINTED)),
        told=(annotation(pod, DRAIN_AT), reason) if reason is not None else None,
    )


def uses_gpus(pod: Object) -> bool:
    """Whether one of its containers asks for GPUs or slices of them."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    asked = [(c.get("resources") or {}).get(kind) or {} for c in containers for kind in ("limits", "requests")]
    return any(_is_gpu(name) and str(number) != "0" for each in asked for name, number in each.items())


def owner_kind(pod: Object) -> str:
    """Kind of its controller, empty when it has none."""
    return str((owner_of(pod) or {}).get("kind") or "")


def owner_of(pod: Object) -> Object | None:
    """The reference to its controller."""
    return next((o for o in metadata(pod).get("ownerReferences") or () if o.get("controller")), None)


# --- what boxes had to offer --------------------------------------------------------------------------------------


def offer_of(node: NodeSeen) -> Offer:
    """What a Node offers now."""
    return Offer(node.gpus, node.layout.name)


def whole_of(deployments: Iterable[Object], pool: str) -> tuple[Offer, ...]:
    """What was written down at the MachineDeployments of a pool."""
    said = [annotation(d, WHOLE) for d in deployments if pool_of(d) == pool]
    return tuple(offer for text in said if text for offer in _boxes(text))


def whole_text(boxes: Iterable[Offer]) -> str:
    """What is written down: every different box once, so that the same pool is the same text."""
    said = [{**b.gpus, **({CONFIG: b.layout} if b.layout else {})} for b in boxes if b.gpus]
    return f"[{', '.join(sorted({json.dumps(one, sort_keys=True) for one in said}))}]"


def _boxes(text: str) -> list[Offer]:
    """What a person has spoiled counts as never written."""
    try:
        found: Any = json.loads(text)
        return [_box(box) for box in found if box]
    except (ValueError, TypeError, AttributeError):
        return []


def _box(said: Mapping[str, Any]) -> Offer:
    gpus = {str(k): int(v) for k, v in said.items() if k != CONFIG}
    return Offer(gpus, str(said.get(CONFIG) or ""))


def _time(text: str | None) -> datetime | None:
    """A time that somebody else wrote; None for what is none, or has no zone."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else None
