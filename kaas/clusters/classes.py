"""ClusterClass revisions: assembled from templates and features, named by their content, never changed.

One class serves every Cluster of a provider; what differs is a variable. A revision's name carries the hash of
everything in it, so another content is another name, and an upgrade of the controller cannot roll a node: Clusters stay
on the revision that they have.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kaas import data
from kaas.api.constants import GROUP, LABEL_REVISION, SYSTEM_NAMESPACE

Object = dict[str, Any]

CLUSTER_API = "cluster.x-k8s.io/v1beta2"
WORKER_CLASS = "worker"
PROVIDER_LABEL = f"{GROUP}/provider"
HASH_LENGTH = 10  # 40 bits: a clash among thousands of revisions is still one in a million

_KUBEADM = {
    "controlPlane": {
        "apiVersion": "controlplane.cluster.x-k8s.io/v1beta2",
        "kind": "KubeadmControlPlaneTemplate",
    },
    "workerBootstrap": {"apiVersion": "bootstrap.cluster.x-k8s.io/v1beta2", "kind": "KubeadmConfigTemplate"},
}
_FILES = {
    "infrastructureCluster": "infrastructure-cluster",
    "controlPlane": "control-plane",
    "controlPlaneMachine": "control-plane-machine",
    "workerBootstrap": "worker-bootstrap",
    "workerMachine": "worker-machine",
}
_MATCHES: dict[str, Object] = {
    "infrastructureCluster": {"infrastructureCluster": True},
    "controlPlane": {"controlPlane": True},
    "controlPlaneMachine": {"controlPlane": True},
    "workerBootstrap": {"machineDeploymentClass": {"names": [WORKER_CLASS]}},
    "workerMachine": {"machineDeploymentClass": {"names": [WORKER_CLASS]}},
}


class UnknownProviderError(ValueError):
    """There is no folder of templates for the provider. The message lists those that there are."""


@dataclass(frozen=True)
class ClassRevision:
    """One immutable revision: the ClusterClass last, after the templates that it refers to."""

    name: str
    provider: str
    objects: tuple[Object, ...]

    @property
    def cluster_class(self) -> Object:
        """The ClusterClass itself."""
        return self.objects[-1]


def variable_names(cluster_class: Mapping[str, Any]) -> frozenset[str]:
    """Variables that a ClusterClass takes; a Cluster on an older revision must not be given others."""
    return frozenset(v["name"] for v in cluster_class.get("spec", {}).get("variables") or ())


def providers() -> list[str]:
    """Names of the providers that there are templates for."""
    return sorted(p.name for p in data.folder("providers").iterdir() if (p / "provider.yaml").exists())


@cache
def class_revision(provider: str) -> ClassRevision:
    """The newest revision of a provider's class. The same files always give the same name."""
    if provider not in providers():
        raise UnknownProviderError(f"provider {provider!r}: use one of {', '.join(providers())}")
    kinds = {**_load(data.folder("providers") / provider / "provider.yaml"), **_KUBEADM}
    templates = {role: {**kinds[role], **_template(provider, stem)} for role, stem in _FILES.items()}
    spec = _class_spec(provider, kinds)
    name = f"kaas-{provider}-{_digest([templates, spec])}"
    return ClassRevision(name, provider, tuple(_named(name, provider, templates, spec)))


def _load(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)


def _template(provider: str, stem: str) -> Object:
    parts = [data.folder("clusterclass") / "templates", data.folder("providers") / provider / "templates"]
    merged: Object = {}
    for path in (part / f"{stem}.yaml" for part in parts):
        if path.exists():
            merged = _merge(merged, _load(path))
    return merged


def _merge(base: Any, over: Any) -> Any:
    """Mappings are merged, lists are joined, anything else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {k: _merge(base[k], v) if k in base else v for k, v in over.items()}
    if isinstance(base, list) and isinstance(over, list):
        return base + over
    return over


def _features(provider: str) -> Iterator[Object]:
    for folder in (data.folder("clusterclass") / "features", data.folder("providers") / provider / "features"):
        for path in sorted(folder.glob("*.yaml")):
            yield _load(path)


def _class_spec(provider: str, kinds: Mapping[str, Object]) -> Object:
    spec: Object = copy.deepcopy(_load(data.folder("clusterclass") / "class.yaml"))
    features = list(_features(provider))
    spec["variables"] = [v for f in features for v in f.get("variables", ())]
    spec["patches"] = [_patch(p, kinds) for f in features for p in f.get("patches", ())]
    return spec


def _patch(patch: Object, kinds: Mapping[str, Object]) -> Object:
    """A feature says `select: workerMachine`; Cluster API wants API version, kind and where it is used."""
    definitions = [
        {
            "selector": {**kinds[d["select"]], "matchResources": _MATCHES[d["select"]]},
            "jsonPatches": d["jsonPatches"],
        }
        for d in patch["definitions"]
    ]
    return {**patch, "definitions": definitions}


def _digest(content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_LENGTH]


def _named(name: str, provider: str, templates: Mapping[str, Object], spec: Object) -> Iterator[Object]:
    labels = {PROVIDER_LABEL: provider, LABEL_REVISION: name}

    def metadata(suffix: str = "") -> Object:
        return {"name": name + suffix, "namespace": SYSTEM_NAMESPACE, "labels": dict(labels)}

    refs: dict[str, Object] = {}
    for role, template in templates.items():
        suffix = f"-{_FILES[role]}"
        refs[role] = {"apiVersion": template["apiVersion"], "kind": template["kind"], "name": name + suffix}
        yield {**template, "metadata": metadata(suffix)}
    yield {
        "apiVersion": CLUSTER_API,
        "kind": "ClusterClass",
        "metadata": metadata(),
        "spec": _with_references(spec, refs),
    }


def _with_references(spec: Object, refs: Mapping[str, Object]) -> Object:
    """Puts the template references where the class wants them."""
    full = copy.deepcopy(spec)
    full["infrastructure"] = {"templateRef": refs["infrastructureCluster"]}
    full["controlPlane"]["templateRef"] = refs["controlPlane"]
    full["controlPlane"]["machineInfrastructure"] = {"templateRef": refs["controlPlaneMachine"]}
    for worker in full["workers"]["machineDeployments"]:
        worker["bootstrap"] = {"templateRef": refs["workerBootstrap"]}
        worker["infrastructure"] = {"templateRef": refs["workerMachine"]}
    return full
