"""The API server as nodes and the storage driver use it: objects, Events, and watches that go on for ever."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from kaas_lab.machines import pki
from kaas_lab.machines.api import NOT_FOUND, Api, ApiError, Object, trusting

from .podstatus import stamp
from .times import now

CONNECTIONS = 64
MERGE = "application/merge-patch+json"
RETRY_SECONDS = 0.5
WATCH_SECONDS = 300
_GONE = 410

Seen = Callable[[str, Object], Awaitable[None]]
"""Called with ADDED, MODIFIED or DELETED, and the object."""


class Client(Api):
    """A client that also watches. is_cut: whether the server cannot be reached now."""

    is_cut: Callable[[], bool] = staticmethod(lambda: False)

    async def merge(self, path: str, body: Object) -> Object:
        """JSON merge patch, for kinds that have no strategic one. Raises ApiError."""
        return await self._call("PATCH", path, body, MERGE)

    async def find(self, path: str) -> Object | None:
        """One object, or None where there is none. Raises ApiError for anything else."""
        try:
            return await self.get(path)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def remove(self, path: str, body: Object | None = None) -> None:
        """Delete, if it is there."""
        try:
            await self._call("DELETE", path, body)
        except ApiError as error:
            if error.status not in {NOT_FOUND, 409}:
                raise

    async def follow(self, path: str, seen: Seen, **query: str) -> None:
        """List, then watch, for ever: `seen` hears of each object at first, of each change, and of what has gone."""
        known: dict[str, Object] = {}
        while True:
            try:
                version = await self._list(path, seen, known, query)
                while version:
                    version = await self._watch(path, seen, known, {**query, "resourceVersion": version})
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError):
                await asyncio.sleep(RETRY_SECONDS)

    async def _list(self, path: str, seen: Seen, known: dict[str, Object], query: Mapping[str, str]) -> str:
        found = await self.get(path, **query)
        kind = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        there = {item["metadata"]["uid"]: {**kind, **item} for item in found.get("items") or ()}
        for uid in known.keys() - there.keys():
            await seen("DELETED", known.pop(uid))
        for uid, item in there.items():
            event = "MODIFIED" if uid in known else "ADDED"
            known[uid] = item
            await seen(event, item)
        return str(found["metadata"]["resourceVersion"])

    async def _watch(self, path: str, seen: Seen, known: dict[str, Object], query: Mapping[str, str]) -> str:
        """Newest version seen when the watch ends; "" when the list has to be read again."""
        version = query["resourceVersion"]
        options = {**query, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SECONDS + 30)
        async with self._session.get(path, params=options, timeout=timeout, read_bufsize=1 << 24) as answer:
            if answer.status == _GONE:
                return ""
            answer.raise_for_status()
            async for line in answer.content:
                if self.is_cut():
                    return ""
                event = json.loads(line)
                item = event["object"]
                if event["type"] == "ERROR":
                    return ""
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                if event["type"] == "DELETED":
                    known.pop(item["metadata"]["uid"], None)
                else:
                    known[item["metadata"]["uid"]] = item
                await seen(event["type"], item)
        return str(version)

    async def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        if self.is_cut():
            raise ApiError(0, f"{self.server}: cut off on purpose")
        return await super()._call(method, path, body, kind, query)

    async def event(self, about: Object, reason: str, message: str, *, source: str, warning: bool = False) -> None:
        """Tell an Event about an object. One that cannot be told is not told again."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace", "default")
        reference = {key: metadata.get(key, "") for key in ("name", "namespace", "uid", "resourceVersion")}
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": {"kind": about["kind"], "apiVersion": about["apiVersion"], **reference},
            "reason": reason,
            "message": message[:1024],
            "type": "Warning" if warning else "Normal",
            "source": {"component": source},
            "reportingComponent": source,
            "firstTimestamp": stamp(now()),
            "lastTimestamp": stamp(now()),
            "count": 1,
        }
        try:
            await self.post(f"/api/v1/namespaces/{namespace}/events", body)
        except ApiError:
            return  # as kubelets do: an Event is told once


@asynccontextmanager
async def connected(server: str, certificates: Path, user: str, *groups: str) -> AsyncIterator[Client]:
    """A client of the API server as some user, with a certificate of the lab's own authority."""
    authority = pki.load_authority(certificates / "ca")
    pair = pki.issue(authority, user, groups)
    stem = certificates / user.replace(":", "-")
    pair.write(stem)
    context = trusting(authority.pem)
    context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
    async with Client(server, context, connections=CONNECTIONS) as client:
        yield client


def first(items: Any, **wanted: str) -> Object | None:
    """The first of some objects whose fields are as wanted."""
    return next((item for item in items or () if all(item.get(k) == v for k, v in wanted.items())), None)
