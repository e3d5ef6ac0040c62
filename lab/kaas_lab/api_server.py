"""A client of the management cluster's API server: as much as the lab needs to fill it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import urllib3

from kaas_lab import certificates

FIELD_MANAGER = "kaas-lab"
PARALLEL = 8
_TIMEOUT = 30.0  # seconds; validation of Cluster API's largest CRDs takes one on a busy machine

Document = dict[str, Any]

_RESOURCES = {
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "MutatingWebhookConfiguration": "apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "Namespace": "api/v1/namespaces",
    "Secret": "api/v1/namespaces/{namespace}/secrets",
}


class ApiRefused(Exception):
    """The API server answered with an error; the message carries the request and the server's words."""


class ApiServer:
    """The API server at a port of 127.0.0.1, as administrator. Safe to use from several threads."""

    def __init__(self, port: int, certificate_directory: Path) -> None:
        self.url = f"https://{certificates.HOST}:{port}"
        self._pool = urllib3.PoolManager(
            maxsize=PARALLEL,
            block=True,
            timeout=_TIMEOUT,
            retries=False,
            ca_certs=str(certificate_directory / "ca.crt"),
            cert_file=str(certificate_directory / "admin.crt"),
            key_file=str(certificate_directory / "admin.key"),
        )

    def request(self, method: str, path: str, body: Document | None = None) -> Document:
        """Send a request and return the decoded answer. A PATCH is a forced server-side apply. Raises ApiRefused."""
        headers = {"Content-Type": "application/apply-patch+yaml"} if method == "PATCH" else {}
        content = json.dumps(body) if body is not None else None
        answer = self._pool.request(method, f"{self.url}/{path}", body=content, headers=headers)
        if answer.status >= 400:  # noqa: PLR2004 - HTTP
            raise ApiRefused(f"{method} {path}: {answer.status} {answer.data.decode(errors='replace')[:2000]}")
        decoded: Document = json.loads(answer.data)
        return decoded

    def watch(self, path: str, version: str, seconds: int) -> urllib3.BaseHTTPResponse:
        """Follow a list behind its `version` for some seconds; each line is an event. path: selectors included."""
        query = f"watch=1&allowWatchBookmarks=1&resourceVersion={version}&timeoutSeconds={seconds}"
        url = f"{self.url}/{path}{'&' if '?' in path else '?'}{query}"
        return self._pool.request("GET", url, preload_content=False)

    def is_ready(self) -> bool:
        """Whether the API server says so itself; False also while nothing listens."""
        try:
            return bool(self._pool.request("GET", f"{self.url}/readyz", timeout=5.0).status == 200)  # noqa: PLR2004
        except urllib3.exceptions.HTTPError:
            return False

    def version(self) -> str:
        """Version of Kubernetes, for example `v1.36.3`."""
        return str(self.request("GET", "version")["gitVersion"])

    def apply(self, document: Document) -> None:
        """Server-side apply of one document of a kind in the table above."""
        metadata = document["metadata"]
        path = _RESOURCES[document["kind"]].format(namespace=metadata.get("namespace"))
        self.request("PATCH", f"{path}/{metadata['name']}?fieldManager={FIELD_MANAGER}&force=true", document)

    def apply_all(self, documents: Iterable[Document]) -> None:
        """Apply documents side by side; they must not depend on each other."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(self.apply, documents))

    def unestablished(self) -> list[str]:
        """Names of CRDs that are not served yet."""
        items = self.request("GET", _RESOURCES["CustomResourceDefinition"])["items"]
        return [crd["metadata"]["name"] for crd in items if not _is_established(crd)]


def _is_established(crd: Document) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def answers(url: str, ca_file: Path | None = None) -> bool:
    """Whether a GET is answered with 200 within two seconds; False also while nothing listens."""
    try:
        with urllib3.PoolManager(ca_certs=str(ca_file) if ca_file else None, retries=False, timeout=2.0) as pool:
            return bool(pool.request("GET", url).status == 200)  # noqa: PLR2004 - HTTP
    except urllib3.exceptions.HTTPError:
        return False
