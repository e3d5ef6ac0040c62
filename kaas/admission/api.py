"""A client of the API server with a hundredth of the usual one's memory: as much as the webhook needs of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Self

import aiohttp

from kaas.admission.access import Access
from kaas.kube.errors import Forbidden, KubeError, NotFound, Unavailable, error_for
from kaas.kube.objects import Object

log = logging.getLogger(__name__)

TOKEN_SECONDS = 60.0  # as client-go: the kubelet renews a token long before it ends
CONNECTIONS = 32  # requests at once; more wait, so that a burst of Pods is no burst at the API server
JSON = "application/json"
JSON_PATCH = "application/json-patch+json"


class Api:
    """Requests to one API server over connections that are kept. Use as an asynchronous context manager.

    timeout: seconds for one request, waiting for a free connection included.
    Every method raises a KubeError: NotFound, Conflict, Invalid, Forbidden, or Unavailable when no answer came in time.
    Nothing of an object is ever logged or put into an error: it may be a Secret.
    """

    def __init__(self, access: Access, timeout: float = 3.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._timeout = timeout
        self._clock = clock
        self._token = access.token
        self._token_ends = 0.0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tls = self._access.tls if self._access.tls is not None else False
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls, keepalive_timeout=60.0)
        limit = aiohttp.ClientTimeout(total=self._timeout)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=limit, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()

    async def get(self, path: str) -> Object | None:
        """Object at a path like `/api/v1/namespaces/a/secrets/b`, None when it is not there."""
        try:
            return await self._request("GET", path)
        except NotFound:
            return None

    async def create(self, collection: str, obj: Object) -> Object:
        """Create an object; Conflict when it is there."""
        return await self._request("POST", collection, obj)

    async def replace(self, path: str, obj: Object) -> Object:
        """Replace the object that was read; Conflict when it changed meanwhile."""
        return await self._request("PUT", path, obj)

    async def patch(self, path: str, operations: list[dict[str, Any]]) -> Object:
        """Change an object by a JSON Patch; Invalid when one of its tests does not hold."""
        return await self._request("PATCH", path, operations, JSON_PATCH)

    async def _request(self, method: str, path: str, body: Any = None, content: str = JSON) -> Object:
        try:
            return await self._sent(method, path, body, content)
        except Forbidden as refusal:
            if refusal.code != HTTPStatus.UNAUTHORIZED or not self._access.token_file:
                raise
        self._token_ends = 0.0  # it was renewed, or revoked: the file knows
        return await self._sent(method, path, body, content)

    async def _sent(self, method: str, path: str, body: Any, content: str) -> Object:
        assert self._session is not None  # noqa: S101 - a context manager
        headers = {"Accept": JSON, "Content-Type": content, **self._authorization()}
        data = None if body is None else json.dumps(body)
        try:
            async with self._session.request(method, self._access.server + path, data=data, headers=headers) as answer:
                raw = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            raise Unavailable(f"{method} {path}", f"no answer: {type(failure).__name__}") from failure
        return _decoded(f"{method} {path}", answer.status, raw)

    def _authorization(self) -> dict[str, str]:
        file, now = self._access.token_file, self._clock()
        if file and now >= self._token_ends:
            try:
                self._token = file.read_text().strip()
            except OSError as failure:
                log.warning("the account's token cannot be read: %s", failure)
            self._token_ends = now + TOKEN_SECONDS
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}


def _decoded(what: str, status: int, raw: bytes) -> Object:
    if status >= HTTPStatus.BAD_REQUEST:
        raise error_for(what, status, raw)
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable(what, "the answer is no object", code=status)
    return found


__all__ = ["Api", "KubeError"]
