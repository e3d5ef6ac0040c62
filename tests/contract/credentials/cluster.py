"""A client of the API server that also hears its warnings, and makes what the tests are about."""

from __future__ import annotations

import base64
import itertools
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Object = dict[str, Any]
_numbers = itertools.count()

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "PersistentVolumeClaim": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "ResourceQuota": "/api/v1/namespaces/{namespace}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{namespace}/limitranges",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
    "Job": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "Service": "/api/v1/namespaces/{namespace}/services",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "MutatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: Object
    warnings: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Cluster:
    """Speaks to one API server as administrator."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def call(
        self, method: str, path: str, body: Any = None, content: str = "application/json", **query: str
    ) -> Answer:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content}
        async with self._session.request(
            method, self._server + path, data=data, headers=headers, params=query
        ) as answer:
            text = await answer.text()
            warnings = [_quoted(w) for w in answer.headers.getall("Warning", [])]
            is_json = "json" in answer.headers.get("Content-Type", "")
            return Answer(answer.status, json.loads(text) if is_json else {"message": text}, warnings)

    async def create(self, obj: Object, **query: str) -> Answer:
        return await self.call("POST", _collection(obj), obj, **query)

    async def apply(self, obj: Object) -> Answer:
        path = f"{_collection(obj)}/{obj['metadata']['name']}"
        answer = await self.call(
            "PATCH",
            path,
            obj,
            "application/apply-patch+yaml",
            fieldManager="test",
            force="true",
            fieldValidation="Strict",
        )
        assert answer.status in (200, 201), answer
        return answer

    async def get(self, obj: Object) -> Answer:
        return await self.call("GET", f"{_collection(obj)}/{obj['metadata']['name']}")

    async def delete(self, obj: Object) -> Answer:
        return await self.call("DELETE", f"{_collection(obj)}/{obj['metadata']['name']}")

    async def namespace(self, **labels: str) -> str:
        """A new namespace with labels, whose names are of our group."""
        name = f"tenant-{next(_numbers)}"
        found = {f"kaas.internal/{key}": value for key, value in labels.items()}
        await self.apply(manifest("Namespace", name, labels=found))
        return name


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Cluster]:
    """A client of a kubeconfig with client certificates."""
    config = yaml.safe_load(kubeconfig.read_text())  # noqa: ASYNC240 - of a test, before anything runs
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=_text(cluster["certificate-authority-data"]))
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
        both.write(_text(user["client-certificate-data"]) + _text(user["client-key-data"]))
        both.flush()
        tls.load_cert_chain(both.name)
    connector = aiohttp.TCPConnector(ssl=tls, limit=300)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
        yield Cluster(session, cluster["server"])


def _quoted(header: str) -> str:
    """Text of a Warning header, RFC 7234 5.5."""
    return header.partition('"')[2].rpartition('"')[0].replace('\\"', '"')


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


def _collection(obj: Object) -> str:
    return PATHS[obj["kind"]].format(namespace=obj["metadata"].get("namespace"))


def manifest(kind: str, name: str, namespace: str | None = None, **more: Any) -> Object:
    """An object of the core group; labels and annotations go where they belong."""
    metadata: Object = {"name": name, **({"namespace": namespace} if namespace else {})}
    for key in ("labels", "annotations"):
        if key in more:
            metadata[key] = more.pop(key)
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


def pod(namespace: str, account: str = "default", containers: int = 1, **annotations: str) -> Object:
    """A Pod without a name; annotations with `_` for `-`, of our group."""
    limits = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    listed = [{"name": f"c{n}", "image": "example/app", "securityContext": limits} for n in range(containers)]
    found = {f"kaas.internal/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata: Object = {"generateName": "app-", "namespace": namespace, "annotations": found}
    restricted = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"serviceAccountName": account, "containers": listed, "securityContext": restricted}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


AWS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
"""The example of AWS's documentation."""


def aws_secret(namespace: str, name: str = "s3", **changes: str) -> Object:
    """A right Secret, but for what is changed."""
    data = {**AWS, **changes}
    return manifest("Secret", name, namespace, type="kaas.internal/aws-credentials", stringData=data)


def variables(found: Object, container: int = 0) -> set[str]:
    """Names of a container's environment variables."""
    return {entry["name"] for entry in found["spec"]["containers"][container].get("env") or ()}
