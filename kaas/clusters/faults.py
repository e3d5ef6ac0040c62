"""What Nova says of servers in ERROR: asked once a server, and remembered for as long as it is in ERROR."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Protocol

from kaas.api.site import Site
from kaas.clusters.observe import Key

PATIENCE = 3.0  # seconds that a reconcile waits for a cloud; an answer that comes later is there the next time

_Asked = dict[str, "asyncio.Task[str | None]"]


class Nova(Protocol):
    """Who asks a Site's Nova."""

    async def server_fault(self, site: Site, server: str) -> str | None:
        """Why a server is in ERROR; None when the cloud could not be asked."""


class Faults:
    """Answers by Cluster and server. What could not be asked is asked again the next time."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        self._asked: dict[Key, _Asked] = {}

    async def of(self, key: Key, site: Site, servers: Collection[str]) -> Mapping[str, str]:
        """What Nova says of these servers of a Cluster, as far as it is known; others of the Cluster are forgotten."""
        known = self._asked.pop(key, {})
        asked = {s: t for s, t in known.items() if s in servers and not _is_void(t)}
        for server, task in known.items():
            if server not in asked:
                task.cancel()
        for server in set(servers) - asked.keys():
            asked[server] = asyncio.create_task(self._nova.server_fault(site, server))
        if asked:
            self._asked[key] = asked
            await asyncio.wait(asked.values(), timeout=PATIENCE)
        return {s: said for s, t in asked.items() if t.done() and (said := t.result())}

    def forget(self, key: Key) -> None:
        """Drop what is known of a Cluster that is gone."""
        for task in self._asked.pop(key, {}).values():
            task.cancel()


def _is_void(task: asyncio.Task[str | None]) -> bool:
    """Whether it ended without an answer."""
    return task.done() and (task.cancelled() or task.exception() is not None or task.result() is None)
