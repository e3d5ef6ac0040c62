"""The API server of one Cluster as add-ons need it: no call takes longer than some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, Protocol

from kaas.api.constants import LABEL_ADD_ON
from kaas.kube import working
from kaas.kube.errors import Forbidden, KubeError, Unavailable
from kaas.kube.nodewatch import in_time
from kaas.kube.objects import Object, Objects, Ref, labels, ref_of
from kaas.kube.resources import Resource

CALL: Final = 8.0
"""Seconds that a call may take: a webhook that is asked may take 10, and is better not waited for."""


class Server(Protocol):
    """What an API server is asked for; see KubeClient."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when it or its kind is not there."""

    async def list(
        self, resource: Resource, namespace: str | None = None, label_selector: str | None = None
    ) -> Objects:
        """Objects of a kind in all namespaces."""

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

    async def problems(self, addons: Iterable[str]) -> dict[str, str]:
        """Why Deployments, StatefulSets and DaemonSets of add-ons do not work, by the add-on; not of those that do."""
        found: dict[str, list[str]] = {name: [] for name in addons}
        listed = await asyncio.gather(*(self._labelled(resource) for resource, _ in working.KINDS))
        for (_, lacks), objects in zip(working.KINDS, listed, strict=True):
            for obj in objects:
                name = labels(obj)[LABEL_ADD_ON]
                if name in found and (problem := lacks(obj)):
                    found[name].append(f"{working.called(obj)}: {problem}")
        return {name: _summed(problems) for name, problems in found.items() if problems}

    async def _labelled(self, resource: Resource) -> Objects:
        return await in_time(CALL, f"list {resource}", self._server.list(resource, label_selector=LABEL_ADD_ON))


def _summed(problems: list[str]) -> str:
    others = f"; and {len(problems) - 1} others" if len(problems) > 1 else ""
    return problems[0] + others


def is_unreachable(failure: KubeError) -> bool:
    """Whether nothing was answered, or kaas is not known there: it says nothing of what was asked."""
    if isinstance(failure, Forbidden):
        return failure.code == HTTPStatus.UNAUTHORIZED
    return isinstance(failure, Unavailable) and not failure.code
