"""An API server of Nodes alone, which stalls, refuses, resets and talks nonsense on order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import yaml
from aiohttp import web

from tests.unit import web_server
from tests.unit.web_server import refusal

FIRST = "first"
Node = dict[str, Any]
Fault = Callable[[web.Request], web.Response] | None


class NodeServer:
    """Lists and watches. A fault, a test's function, answers instead while it is set.

    stalled: new requests are never answered, and watches say nothing.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.version = 10
        self.token = FIRST
        self.url = ""
        self.lists: list[web.Request] = []
        self.watches: list[web.Request] = []
        self.gets: list[web.Request] = []
        self.list_fault: Fault = None
        self.watch_fault: Fault = None
        self._streams: dict[web.StreamResponse, asyncio.Event] = {}
        self._resumed = asyncio.Event()
        self._resumed.set()

    @property
    def open(self) -> int:
        """Watches that are under way."""
        return len(self._streams)

    def stall(self) -> None:
        self._resumed.clear()

    def resume(self) -> None:
        self._resumed.set()

    def put(self, name: str, **labels: str) -> Node:
        self.version += 1
        meta = {"name": name, "resourceVersion": str(self.version), "labels": labels}
        self.nodes[name] = {"metadata": meta}
        return self.nodes[name]

    async def say(self, kind: str, obj: Node) -> None:
        await self.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

    async def bookmark(self) -> None:
        self.version += 1
        await self.say("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    async def write(self, raw: bytes) -> None:
        for stream in self._streams:
            await stream.write(raw)

    async def end(self) -> None:
        """End all watches as a server does at their time-out."""
        for stream, ended in list(self._streams.items()):
            await stream.write_eof()
            ended.set()
        self._streams.clear()

    def reset(self) -> None:
        """Cut all watches off."""
        for request in self.watches:
            if request.transport:
                request.transport.abort()
        self._streams.clear()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        watching = "watch" in request.query
        (self.watches if watching else self.lists if request.path == "/api/v1/nodes" else self.gets).append(request)
        await self._resumed.wait()
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return refusal(401, "Unauthorized")
        fault = self.watch_fault if watching else self.list_fault
        if fault:
            return fault(request)
        if watching:
            return await self._watch(request)
        return self._list(request) if request.path == "/api/v1/nodes" else self._get(request)

    def _list(self, request: web.Request) -> web.Response:
        start, limit = int(request.query.get("continue", "0")), int(request.query["limit"])
        names = sorted(self.nodes)
        meta = {"resourceVersion": str(self.version)}
        if start + limit < len(names):
            meta["continue"] = str(start + limit)
        items = [self.nodes[n] for n in names[start : start + limit]]
        return web.json_response({"kind": "NodeList", "metadata": meta, "items": items})

    def _get(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        return web.json_response(self.nodes[name]) if name in self.nodes else refusal(404, "NotFound")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        self._streams[stream] = asyncio.Event()
        try:
            await self._streams[stream].wait()
        finally:
            self._streams.pop(stream, None)
        return stream


@asynccontextmanager
async def serving() -> AsyncIterator[NodeServer]:
    fake = NodeServer()
    async with web_server.serving(fake.answer) as fake.url:
        try:
            yield fake
        finally:
            fake.resume()
            fake.reset()


def kubeconfig(server: str, token: str = FIRST, **user: Any) -> bytes:
    config = {
        "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": token, **user}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }
    return yaml.safe_dump(config).encode()
