"""Admission of PersistentVolumeClaims: what is wrong with their annotations is said when they are written. Pure."""

from __future__ import annotations

from typing import Any, Final

from kaas.api.constants import GROUP
from kaas.kube.objects import Object
from kaas.volumes import terms
from kaas.volumes.annotations import request_of
from kaas.volumes.claim import DATA_SOURCE, claim_of, unfit


def faults(claim: Object, before: Object | None) -> list[str]:
    """Every fault of what is written, with the way out; none where an update leaves our annotations as they were.

    So a claim that was made while nobody checked can still be labelled, resized and deleted.
    """
    if before is not None and _ours(claim) == _ours(before):
        return []
    request = request_of(_ours(claim))
    of_kind = unfit(request.spec, claim) if request.concerns else ()
    twice = [TWICE] if request.concerns and _data_source(claim) else []
    return [*(str(fault) for fault in (*request.faults, *of_kind)), *twice]


TWICE: Final = (
    f"spec.dataSourceRef: a claim that a {DATA_SOURCE} fills has no annotations {terms.PREFIX}*: remove those"
)


def _data_source(claim: Object) -> bool:
    reference = (claim.get("spec") or {}).get("dataSourceRef") or {}
    return (reference.get("apiGroup"), reference.get("kind")) == (GROUP, DATA_SOURCE)


def _ours(claim: Object) -> dict[str, str]:
    annotations = (claim.get("metadata") or {}).get("annotations") or {}
    return {name: value for name, value in annotations.items() if name.startswith(terms.PREFIX)}


def wants_snapshot(claim: Object) -> bool:
    """Whether a claim that is created may be born of a snapshot: it asks for it, and names no other origin."""
    request, spec = request_of(_ours(claim)), claim.get("spec") or {}
    if request.spec is None or request.spec.cache != "snapshot":
        return False
    return not (spec.get("dataSource") or spec.get("dataSourceRef") or spec.get("volumeName"))


def born_of(claim: Object, snapshot: str, key: str, came_from: str) -> list[dict[str, Any]]:
    """JSON Patch by which a claim is born of a VolumeSnapshot of its namespace. came_from: where that was made."""
    reference = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": snapshot}
    labels = (claim.get("metadata") or {}).get("labels") or {}
    return [
        {"op": "add", "path": "/spec/dataSourceRef", "value": reference},
        {"op": "add", "path": "/metadata/labels", "value": {**labels, terms.CACHE_KEY_LABEL: key}},
        *_noted(claim, {terms.FRESH: "true", terms.CAME_FROM: came_from}),
    ]


def born_of_none(claim: Object, reason: str) -> list[dict[str, Any]]:
    """JSON Patch by which a claim says why it is born of no snapshot."""
    return _noted(claim, {terms.MISS: reason, terms.FRESH: "true"})


def no_longer_fresh(claim: Object, before: Object | None) -> list[dict[str, Any]]:
    """JSON Patch of a claim whose Pods need not wait, or did not need to before: what they write is not for others.

    Nor is it to be deleted because the source does not have it. before: None for one that is made by a copied manifest:
    where the content of that one came from says nothing of this one's.
    """
    annotations = (claim.get("metadata") or {}).get("annotations") or {}
    held = annotations.get(terms.WAIT) != "false" and before is not None and claim_of(before).holds_pods
    untrue = {terms.FRESH} if before is not None else {terms.FRESH, terms.CAME_FROM}
    if held or untrue.isdisjoint(annotations):
        return []
    kept = {k: v for k, v in annotations.items() if k not in untrue}
    return [{"op": "add", "path": "/metadata/annotations", "value": kept}]


def _noted(claim: Object, notes: dict[str, str]) -> list[dict[str, Any]]:
    annotations = (claim.get("metadata") or {}).get("annotations") or {}
    return [{"op": "add", "path": "/metadata/annotations", "value": {**annotations, **notes}}]
