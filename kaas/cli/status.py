"""`kaas status`: a table of Clusters, or one Cluster as a tree."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.live import Live

from kaas.cli import progress
from kaas.cli.delete import no_such
from kaas.cli.output import as_list, console, emit
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.table import table
from kaas.cli.tree import tree
from kaas.cli.view import ClusterView
from kaas.kube import resources
from kaas.kube.objects import Object, Ref

WATCH_SECONDS = 2.0


def status(settings: Settings, name: str | None, *, everywhere: bool, watch: bool) -> None:
    """Show one Cluster, or all of the namespace or of all namespaces; with `watch`, again and again until Ctrl-C."""
    run(_status(settings, name, everywhere=everywhere, watch=watch))


async def _status(settings: Settings, name: str | None, *, everywhere: bool, watch: bool) -> None:
    async with session(settings) as connected:
        if settings.output is not None:
            emit(await _for_programs(connected, name, everywhere=everywhere), settings.output)
        elif not watch:
            console(settings).print(await _for_people(connected, name, everywhere=everywhere))
        else:
            await _watch(settings, connected, name, everywhere=everywhere)


async def _watch(settings: Settings, connected: Session, name: str | None, *, everywhere: bool) -> None:
    with Live(console=console(settings), auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            live.update(await _for_people(connected, name, everywhere=everywhere), refresh=True)
            await asyncio.sleep(WATCH_SECONDS)


async def _for_people(connected: Session, name: str | None, *, everywhere: bool) -> RenderableType:
    if name is not None:
        return tree(await _one(connected, name))
    found = await connected.clusters(everywhere=everywhere)
    if found:
        return table(sorted(found, key=_by_name), datetime.now(UTC), namespaces=everywhere)
    where = "any namespace" if everywhere else f"namespace {connected.namespace} (`-A` looks into all)"
    return f"no Cluster in {where}"


async def _for_programs(connected: Session, name: str | None, *, everywhere: bool) -> Any:
    """The Clusters as the API server has them; one Cluster together with what its tree shows."""
    if name is None:
        return as_list(lean(c) for c in sorted(await connected.clusters(everywhere=everywhere), key=_by_name))
    shown = await _one(connected, name)
    ref = Ref(resources.CLUSTER.api_version, "Cluster", connected.namespace, name)
    return {"cluster": lean(await connected.client.get(ref) or {}), "tree": shown.to_json()}


async def _one(connected: Session, name: str) -> ClusterView:
    key = (connected.namespace, name)
    found = (await progress.look(connected, [key]))[key]
    if found is None:
        raise no_such([key])
    return found


def _by_name(cluster: Object) -> tuple[str, str]:
    return cluster["metadata"].get("namespace", ""), cluster["metadata"]["name"]


def lean(cluster: Object) -> Object:
    """Without the book-keeping of server-side apply."""
    meta = {k: v for k, v in (cluster.get("metadata") or {}).items() if k != "managedFields"}
    return {**cluster, "metadata": meta}
