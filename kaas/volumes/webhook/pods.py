"""Admission of Pods, as pure functions: which claims to look up, and whether the Pod has to wait for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kaas.kube.objects import Object
from kaas.volumes import terms
from kaas.volumes.pods import gated

MIRROR: Final = "kubernetes.io/config.mirror"
"""Annotation of the copy of a static Pod: no scheduler has a say in it. Source: Kubernetes, static Pods."""


class Claim(StrEnum):
    """What a claim means for a Pod that mounts it."""

    READY = "ready"
    WAITS = "waits"
    """It is loaded, or will be: Pods wait."""
    MISSING = "missing"
    """It is not there yet: whether Pods have to wait is not known before it is."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be known of a Pod. claims: to be looked up. templates: annotated claims that it brings itself."""

    claims: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """waits_for: names of claims for which the Pod waits. denied: why it cannot be taken, empty when it can."""

    waits_for: tuple[str, ...] = ()
    patch: tuple[dict[str, Any], ...] = ()
    denied: str = ""


def needs(pod: Object) -> Needs:
    """What has to be known of a Pod before it is taken. A loader's own Pod and one that opted out need nothing."""
    if _is_none_of_ours(pod) or _annotations(pod).get(terms.WAIT) == "false":
        return Needs()
    volumes = (pod.get("spec") or {}).get("volumes") or []
    claims = [v["persistentVolumeClaim"].get("claimName", "") for v in volumes if v.get("persistentVolumeClaim")]
    return Needs(tuple(dict.fromkeys(claims)), tuple(v["name"] for v in volumes if _brings(v)))


def _annotations(pod: Object) -> Mapping[str, str]:
    return (pod.get("metadata") or {}).get("annotations") or {}


def _is_none_of_ours(pod: Object) -> bool:
    """Whether it is a loader's own, or of a kind that nobody schedules."""
    return terms.LOADER_LABEL in ((pod.get("metadata") or {}).get("labels") or {}) or MIRROR in _annotations(pod)


def _brings(volume: Mapping[str, Any]) -> bool:
    """Whether a volume's own template (of a generic ephemeral volume) asks for data that Pods wait for."""
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return terms.SOURCE in annotations and annotations.get(terms.WAIT) != "false"


def verdict(pod: Object, claims: Mapping[str, Claim]) -> Verdict:
    """What becomes of a Pod; `claims`: what was looked up of those that `needs` named.

    One that brings our gate without need is given the label, by which the controller sees it and lets it go.
    """
    asked, spec = needs(pod), pod.get("spec") or {}
    waiting = (*(name for name in asked.claims if claims[name] is not Claim.READY), *asked.templates)
    if not waiting:
        return Verdict(patch=tuple(_gate(pod))) if gated(pod) and not _is_none_of_ours(pod) else Verdict()
    if spec.get("nodeName"):
        # With a node there is no scheduler to hold it. Whether a claim that is missing will be loaded, nobody knows.
        loading = [name for name in waiting if claims.get(name) is not Claim.MISSING]
        return Verdict(denied=_no_gate(loading)) if loading else Verdict()
    return Verdict(waiting, tuple(_gate(pod)))


def _no_gate(names: list[str]) -> str:
    return (
        f"spec.nodeName: a Pod that names its node cannot wait for the data of {', '.join(names)}: leave nodeName out "
        f'and use a nodeSelector, or say {terms.WAIT}: "false" on the Pod'
    )


def _gate(pod: Object) -> list[dict[str, Any]]:
    """JSON Patch for gate and label, as far as they are not there."""
    spec = pod.get("spec") or {}
    patch: list[dict[str, Any]] = []
    if not gated(pod):
        gates = [*(spec.get("schedulingGates") or ()), {"name": terms.GATE}]
        patch.append({"op": "add", "path": "/spec/schedulingGates", "value": gates})
    labels = (pod.get("metadata") or {}).get("labels") or {}
    if labels.get(terms.WAITING_LABEL) != terms.WAITING:
        patch.append({"op": "add", "path": "/metadata/labels", "value": {**labels, terms.WAITING_LABEL: terms.WAITING}})
    return patch
