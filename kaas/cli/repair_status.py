"""`kaas repair status`: sick nodes and what is done about them, or the story of one node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.live import Live

from kaas.api.constants import LABEL_POOL
from kaas.api.node_repair_template import template_name
from kaas.cli import repair_nodes, repair_show, repair_view
from kaas.cli.output import console, emit
from kaas.cli.repair_view import FleetView, StoryView
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.status import WATCH_SECONDS
from kaas.kube import resources
from kaas.kube.objects import Object, Ref, labels
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL, Resource

Shown = FleetView | StoryView


@dataclass(frozen=True)
class Asked:
    """What is to be shown. name: of one node, None for all. everywhere: of all namespaces."""

    name: str | None
    everywhere: bool


def status(settings: Settings, name: str | None, *, everywhere: bool, watch: bool) -> None:
    """Show sick nodes of the namespace or of all, or one node; with `watch`, again and again until Ctrl-C."""
    run(_status(settings, Asked(name, everywhere), watch=watch))


async def _status(settings: Settings, asked: Asked, *, watch: bool) -> None:
    async with session(settings) as connected:
        if settings.output is not None:
            emit((await look(connected, asked)).to_json(), settings.output)
        elif not watch:
            console(settings).print(_for_people(await look(connected, asked), connected.namespace, asked))
        else:
            await _watch(settings, lambda: look(connected, asked), connected.namespace, asked)


async def _watch(
    settings: Settings, again: Callable[[], Coroutine[Any, Any, Shown]], namespace: str, asked: Asked
) -> None:
    with Live(console=console(settings), auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            live.update(_for_people(await again(), namespace, asked), refresh=True)
            await asyncio.sleep(WATCH_SECONDS)


def _for_people(shown: Shown, namespace: str, asked: Asked) -> RenderableType:
    now = datetime.now(UTC)
    if isinstance(shown, StoryView):
        return repair_show.story(shown, now)
    if shown.nodes or shown.breakers or shown.paused:
        return repair_show.fleet(shown, now, namespaces=asked.everywhere)
    where = "any namespace" if asked.everywhere else f"namespace {namespace} (`-A` looks into all)"
    return f"no sick node in {where}"


async def look(connected: Session, asked: Asked) -> Shown:
    """What there is to show now."""
    if asked.name is not None:
        return await _story(connected, asked.name)
    where = None if asked.everywhere else connected.namespace
    clusters, sites, repairs = await asyncio.gather(
        connected.clusters(everywhere=asked.everywhere),
        connected.list(resources.SITE),
        connected.list(resources.NODE_REPAIR, where),
    )
    used = {c["spec"]["site"] for c in clusters}
    return repair_view.fleet(clusters, [s for s in sites if s["metadata"]["name"] in used], repairs)


async def _story(connected: Session, name: str) -> StoryView:
    machine = await repair_nodes.find(connected, name)
    cluster_name = labels(machine).get(CLUSTER_NAME_LABEL, "")
    pool = "" if CONTROL_PLANE_LABEL in labels(machine) else labels(machine).get(LABEL_POOL, "")
    cluster, repair, template = await asyncio.gather(
        _get(connected, resources.CLUSTER, cluster_name),
        _get(connected, resources.NODE_REPAIR, machine["metadata"]["name"]),
        _get(connected, resources.NODE_REPAIR_TEMPLATE, template_name(cluster_name, pool)),
    )
    site = await _get(connected, resources.SITE, cluster["spec"]["site"]) if cluster else None
    return repair_view.story(machine, cluster, site, repair, template)


async def _get(connected: Session, resource: Resource, name: str) -> Object | None:
    namespace = connected.namespace if resource.namespaced else None
    return await connected.client.get(Ref(resource.api_version, resource.kind, namespace, name))
