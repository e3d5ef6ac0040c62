"""The Nodes of one workload cluster, watched, and whether the cluster can be seen at all."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, Protocol, TypeVar

import aiohttp

from kaas.kube.client import KubeClient
from kaas.kube.errors import Forbidden, KubeError, NotFound, Unavailable
from kaas.kube.objects import Object
from kaas.kube.resources import NODE

log = logging.getLogger(__name__)
T = TypeVar("T")

DOUBTED = 10  # failures from one reading of the kubeconfig to the next: each is a request to the management cluster
PAGE = 50  # Nodes a page of a list: decoding one holds up the loop, for some 10 ms with Nodes that have many images


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Time of day, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after so long."""


class Way(Protocol):
    """The way to a cluster's API server."""

    async def client(self) -> KubeClient:
        """Client to use now; KubeError when there is none."""

    def doubt(self) -> None:
        """Have the kubeconfig read again before the next use."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether a cluster can be seen. since: when that last changed (UTC). problem: why not, for a person.

    asked: False until it was first seen, or could not be.
    """

    clear: bool
    since: datetime
    problem: str = ""
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds.

    silence: without an event or bookmark, of which API servers send one a minute, before the server is asked.
    probe: that it has to answer then. page: for a part of the list. watch: after which a watch is begun anew.
    quick: before a first failure is tried again, which alone does not count. longest: between tries.
    missing: the same while there is no kubeconfig, for which the management cluster is asked.
    """

    silence: float = 75.0
    probe: float = 5.0
    page: float = 15.0
    watch: float = 300.0
    quick: float = 1.0
    longest: float = 30.0
    missing: float = 300.0


class NodeWatch(Generic[T]):
    """Keeps `nodes` and `sight` right while `run` runs. One event loop's thread only.

    keep: what is kept of a Node; anything else is forgotten at once. changed: called with the names of Nodes of which
    what is kept has changed, or with None when any may have, or the sight has.
    """

    def __init__(
        self,
        way: Way,
        keep: Callable[[Object], T],
        changed: Callable[[frozenset[str] | None], None],
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._way = way
        self._keep = keep
        self._changed = changed
        self._clock = clock
        self._patience = patience
        self.nodes: dict[str, T] = {}
        self.sight = Sight(False, clock.now(), "it has not been seen yet", asked=False)
        self._version = ""  # where the next watch goes on; empty: list first
        self._in_doubt = False  # whether a watch ended badly since the server last answered
        self._unseen = 0  # lists and probes that failed in a row
        self._broken = 0  # watches in a row that failed before anything came

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            pause = await self._turn()
            await self._clock.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret

    async def _turn(self) -> float:
        """List or ask if that is needed, then watch once; gives the seconds to wait before the next turn."""
        try:
            await self._make_sure()
        except Exception as failure:
            return self._not_seen(failure)
        self._unseen = 0
        try:
            await self._watch(await self._way.client())
        except TimeoutError:
            self._in_doubt = True
            return 0.0
        except Exception as failure:
            return self._watch_failed(failure)
        return self._patience.quick  # a server that ends every watch at once is not to be hurried

    async def _make_sure(self) -> None:
        if self._version and not self._in_doubt:
            return
        client = await self._way.client()
        if not self._version:
            await self._list(client)
        else:
            async with asyncio.timeout(self._patience.probe):
                await client.page(NODE, limit=1)
        self._in_doubt = False

    async def _list(self, client: KubeClient) -> None:
        found: dict[str, T] = {}
        token = version = ""
        while token or not version:
            async with asyncio.timeout(self._patience.page):
                page = await client.page(NODE, limit=PAGE, token=token)
            found.update(self._kept(page.items))
            token, version = page.token, page.version
        self.nodes, self._version = found, version
        if not self.sight.clear:
            self.sight = Sight(True, self._clock.now())
        self._changed(None)

    async def _watch(self, client: KubeClient) -> None:
        """Take events until the server ends the watch."""
        limit = int(self._patience.watch * random.uniform(0.8, 1.2)) or 1  # noqa: S311 - jitter, not a secret
        # A fault that many clusters share has them fall silent together: they are not asked all in the same second.
        silence = self._patience.silence * random.uniform(0.9, 1.3)  # noqa: S311
        response = await client.watch(NODE, self._version, limit=limit, silence=silence)
        try:
            async for line in response.content:
                self._event(json.loads(line))
                self._broken = 0
                await asyncio.sleep(0)  # lines that are here already would hold up everything else
        finally:
            response.close()

    def _event(self, event: Any) -> None:
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise _error(obj)
        meta = obj["metadata"]
        self._version = str(meta["resourceVersion"])
        if kind == "DELETED":
            if self.nodes.pop(meta["name"], None) is not None:
                self._changed(frozenset({meta["name"]}))
        elif kind != "BOOKMARK":
            self._take(obj)

    def _take(self, obj: Object) -> None:
        obj |= {"apiVersion": NODE.api_version, "kind": NODE.kind}
        for name, kept in self._kept([obj]):
            if self.nodes.get(name) != kept:
                self.nodes[name] = kept
                self._changed(frozenset({name}))

    def _kept(self, nodes: Iterable[Object]) -> Iterable[tuple[str, T]]:
        """What is kept, by name; a Node that can't be read must not hide the others."""
        for node in nodes:
            try:
                yield node["metadata"]["name"], self._keep(node)
            except Exception:
                log.exception("cannot read Node %s", (node.get("metadata") or {}).get("name"))

    def _not_seen(self, failure: Exception) -> float:
        """A list or probe failed: once may be chance, twice in a row is blindness."""
        self._unseen += 1
        if self._unseen % DOUBTED == 1 or isinstance(failure, Forbidden):
            self._way.doubt()
        if self._unseen > 1 or not self.sight.clear:
            self._version = ""
            since = self._clock.now() if self.sight.clear else self.sight.since
            before, self.sight = self.sight, Sight(False, since, words(failure))
            if before.clear:
                log.warning("cluster out of sight: %s", self.sight.problem)
            if before.clear or not before.asked:
                self._changed(None)
        return self._patience.missing if isinstance(failure, NotFound) else self._pause(self._unseen - 1)

    def _watch_failed(self, failure: Exception) -> float:
        """Whether the cluster can be seen is found out by asking it; only what the watch missed has to be made up."""
        log.debug("watch of Nodes ended: %s", words(failure))
        self._in_doubt = True
        self._broken += 1
        if isinstance(failure, KubeError | _Expired | aiohttp.ClientError | OSError):
            expired = isinstance(failure, _Expired) or getattr(failure, "code", 0) == HTTPStatus.GONE
        else:
            log.warning("a watch of Nodes said what is no event: %s", words(failure))
            expired = True
        if expired:
            self._version = ""
        if isinstance(failure, Forbidden):
            self._way.doubt()
        return self._pause(self._broken - 1)

    def _pause(self, failures: int) -> float:
        quick, longest = self._patience.quick, self._patience.longest
        return min(longest, quick * 2.0 ** min(failures, 16))


class _Expired(Exception):
    """The version is too old to go on from: list again."""


def _error(status: Object) -> Exception:
    if status.get("code") == HTTPStatus.GONE:
        return _Expired(str(status.get("message")))
    return Unavailable("watch Nodes", str(status.get("message") or "the server ended the watch by an error"))


def words(failure: BaseException) -> str:
    """What failed, for a person."""
    if isinstance(failure, TimeoutError) and not str(failure):
        return "no answer in time"
    return str(failure) or type(failure).__name__


async def in_time(seconds: float, what: str, answer: Awaitable[T]) -> T:
    """The answer; Unavailable when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as late:
        raise Unavailable(what, f"no answer in {seconds:g} s") from late
