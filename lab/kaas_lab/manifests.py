"""CRDs and webhook configurations of the providers, kept in the cache as JSON so that `up` needs neither Go nor YAML.

Released manifests expect cert-manager and Services. A lab has neither: `load` points every webhook and conversion at
the port at which the provider listens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kaas_lab.layout import cache
from kaas_lab.programs import PROGRAMS, Program

Document = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Where a provider's manifests are: a module, its `config` directory, and single CRDs of other modules."""

    module: str
    config: str
    more: tuple[tuple[str, str], ...] = ()


_CLUSTER_API = "sigs.k8s.io/cluster-api"
SOURCES = {
    "capi-core": Source(_CLUSTER_API, "core/config"),
    "capi-cabpk": Source(_CLUSTER_API, "bootstrap/kubeadm/config"),
    "capi-kcp": Source(_CLUSTER_API, "controlplane/kubeadm/config"),
    "capi-capdev": Source(f"{_CLUSTER_API}/test", "infrastructure/docker/config"),
    "capo": Source(
        "sigs.k8s.io/cluster-api-provider-openstack",
        "config",
        # CAPO watches ORC's Images and ends when there is no such CRD, whether or not it is used.
        (("github.com/k-orc/openstack-resource-controller/v2", "config/crd/bases/openstack.k-orc.cloud_images.yaml"),),
    ),
}


def _path(program: Program) -> Path:
    return cache() / "manifests" / f"{program.name}-{program.pin}.json"


def present(program: Program) -> bool:
    """Whether the program's manifests are in the cache, or it has none."""
    return program.name not in SOURCES or _path(program).exists()


def collect(program: Program, directory: Callable[[str], Path]) -> None:
    """Put a program's manifests into the cache. `directory` gives the place of a Go module by its path."""
    if present(program):
        return
    source = SOURCES[program.name]
    config = directory(source.module) / source.config
    documents = [*_crds(config), *_webhooks(config, program.name)]
    documents += [_yaml(directory(module) / file)[0] for module, file in source.more]
    path = _path(program)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(documents))
    part.replace(path)


def _yaml(path: Path) -> list[Document]:
    with path.open() as stream:
        return [d for d in yaml.load_all(stream, yaml.CSafeLoader) if d]


def _crds(config: Path) -> Iterator[Document]:
    labels = _contract_labels(config)
    patches = (config / "crd/patches").glob("webhook_in_*.yaml")
    converted = {p.stem.removeprefix("webhook_in_") for p in patches}
    for file in sorted((config / "crd/bases").glob("*.yaml")):
        crd = _yaml(file)[0]
        crd["metadata"].setdefault("labels", {}).update(labels)
        if crd["spec"]["names"]["plural"] in converted and len(crd["spec"]["versions"]) > 1:
            webhook = {"conversionReviewVersions": ["v1"], "clientConfig": {"service": {"path": "/convert"}}}
            crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
        yield crd


def _contract_labels(config: Path) -> dict[str, str]:
    """Labels by which Cluster API finds which version of a provider's kinds fulfils which contract."""
    customization = _yaml(config / "crd/kustomization.yaml")[0]
    return {key: value for entry in customization.get("labels", ()) for key, value in entry["pairs"].items()}


def _webhooks(config: Path, name: str) -> Iterator[Document]:
    for document in _yaml(config / "webhook/manifests.yaml"):
        document["metadata"]["name"] = f"{name}-{document['metadata']['name']}"  # all call theirs the same
        yield document


def load(program: str, port: int, ca_bundle: str) -> list[Document]:
    """Documents to apply for a provider that serves its webhooks at 127.0.0.1:`port`.

    ca_bundle: certificate of the CA that signed its serving certificate, PEM in base64.
    """
    documents: list[Document] = json.loads(_path(PROGRAMS[program]).read_text())
    for document in documents:
        for holder in _holders(document):
            path = holder["clientConfig"]["service"]["path"]
            holder["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": ca_bundle}
    return documents


def _holders(document: Document) -> list[Document]:
    if document["kind"] != "CustomResourceDefinition":
        return list(document["webhooks"])
    webhook = document["spec"].get("conversion", {}).get("webhook")
    return [webhook] if webhook else []
