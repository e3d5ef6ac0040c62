"""Pods that wait for data, and loaders' own: what is read of them, and how a gate is taken away. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kaas.kube.objects import Object, Objects, annotation, labels, metadata, name_of, uid
from kaas.volumes import terms
from kaas.volumes.claim import Claim, Key
from kaas.volumes.reasons import FINAL

LABEL: Final = terms.WAITING_LABEL
"""One label on all Pods that the controller watches, so that one watch sees both kinds of them."""
WAITING, LOADING = "waiting", "loading"
"""Its value on Pods with a gate, and on loaders."""

_METADATA: Final = (
    *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "ownerReferences"),
    *("labels",),
)
_SPEC: Final = ("nodeName", "nodeSelector", "tolerations", "schedulingGates")
_STATUS: Final = ("phase", "reason", "message", "startTime")


def lean(pod: Object) -> Object:
    """Of a Pod, what is kept in memory."""
    meta, spec, status = metadata(pod), pod.get("spec") or {}, pod.get("status") or {}
    kept: Object = {k: meta[k] for k in _METADATA if k in meta}
    if (wait := annotation(pod, terms.WAIT)) is not None:
        kept["annotations"] = {terms.WAIT: wait}
    place: Object = {k: spec[k] for k in _SPEC if spec.get(k)}
    place["volumes"] = [v for v in spec.get("volumes") or () if _claim_name(pod, v)]
    if required := _required(spec):
        place["affinity"] = {"nodeAffinity": {REQUIRED: required}}
    if gpus := gpus_of(spec):
        place["containers"] = [{"resources": {"limits": gpus}}]
    now: Object = {k: status[k] for k in _STATUS if status.get(k)}
    for name in ("conditions", "containerStatuses"):
        now[name] = status.get(name) or []
    return {"apiVersion": pod["apiVersion"], "kind": pod["kind"], "metadata": kept, "spec": place, "status": now}


def claims_of(pod: Object) -> list[Key]:
    """Claims that a Pod mounts, those of its generic ephemeral volumes too, in their order."""
    namespace = name_of(pod)[0]
    names = (_claim_name(pod, volume) for volume in (pod.get("spec") or {}).get("volumes") or ())
    return [(namespace, name) for name in dict.fromkeys(filter(None, names))]


def _claim_name(pod: Object, volume: Mapping[str, Any]) -> str:
    """Name of the claim that a volume is of, "" for another kind of volume."""
    if "ephemeral" in volume:  # k8s.io/component-helpers/storage/ephemeral, VolumeClaimName
        return f"{metadata(pod).get('name')}-{volume['name']}"
    return str((volume.get("persistentVolumeClaim") or {}).get("claimName") or "")


def gated(pod: Object) -> bool:
    """Whether our gate keeps it from being scheduled."""
    return any(g.get("name") == terms.GATE for g in (pod.get("spec") or {}).get("schedulingGates") or ())


def is_loader(pod: Object) -> bool:
    """Whether it is a loader's own."""
    return terms.LOADER_LABEL in labels(pod)


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a Pod has to wait. claim: for which. final: nothing will change by itself; message says the way out."""

    claim: Key
    message: str
    final: bool = False


def hold_of(pod: Object, claim_at: Callable[[Key], Claim | None]) -> Hold | None:
    """Why a gated Pod has to wait still, the gravest reason first; None when its gate is to be taken away."""
    if annotation(pod, terms.WAIT) == "false":
        return None
    holds = [hold for key in claims_of(pod) if (hold := _hold(key, claim_at(key)))]
    return max(holds, key=lambda hold: hold.final, default=None)


def _hold(key: Key, claim: Claim | None) -> Hold | None:
    if claim is None:
        return Hold(key, f'claim {key[1]} is not there yet: make it, or set {terms.WAIT}: "false" on the Pod')
    if not claim.holds_pods:
        return None
    if claim.deleting:
        return Hold(key, f"claim {key[1]} is being deleted: its Pods wait for one of that name")
    if claim.faults:
        said = "; ".join(map(str, claim.faults))
        return Hold(key, f"claim {key[1]} cannot be loaded: {said}", final=True)
    if claim.failed:
        return Hold(key, f"claim {key[1]} was not loaded: {said_of(claim)}. {WAY_OUT}", final=True)
    return Hold(key, f"claim {key[1]} is not loaded yet: {claim.condition.get('reason') or 'it was not looked at'}")


WAY_OUT: Final = (
    f"Change what was wrong and set another {terms.ID} on the claim to have it loaded again, "
    f'or {terms.WAIT}: "false" to let Pods start without the data'
)


def said_of(claim: Claim) -> str:
    """What the condition says, without which load it speaks of."""
    reason, message = claim.condition.get("reason") or "", str(claim.condition.get("message") or "")
    words = message.rpartition(" (load ")[0] or message
    return f"{reason}: {words}" if reason in FINAL else words


def ungating(pod: Object) -> Objects:
    """JSON Patch that takes our gate and its label away.

    It does nothing to a Pod whose gates changed meanwhile, nor to another one that has its name by now.

    Source: Kubernetes, Pod Scheduling Readiness: gates can be removed in any order.
    """
    gates: Sequence[Mapping[str, str]] = pod["spec"]["schedulingGates"]
    place = next(i for i, gate in enumerate(gates) if gate["name"] == terms.GATE)
    operations: Objects = [{"op": "test", "path": "/metadata/uid", "value": uid(pod)}]
    operations += _remove(f"/spec/schedulingGates/{place}", dict(gates[place]))
    if (value := labels(pod).get(LABEL)) is not None:
        operations += _remove("/metadata/labels/" + LABEL.replace("~", "~0").replace("/", "~1"), value)
    return operations


def _remove(path: str, value: Any) -> Objects:
    return [{"op": "test", "path": path, "value": value}, {"op": "remove", "path": path}]


REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_GPUS: Final = ("nvidia.com/gpu", "nvidia.com/mig-")
"""How names of GPUs as resources begin. Source: NVIDIA k8s-device-plugin."""


def gpus_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """GPUs and parts of them that a Pod asks for, by resource, as one of its containers does."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    limits = [(container.get("resources") or {}).get("limits") or {} for container in containers]
    return {k: str(v) for found in limits for k, v in found.items() if k.startswith(_GPUS) and str(v) != "0"}


def _required(spec: Mapping[str, Any]) -> Any:
    return ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
