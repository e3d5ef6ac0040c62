"""From a few lists of a management cluster to the snapshots that plan and status are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable
from datetime import UTC, datetime

from kaas.api.constants import SYSTEM_NAMESPACE
from kaas.api.parsed import Parsed
from kaas.cli.session import Session
from kaas.clusters.observe import Key, observe
from kaas.clusters.snapshot import Snapshot
from kaas.clusters.watched import PARTS
from kaas.kube import resources
from kaas.kube.objects import Object, Objects, Ref
from kaas.kube.resources import CLUSTER_NAME_LABEL, Resource
from kaas.runtime.index import Index


async def of_clusters(session: Session, keys: Collection[Key]) -> Index:
    """What there is of these Clusters, and the Sites: enough to show them."""
    index = Index()
    listed: list[Awaitable[Objects]] = [session.list(resources.SITE), *_named(session, keys), *_parts(session, keys)]
    for objects in await asyncio.gather(*listed):
        _put(index, objects)
    return index


async def for_plan(session: Session, keys: Collection[Key]) -> Index:
    """Everything that the plan of these Clusters depends on."""
    lists: list[Awaitable[Objects]] = [
        session.list(resources.CLUSTER),
        session.list(resources.CAPI_CLUSTER),
        session.list(resources.SITE),
        session.list(resources.RELEASE),
        session.list(resources.CLUSTER_CLASS, SYSTEM_NAMESPACE),
        session.list(resources.OPENSTACK_CLUSTER_IDENTITY),
    ]
    index = Index()
    for objects in await asyncio.gather(*lists, *_parts(session, keys)):
        _put(index, objects)
    return index


def snapshots(index: Index, keys: Iterable[Key]) -> dict[Key, Snapshot | None]:
    """Snapshot of each Cluster as of now, None for one that is not there."""
    parsed, now = Parsed(), datetime.now(UTC)
    return {key: observe(index, key, parsed, now) for key in keys}


async def _one(session: Session, resource: Resource, key: Key) -> Objects:
    found = await session.client.get(Ref(resource.api_version, resource.kind, *key))
    return [found] if found else []


def _named(session: Session, keys: Iterable[Key]) -> list[Awaitable[Objects]]:
    return [_one(session, r, key) for key in keys for r in (resources.CLUSTER, resources.CAPI_CLUSTER)]


def _parts(session: Session, keys: Collection[Key]) -> list[Awaitable[Objects]]:
    """One list a kind and namespace; narrowed to the Cluster where there is only one."""
    found: list[Awaitable[Objects]] = []
    for namespace in sorted({n for n, _ in keys}):
        names = [name for n, name in keys if n == namespace]
        selector = f"{CLUSTER_NAME_LABEL}={names[0]}" if len(names) == 1 else CLUSTER_NAME_LABEL
        found += [session.list(r, namespace, selector) for r in PARTS]
    return found


def _put(index: Index, objects: Iterable[Object]) -> None:
    for obj in objects:
        index.put(obj)
