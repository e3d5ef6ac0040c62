"""One look at a Cluster: everything that the checks are decided from, read from its own API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Final

from kaas.api.constants import LABEL_ADD_ON
from kaas.kube import resources, working
from kaas.kube.client import KubeClient
from kaas.kube.errors import KubeError, NotFound
from kaas.kube.objects import Object, Objects, labels
from kaas.kube.resources import Resource
from kaas.updates.verify import pods
from kaas.updates.verify.counters import Counters
from kaas.updates.verify.facts import AddOnFacts, NodeFacts
from kaas.updates.verify.nodes import node_facts
from kaas.updates.verify.scrape import scrape

SYSTEM: Final = "kube-system"
_PAGE: Final = 50  # objects of a list: decoding more at once holds up the loop


async def nodes(client: KubeClient, gpus: Collection[str]) -> dict[str, NodeFacts]:
    """All Nodes by name. gpus: resources that are GPUs here."""
    return {n["metadata"]["name"]: node_facts(n, gpus) async for n in _each(client, resources.NODE, None)}


async def unwell(client: KubeClient, absent: Collection[str]) -> dict[str, int]:
    """Pods of the system that do not work, by workload. absent: nodes whose Pods do not count."""
    return pods.unwell([p async for p in _each(client, resources.POD, SYSTEM) if pods.is_unwell(p)], absent)


async def managed(client: KubeClient) -> Objects:
    """What kaas has put into the Cluster and runs Pods all the time."""
    found = await asyncio.gather(*(_managed(client, resource) for resource in working.KINDS))
    return [obj for objects in found for obj in objects]


def add_ons(managed: Iterable[Object], nodes: Iterable[NodeFacts]) -> tuple[AddOnFacts, ...]:
    """Which of these work. nodes: all of the Cluster: a DaemonSet may lack Pods on those that are not Ready."""
    absent = working.absent(node.ready for node in nodes)
    return tuple(
        AddOnFacts(working.called(obj), working.problem(obj, absent), labels(obj).get(LABEL_ADD_ON, ""))
        for obj in managed
    )


async def _managed(client: KubeClient, resource: Resource) -> Objects:
    try:
        return await client.list(resource, label_selector=pods.MANAGED)
    except NotFound:  # a simulated API server does not have all kinds
        return []


async def counters(client: KubeClient, servers: int) -> list[Counters]:
    """Counters of API server processes, each asked on a connection of its own. servers: how many to ask for.

    A load balancer gives each connection to whichever it likes: some may be asked twice, and some not.
    KubeError when none has answered.
    """
    found = await asyncio.gather(*(scrape(client) for _ in range(servers)), return_exceptions=True)
    good = [c for c in found if isinstance(c, Counters)]
    bad = [f for f in found if isinstance(f, BaseException)]
    other = [f for f in bad if not isinstance(f, KubeError)]
    if other or not good:
        raise (other or bad)[0]
    return good


async def _each(client: KubeClient, resource: Resource, namespace: str | None) -> AsyncIterator[Object]:
    token, more = "", True
    while more:
        page = await client.page(resource, limit=_PAGE, token=token, namespace=namespace)
        for obj in page.items:
            yield obj
        token, more = page.token, bool(page.token)
