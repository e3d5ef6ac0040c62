"""The end of a loader's log, through the API server: nobody has to reach the Pod's address."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import aiohttp

from kaas.kube.answers import with_query
from kaas.kube.errors import KubeError
from kaas.kube.resources import POD
from kaas.volumes.job import CONTAINER

LINES: Final = 3
"""Lines that are read: the last one may be cut, or be a word of the interpreter's."""
LARGEST: Final = 16384
PATIENCE: Final = 5.0  # seconds; a kubelet that does not answer holds up nobody
AT_ONCE: Final = 8
"""Logs that are read at the same time: kubelets that do not answer leave connections for what Pods wait for."""


class Texts(Protocol):
    """Who reads texts of an API server."""

    async def text(self, path: str, *, silence: float) -> aiohttp.ClientResponse:
        """Begin to read a text."""


async def tail(client: Texts, namespace: str, pod: str, turns: asyncio.Semaphore) -> str:
    """The last lines of a loader's log; "" when they cannot be read just now. turns: of AT_ONCE, of all who read."""
    query = {"container": CONTAINER, "tailLines": str(LINES), "limitBytes": str(LARGEST)}
    path = with_query(f"{POD.path(namespace, pod)}/log", query)
    try:
        async with asyncio.timeout(PATIENCE), turns, await client.text(path, silence=PATIENCE) as answer:
            return (await answer.content.read(LARGEST)).decode(errors="replace")
    except (KubeError, aiohttp.ClientError, TimeoutError, OSError):
        return ""
