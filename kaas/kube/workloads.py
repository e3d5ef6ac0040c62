"""All workload clusters: one client and one watch of Nodes each, in tasks of their own, so that none slows another.

At rest a cluster costs its watch: one TLS connection, some 130 KB in all, and what `keep` keeps. Whatever can fail is
tried again for ever.
"""

from __future__ import annotations

import asyncio
import hashlib
from asyncio.sslproto import SSLProtocol
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Generic, TypeVar

from kaas.kube.client import KubeClient, Limits, RequestHook
from kaas.kube.errors import Forbidden, KubeError, NotFound, Unavailable
from kaas.kube.kubeconfig import connect
from kaas.kube.nodewatch import Clock, NodeWatch, Patience, Sight, in_time
from kaas.kube.objects import Object, Ref
from kaas.kube.resources import NODE

__all__ = ["ClusterKey", "Patience", "ReadKubeconfig", "Sight", "Workloads"]

T = TypeVar("T")
ClusterKey = tuple[str, str]
"""Namespace and name of a Cluster."""
ReadKubeconfig = Callable[[ClusterKey], Awaitable[bytes | None]]
"""Content of the Secret `<cluster>-kubeconfig`, key `value`; None when it is not there."""

# Bytes that asyncio sets aside for reading, a TLS connection: its own 256 KiB are three quarters of what a watched
# cluster costs (measured with 200: 353 KB, with this 100 to 130 KB). A TLS record has 16 KiB.
TLS_BUFFER = 32 * 1024

LOOK = 3.0  # seconds that a Node may take to be read
LIMITS = Limits(connect=3.0, request=10.0, attempts=2)


