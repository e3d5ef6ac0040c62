"""Where a loader may run: where the Pod that waits for it is to run, or anywhere but on GPU nodes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kaas.kube.objects import Object

GPU_LABEL: Final = "nvidia.com/gpu.present"
"""On nodes with GPUs. Source: NVIDIA gpu-feature-discovery."""
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_OFF_GPUS: Final = {"matchExpressions": [{"key": GPU_LABEL, "operator": "NotIn", "values": ["true"]}]}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where Pods of a load may run, as parts of a Pod's spec. consumer: the Pod that it was taken from, "" for none."""

    node_selector: dict[str, str] = field(default_factory=dict)
    affinity: dict[str, Any] = field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    consumer: str = ""


def placement_of(consumers: Sequence[Object], *, reachable_everywhere: bool) -> Placement:
    """Placement for a load whose oldest consumer decides; without one it keeps off GPU nodes.

    reachable_everywhere: the volume is not bound to some nodes. Else GPU nodes are only kept off if there are others.
    """
    oldest = min(consumers, key=lambda p: (p["metadata"]["creationTimestamp"], p["metadata"]["name"]), default=None)
    if oldest is None:
        return Placement(affinity={"nodeAffinity": _strict() if reachable_everywhere else _lenient()})
    spec = oldest["spec"]
    affinity = {"nodeAffinity": {**(spec.get("affinity") or {}).get("nodeAffinity", {}), **_lenient()}}
    return Placement(
        node_selector=dict(spec.get("nodeSelector") or {}),
        affinity=affinity,
        tolerations=tuple(t for t in spec.get("tolerations") or () if not _of_every_pod(t)),
        consumer=oldest["metadata"]["name"],
    )


def _strict() -> dict[str, Any]:
    return {REQUIRED: {"nodeSelectorTerms": [_OFF_GPUS]}}


def _lenient() -> dict[str, Any]:
    return {PREFERRED: [{"weight": 100, "preference": _OFF_GPUS}]}


def _of_every_pod(toleration: dict[str, Any]) -> bool:
    """Whether admission gives it to every Pod by itself. Source: Kubernetes, DefaultTolerationSeconds."""
    return str(toleration.get("key") or "") in {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
