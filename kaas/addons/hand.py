"""The API server of one Cluster as add-ons need it: no call takes longer than some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from kaas.api.constants import LABEL_ADD_ON
from kaas.kube import resources, working
from kaas.kube.client import Page
from kaas.kube.errors import Forbidden, KubeError, Unavailable
from kaas.kube.nodewatch import PAGE, in_time
from kaas.kube.objects import Object, Objects, Ref, is_true, labels, ref_of
from kaas.kube.resources import Resource

CALL: Final = 8.0
"""Seconds that a call may take: a webhook that is asked may take 10, and is better not waited for."""


@dataclass(frozen=True, slots=True)
class Works:
    """How far what runs Pods of an add-on works.

    problem: why not all of it does, empty when it does. progress: see `kaas.kube.working.progress`.
    """

    problem: str = ""
    progress: int = 0


class Server(Protocol):
    """What an API server is asked for; see KubeClient."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when it or its kind is not there."""

    async def list(
        self, resource: Resource, namespace: str | None = None, label_selector: str | None = None
    ) -> Objects:
        """Objects of a kind in all namespaces."""

    async def page(self, resource: Resource, *, limit: int, token: str = "") -> Page:
        """At most `limit` of these; token: of the page before, "" for the first."""

    async def apply(self, obj: Object) -> Object:
        """Server-side apply, forced, unknown fields refused."""

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        """Have an object deleted in the background; False when it is not there."""

    async def resource(self, api_version: str, kind: str) -> Resource:
        """How a kind is served. NotFound when it is not."""


class Hand:
    """Calls of one API server, each with a time limit: Unavailable when it is over."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listed: dict[Resource, Objects] = {}

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when it or its kind is not there."""
        return await in_time(CALL, f"get {ref}", self._server.get(ref))

    async def apply(self, obj: Object) -> Object:
        """Server-side apply, forced, unknown fields refused."""
        return await in_time(CALL, f"apply {ref_of(obj)}", self._server.apply(obj))

    async def delete(self, ref: Ref, uid: str | None = None) -> None:
        """Have an object deleted, unless it is another one by now or gone."""
        await in_time(CALL, f"delete {ref}", self._server.delete(ref, uid=uid))

    async def is_namespaced(self, ref: Ref) -> bool:
        """Whether objects of a kind are in namespaces. NotFound when it is not served."""
        resource = await in_time(CALL, f"find {ref.kind}", self._server.resource(ref.api_version, ref.kind))
        return resource.namespaced

    async def first(self, resource: Resource) -> Object | None:
        """An object of a kind, None when there is none."""
        page = await in_time(CALL, f"list {resource}", self._server.page(resource, limit=1))
        return next(iter(page.items), None)

    async def working(self, addons: Iterable[str]) -> dict[str, Works]:
        """How far Deployments, StatefulSets and DaemonSets of add-ons work, by the add-on."""
        found: dict[str, list[Object]] = {name: [] for name in addons}
        for objects in await asyncio.gather(*(self._labelled(resource) for resource in working.KINDS)):
            for obj in objects:
                if (name := labels(obj)[LABEL_ADD_ON]) in found:
                    found[name].append(obj)
        absent = await self._absent(obj for objects in found.values() for obj in objects)
        return {name: _works(objects, absent) for name, objects in found.items()}

    async def missing(self, refs: Iterable[Ref]) -> list[Ref]:
        """Which of some Deployments, StatefulSets and DaemonSets are not there. Listed ones are not asked for."""
        there = {ref_of(obj) for objects in self._listed.values() for obj in objects}
        return [ref for ref in refs if ref not in there and await self.get(ref) is None]

    async def _absent(self, objects: Iterable[Object]) -> int:
        """On how many Nodes a DaemonSet may lack its Pod. Nodes are asked for only when one of these lacks some."""
        daemon_sets = (obj for obj in objects if obj["kind"] == resources.DAEMON_SET.kind)
        if not any(working.problem(obj) for obj in daemon_sets):
            return 0
        return working.absent([is_true(node, "Ready") async for node in self._nodes()])

    async def _nodes(self) -> AsyncIterator[Object]:
        token, more = "", True
        while more:
            page = await in_time(CALL, "list Nodes", self._server.page(resources.NODE, limit=PAGE, token=token))
            for node in page.items:
                yield node
            token, more = page.token, bool(page.token)

    async def _labelled(self, resource: Resource) -> Objects:
        listing = self._server.list(resource, label_selector=LABEL_ADD_ON)
        self._listed[resource] = await in_time(CALL, f"list {resource}", listing)
        return self._listed[resource]


def _works(objects: Iterable[Object], absent: int) -> Works:
    found = list(objects)
    problems = [f"{working.called(obj)}: {problem}" for obj in found if (problem := working.problem(obj, absent))]
    others = f"; and {len(problems) - 1} others" if len(problems) > 1 else ""
    return Works("".join(problems[:1]) + others, sum(map(working.progress, found)))


def is_unreachable(failure: KubeError) -> bool:
    """Whether nothing was answered, or kaas is not known there: it says nothing of what was asked."""
    if isinstance(failure, Forbidden):
        return failure.code == HTTPStatus.UNAUTHORIZED
    return isinstance(failure, Unavailable) and not failure.code