class Workloads(Generic[T]):
    """The workload clusters that are followed. One event loop's thread only.

    keep: what is kept of a Node; must compare by value, and a small one keeps memory small. changed: called with names
    of Nodes of which what is kept has changed; with None when any may have, or when the sight of the cluster has.
    """

    def __init__(
        self,
        read_kubeconfig: ReadKubeconfig,
        keep: Callable[[Object], T],
        changed: Callable[[ClusterKey, frozenset[str] | None], None],
        clock: Clock,
        *,
        patience: Patience | None = None,
        limits: Limits = LIMITS,
        hook: RequestHook | None = None,
    ) -> None:
        SSLProtocol.max_size = min(SSLProtocol.max_size, TLS_BUFFER)  # of the process: there is no other way to say it
        self._read = read_kubeconfig
        self._keep = keep
        self._changed = changed
        self._clock = clock
        self._patience = patience or Patience()
        self._limits = limits
        self._hook = hook
        self._ways: dict[ClusterKey, _Way] = {}
        self._followed: dict[ClusterKey, _Followed[T]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._unknown = Sight(False, clock.now(), "it is not followed", asked=False)

    def follow(self, cluster: ClusterKey) -> None:
        """Keep its Nodes in `nodes` from now on; once is enough. Needs a running event loop."""
        if cluster in self._followed:
            return
        watch = NodeWatch(
            self._way(cluster), self._keep, lambda names: self._tell(cluster, names), self._clock, self._patience
        )
        task = asyncio.create_task(watch.run(), name=f"nodes of {'/'.join(cluster)}")
        self._followed[cluster] = _Followed(watch, task)

    def _tell(self, cluster: ClusterKey, names: frozenset[str] | None) -> None:
        if cluster in self._followed:
            self._changed(cluster, names)

    def forget(self, cluster: ClusterKey) -> None:
        """Follow it no longer, and close its connections."""
        followed, way = self._followed.pop(cluster, None), self._ways.pop(cluster, None)
        if followed or way:
            ending = asyncio.create_task(_end(followed.task if followed else None, way))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    def nodes(self, cluster: ClusterKey) -> Mapping[str, T]:
        """What is kept of its Nodes by name, as last seen: ask `sight` whether that still counts."""
        followed = self._followed.get(cluster)
        return MappingProxyType(followed.watch.nodes) if followed else MappingProxyType({})

    def sight(self, cluster: ClusterKey) -> Sight:
        """Whether what `nodes` says is what the cluster says now, to about a minute and a half."""
        followed = self._followed.get(cluster)
        return followed.watch.sight if followed else self._unknown

    def kubeconfig_changed(self, cluster: ClusterKey) -> None:
        """Read its kubeconfig again before it is used next; what has begun goes on if it is still the same."""
        if way := self._ways.get(cluster):
            way.doubt()

    async def client(self, cluster: ClusterKey) -> KubeClient:
        """Client for its API server, not to be closed.

        NotFound, Forbidden or Unavailable when it has no kubeconfig yet, no usable one, or it can't be read now.
        """
        return await self._way(cluster).client()

    async def look(self, cluster: ClusterKey, node: str) -> T | None:
        """What is to be kept of a Node, as the server has it at this moment; None when it has no such Node.

        Unavailable when it can't be asked or does not answer in 3 seconds: then nothing is known.
        """
        what = f"read Node {node} of {'/'.join(cluster)}"
        try:
            found = await in_time(LOOK, what, self._get(cluster, node))
        except KubeError as failure:
            raise Unavailable(what, str(failure), code=failure.code) from failure
        return None if found is None else self._keep(found)

    async def _get(self, cluster: ClusterKey, node: str) -> Object | None:
        ref = Ref(NODE.api_version, NODE.kind, None, node)
        try:
            return await (await self.client(cluster)).get(ref)
        except Forbidden as refusal:
            if refusal.code != HTTPStatus.UNAUTHORIZED:
                raise
        self.kubeconfig_changed(cluster)
        return await (await self.client(cluster)).get(ref)

    async def close(self) -> None:
        """Forget all clusters and return when their connections are closed."""
        for cluster in [*self._followed, *self._ways]:
            self.forget(cluster)
        await asyncio.gather(*self._endings)

    def _way(self, cluster: ClusterKey) -> _Way:
        if cluster not in self._ways:
            self._ways[cluster] = _Way(cluster, self._read, self._limits, self._hook)
        return self._ways[cluster]


@dataclass(frozen=True, slots=True)
class _Followed(Generic[T]):
    watch: NodeWatch[T]
    task: asyncio.Task[None]


class _Way:
    """The way to one cluster: its kubeconfig is read when it is first needed, and again when it is doubted."""

    def __init__(self, cluster: ClusterKey, read: ReadKubeconfig, limits: Limits, hook: RequestHook | None) -> None:
        self._cluster = cluster
        self._read = read
        self._limits = limits
        self._hook = hook
        self._client: KubeClient | None = None
        self._former: KubeClient | None = None  # somebody may be using it still
        self._closed = False
        self._digest = b""
        self._doubted = False
        self._reading = asyncio.Lock()

    async def client(self) -> KubeClient:
        async with self._reading:
            if self._client is None or self._doubted:
                self._client = await self._renewed()
                self._doubted = False
            return self._client

    def doubt(self) -> None:
        self._doubted = True

    async def _renewed(self) -> KubeClient:
        """The client there is, if the kubeconfig has not changed; a changed one, as after a rotation, makes a new."""
        what = f"read the kubeconfig of {'/'.join(self._cluster)}"
        content = await self._read(self._cluster)
        if self._closed:
            raise Unavailable(what, "the cluster was forgotten meanwhile")
        if content is None:
            raise NotFound(what, f"there is no Secret {self._cluster[1]}-kubeconfig: no control plane was made yet")
        digest = hashlib.sha256(content).digest()
        if self._client is not None and digest == self._digest:
            return self._client
        made = connect(what, content, limits=self._limits, hook=self._hook)
        past, self._former, self._digest = self._former, self._client, digest
        if past:
            await past.close()
        return made

    async def close(self) -> None:
        self._closed = True
        clients, self._client, self._former = (self._client, self._former), None, None
        for client in clients:
            if client:
                await client.close()


async def _end(task: asyncio.Task[None] | None, way: _Way | None) -> None:
    if task:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if way:
        await way.close()
