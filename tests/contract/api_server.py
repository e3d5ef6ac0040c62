"""A bare HTTP client of a kube-apiserver, independent of the one under test."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

_PLURALS = {
    "Cluster": "clusters",
    "Site": "sites",
    "Release": "releases",
    "Rollout": "rollouts",
    "Addon": "addons",
    "NodeRepairTemplate": "noderepairtemplates",
    "NodeRepair": "noderepairs",
}
APPLY = "application/apply-patch+yaml"


class ApiServer:
    """Speaks to the server of a kubeconfig with client certificates. Every call gives HTTP status and body."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.load(kubeconfig.read_text(), Loader=yaml.CSafeLoader)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server = cluster["server"]
        self._tls = ssl.create_default_context(cadata=_text(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
            both.write(_text(user, "client-certificate") + _text(user, "client-key"))
            both.flush()
            self._tls.load_cert_chain(both.name)

    def call(
        self, method: str, path: str, body: Any = None, *, content: str = "application/json", **query: str
    ) -> tuple[int, dict[str, Any]]:
        """One request; `query` becomes the query string."""
        request = urllib.request.Request(  # noqa: S310 - the server of the kubeconfig
            f"{self._server}{path}?{urlencode(query)}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content},
        )
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=60) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.load(refusal)

    def create(self, manifest: dict[str, Any], **query: str) -> tuple[int, dict[str, Any]]:
        """POST, unknown fields refused."""
        return self.call("POST", _collection(manifest), manifest, fieldValidation="Strict", **query)

    def apply(self, manifest: dict[str, Any], **query: str) -> tuple[int, dict[str, Any]]:
        """Server-side apply, unknown fields refused."""
        query = {"fieldManager": "test", "force": "true", "fieldValidation": "Strict", **query}
        return self.call("PATCH", path_of(manifest), manifest, content=APPLY, **query)

    def replace(self, manifest: dict[str, Any], **query: str) -> tuple[int, dict[str, Any]]:
        """PUT, unknown fields refused."""
        return self.call("PUT", path_of(manifest), manifest, fieldValidation="Strict", **query)


def _text(section: dict[str, str], key: str) -> str:
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data).decode()
    return Path(section[key]).read_text()


def _collection(manifest: dict[str, Any]) -> str:
    if manifest["apiVersion"] == "apiextensions.k8s.io/v1":
        return "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    namespace = manifest["metadata"].get("namespace")
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{manifest['apiVersion']}{scope}/{_PLURALS[manifest['kind']]}"


def path_of(manifest: dict[str, Any]) -> str:
    """Path of the object."""
    return f"{_collection(manifest)}/{manifest['metadata']['name']}"
