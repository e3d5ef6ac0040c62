"""What the controller of volumes watches, and what has to be looked at when it changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kaas.kube import resources
from kaas.kube.objects import Object, metadata, name_of
from kaas.kube.ports import Source
from kaas.kube.resources import Resource
from kaas.volumes import claim, observe, pods, terms
from kaas.volumes.attempts import attempt_of
from kaas.volumes.cache import snapshots
from kaas.volumes.job import MANAGED

Keys = Iterable[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Interest:
    """One kind. keep: what of it is kept in memory, the same when asked twice. selector: of labels, None for all.

    alone: nobody else in this process writes it, or not what counts here; who puts its own writes into the index need
    not be told of them again. urgent: of a state, whether it is looked at before all that is not.
    """

    resource: Resource
    keys: Callable[[Object], Keys]
    keep: Callable[[Object], Object]
    selector: str | None = None
    alone: bool = True
    urgent: Callable[[Object], bool] = lambda _: False


def interests(store: Source) -> Sequence[Interest]:
    """Everything that is watched; `store` is read when a StorageClass changes."""

    def of_class(found: Object) -> Keys:
        name = metadata(found)["name"]
        known = store.list(resources.PERSISTENT_VOLUME_CLAIM)
        return [_claim(name_of(c)) for c in known if c["spec"].get("storageClassName") == name and _is_ours(c)]

    return (
        Interest(resources.PERSISTENT_VOLUME_CLAIM, lambda c: [_claim(name_of(c))], claim.lean),
        Interest(resources.PERSISTENT_VOLUME, lambda _: (), _volume),
        Interest(resources.STORAGE_CLASS, of_class, _class),
        Interest(resources.JOB, lambda j: map(_claim, observe.claim_keys(j)), observe.job_lean, terms.LOADER_LABEL),
        Interest(resources.POD, _of_pod, pods.lean, pods.LABEL, urgent=_has_loaded),
        Interest(resources.NETWORK_POLICY, lambda _: (), _policy, MANAGED),
        Interest(snapshots.SNAPSHOT, _of_snapshot, snapshots.lean, terms.CACHE_KEY_LABEL),
        Interest(snapshots.CLASS, lambda _: (), snapshots.lean_class),
    )


def _of_snapshot(found: Object) -> Keys:
    """The claim of which it is made."""
    name = (found["spec"].get("source") or {}).get("persistentVolumeClaimName")
    return [_claim((metadata(found)["namespace"], name))] if name else []


def _of_pod(pod: Object) -> Keys:
    """The claims that it loads or waits for, and the Pod itself when it waits."""
    claims = map(_claim, pods.claims_of(pod))
    if pods.is_loader(pod):
        return claims
    return [("pod", *name_of(pod)), *claims] if pods.gated(pod) else []


def _has_loaded(pod: Object) -> bool:
    """Whether a loader has ended: Pods wait for that."""
    return pods.is_loader(pod) and attempt_of(pod).exit is not None


def _claim(key: claim.Key) -> tuple[str, ...]:
    return ("claim", *key)


def _is_ours(found: Object) -> bool:
    return bool(metadata(found).get("annotations"))


def _policy(found: Object) -> Object:
    """Of the network policy of loaders, what it allows."""
    meta = {k: v for k, v in found["metadata"].items() if k not in {"managedFields", "annotations"}}
    return {**found, "metadata": meta}


def _volume(found: Object) -> Object:
    """Of a volume, which nodes reach it."""
    meta = {k: found["metadata"][k] for k in _METADATA if k in found["metadata"]}
    required = (found["spec"].get("nodeAffinity") or {}).get("required")
    return {
        "apiVersion": found["apiVersion"],
        "kind": found["kind"],
        "metadata": meta,
        "spec": {"nodeAffinity": {"required": required}} if required else {},
    }


_METADATA: Final = ("name", "uid", "resourceVersion")


def _class(found: Object) -> Object:
    meta = {k: found["metadata"][k] for k in _METADATA if k in found["metadata"]}
    kept: Object = {k: found[k] for k in ("apiVersion", "kind", "volumeBindingMode", "provisioner") if k in found}
    return {**kept, "metadata": meta}
