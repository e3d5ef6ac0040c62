"""An API server that stores what it is given, and refuses what it is told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from kaas_lab.machines.api import Api

PATIENCE = 60.0


class Stub:
    """Objects by path. `refuse` maps a method and the start of a path to a status and message."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.refuse: dict[tuple[str, str], tuple[int, str]] = {}

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        path, method = request.path, request.method
        self.calls.append((method, path))
        for (verb, start), (status, message) in self.refuse.items():
            if method == verb and path.startswith(start):
                return web.json_response({"message": message}, status=status)
        body = json.loads(await request.text()) if request.can_read_body else {}
        return self._store(method, path, body)

    def _store(self, method: str, path: str, body: dict[str, Any]) -> web.Response:
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return web.json_response({"message": "already exists"}, status=409)
            body["metadata"]["uid"] = f"uid-{len(self.calls)}"
            self.objects[path] = body
        path = path.removesuffix("/status")
        if path not in self.objects:
            return web.json_response({"message": "not found"}, status=404)
        if method == "PATCH":
            merge(self.objects[path], body)
        found = self.objects.pop(path) if method == "DELETE" else self.objects[path]
        return web.json_response(found)


def merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    """JSON merge, near enough to a strategic one for objects whose lists are sent whole."""
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


@asynccontextmanager
async def serving(stub: Stub) -> AsyncIterator[Api]:
    """A client of the stub."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stub.handle)
    async with TestServer(app) as server, Api(str(server.make_url("/")), ssl.create_default_context()) as api:
        yield api


async def until(what: Callable[[], object]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(PATIENCE):
        while not what():  # noqa: ASYNC110 - what is awaited sets no event
            await asyncio.sleep(0.01)
