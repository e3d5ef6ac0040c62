"""A small client of one Kubernetes API server, as whoever asks: by a token, as a kubelet, as an administrator."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
REQUEST_SECONDS = 10.0
CONNECTIONS = 4
NOT_FOUND, CONFLICT = 404, 409

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused, with its own words; `status` 0 means that it could not be reached."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One server and one identity. Close it, or use it in an `async with`. connections: at most so many at a time."""

    def __init__(
        self, server: str, context: ssl.SSLContext, token: str | None = None, *, connections: int = CONNECTIONS
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.server = server
        self._session = aiohttp.ClientSession(
            server,
            connector=aiohttp.TCPConnector(ssl=context, limit=connections),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(self, path: str, **query: str) -> Object:
        """One object or list. Raises ApiError."""
        return await self._call("GET", path, query=query)

    async def text(self, path: str) -> str:
        """Body of a health end point, whatever its status. Raises ApiError when unreachable."""
        try:
            async with self._session.get(path) as response:
                return await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, f"{self.server}: {error or 'timed out'}") from error

    async def post(self, path: str, body: Object) -> Object:
        """Create. Raises ApiError."""
        return await self._call("POST", path, body)

    async def put(self, path: str, body: Object) -> Object:
        """Replace. Raises ApiError."""
        return await self._call("PUT", path, body)

    async def delete(self, path: str) -> Object:
        """Delete. Raises ApiError."""
        return await self._call("DELETE", path)

    async def patch(self, path: str, body: Object) -> Object:
        """Strategic merge patch. Raises ApiError."""
        return await self._call("PATCH", path, body, STRATEGIC_MERGE)

    async def create(self, path: str, body: Object) -> None:
        """Create unless it exists. Raises ApiError for anything else."""
        try:
            await self.post(path, body)
        except ApiError as error:
            if error.status != CONFLICT:
                raise

    async def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        data = None if body is None else json.dumps(body)
        try:
            async with self._session.request(
                method, path, data=data, params=query, headers={"Content-Type": kind, "Accept": "application/json"}
            ) as response:
                answer = await response.text()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, f"{self.server}: {error or 'timed out'}") from error
        return _answer(status, answer)


def _answer(status: int, text: str) -> Object:
    try:
        parsed: Object = json.loads(text)
    except ValueError:
        parsed = {"message": text[:200]}
    if status >= 400:  # noqa: PLR2004 - HTTP's first error
        raise ApiError(status, str(parsed.get("message") or f"HTTP {status}"))
    return parsed


def trusting(ca: bytes | None) -> ssl.SSLContext:
    """A context that trusts one CA (PEM), or anybody when it is None, as kubeadm's first look at cluster-info does."""
    context = ssl.create_default_context(cadata=ca.decode() if ca else None)
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Cluster API's CAs have no key usage extensions that it wants
    return context


def open_kubeconfig(path: Path) -> Api:
    """A client from a kubeconfig with inline data and a client certificate."""
    document = yaml.load(path.read_text(), yaml.CSafeLoader)
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    context = trusting(base64.b64decode(cluster["certificate-authority-data"]))
    pem = path.with_name(path.name + ".pem")  # the ssl module reads client certificates from files alone
    pem.touch(mode=0o600)
    pem.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    context.load_cert_chain(pem)
    return Api(cluster["server"], context)


def kubeconfig(server: str, ca: bytes, certificate: bytes, key: bytes, user: str) -> str:
    """A kubeconfig with everything inline."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "default",
            "clusters": [{"name": "default", "cluster": {"server": server, "certificate-authority-data": _encode(ca)}}],
            "users": [
                {
                    "name": user,
                    "user": {"client-certificate-data": _encode(certificate), "client-key-data": _encode(key)},
                }
            ],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": user}}],
        }
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
