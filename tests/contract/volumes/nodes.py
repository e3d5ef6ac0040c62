"""Nodes that run every loader at once, and an eye on Pods that wait."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, labels
from kaas.loader.report import Reason, Result
from kaas.volumes import terms
from kaas.volumes.pods import gated
from tests.contract.volumes.stage import Stage

SECONDS = 0.3  # that a load takes, at least
SILENCE = 600.0


@dataclass
class Seen:
    """When loads ended and gates went, by the name of claim and Pod, in seconds of the monotonic clock.

    said: when the API server had been told of the end, as by a kubelet.
    most, most_of_one: loads at the same time, in all and in one namespace.
    """

    ended: dict[str, float] = field(default_factory=dict)
    said: dict[str, float] = field(default_factory=dict)
    freed: dict[str, float] = field(default_factory=dict)
    most: int = 0
    most_of_one: int = 0

    def late(self) -> list[float]:
        """Seconds from the end of each load to its Pod's gate, where a Pod has its claim's name."""
        return sorted(self.freed[name] - self.ended[name] for name in self.freed if name in self.ended)

    def unsaid(self) -> list[float]:
        """Seconds from the end of each load until the API server had been told."""
        return sorted(self.said[name] - self.ended[name] for name in self.said)


@asynccontextmanager
async def nodes(client: KubeClient) -> AsyncIterator[Seen]:
    """Nodes that load whatever is asked for, while the block runs."""
    seen = Seen()
    tasks = [asyncio.create_task(_load_all(client, seen)), asyncio.create_task(_watch(client, seen))]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _load_all(client: KubeClient, seen: Seen) -> None:
    known: set[str] = set()
    async with asyncio.TaskGroup() as group:
        while True:
            pods = await client.list(resources.POD, None, terms.LOADER_LABEL)
            open_ones = [p for p in pods if p["status"].get("phase") in {None, "Pending", "Running"}]
            names = [p["metadata"]["namespace"] for p in open_ones]
            seen.most = max(seen.most, len(names))
            seen.most_of_one = max([seen.most_of_one, *(names.count(n) for n in set(names))])
            for pod in open_ones:
                if pod["metadata"]["uid"] not in known:
                    known.add(pod["metadata"]["uid"])
                    group.create_task(_load(client, seen, pod))
            await asyncio.sleep(0.1)


async def _load(client: KubeClient, seen: Seen, pod: Object) -> None:
    stage = Stage(client, pod["metadata"]["namespace"])
    await asyncio.sleep(SECONDS)
    volumes = pod["spec"]["volumes"]
    name = next(v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v)
    seen.ended[name] = time.monotonic()
    await stage.ends(pod, Result(Reason.LOADED, "", bytes=1 << 30, files=3, seconds=SECONDS), 0)
    seen.said[name] = time.monotonic()


async def _watch(client: KubeClient, seen: Seen) -> None:
    """The moment at which each Pod has our gate no more."""
    waiting: set[str] = set()
    answer = await client.watch(resources.POD, "0", limit=int(SILENCE), silence=SILENCE)
    try:
        async for line in _lines(answer):
            pod = json.loads(line)["object"]
            name = pod["metadata"].get("name", "")
            if pod["kind"] != "Pod" or terms.LOADER_LABEL in labels(pod):
                continue
            if gated(pod):
                waiting.add(name)
            elif name in waiting:
                seen.freed.setdefault(name, time.monotonic())
    finally:
        answer.close()


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
