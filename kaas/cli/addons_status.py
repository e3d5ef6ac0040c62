"""`kaas addons list` and `kaas addons status`: all Addons, or the add-ons of Clusters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter

from rich.console import RenderableType

from kaas.api.addon import Addon
from kaas.api.cluster import Cluster
from kaas.cli import addons_show, addons_view
from kaas.cli.addons_view import Line
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.output import as_list, console, emit
from kaas.cli.readable import readable
from kaas.cli.rollout_status import draw
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.status import lean
from kaas.kube import resources
from kaas.kube.errors import Forbidden
from kaas.kube.objects import Objects


def show_all(settings: Settings, *, watch: bool) -> None:
    """Show all Addons as a table; with `watch`, again and again until Ctrl-C."""
    run(_show_all(settings, watch=watch))


async def _show_all(settings: Settings, *, watch: bool) -> None:
    async with session(settings) as connected:
        if settings.output is not None:
            emit(as_list(lean(a) for a in await _every(connected)), settings.output)
            return

        async def look() -> RenderableType:
            every, others = readable(Addon, await _every(connected))
            return addons_show.table(every, others) if every or others else "no Addon: nothing is put into Clusters"

        await draw(settings, look, watch=watch)


async def _every(connected: Session) -> Objects:
    return sorted(await connected.list(resources.ADDON), key=lambda a: str(a["metadata"]["name"]))


def show(settings: Settings, name: str | None, *, everywhere: bool, watch: bool) -> None:
    """Show the add-ons of the namespace's Clusters, or of all. name: of one alone; CliError when there is none."""
    run(_show(settings, name, everywhere=everywhere, watch=watch))


async def _show(settings: Settings, name: str | None, *, everywhere: bool, watch: bool) -> None:
    async with session(settings) as connected:
        if settings.output is not None:
            lines = await _lines(settings, connected, name, everywhere=everywhere)
            emit([line.to_json() for line in lines], settings.output)
            return

        async def look() -> RenderableType:
            lines = await _lines(settings, connected, name, everywhere=everywhere)
            if lines:
                return addons_show.of_clusters(lines, datetime.now(UTC), namespaces=everywhere)
            where = "any namespace" if everywhere else f"namespace {connected.namespace} (`-A` looks into all)"
            return f"no Cluster with {f'add-on {name}' if name else 'an add-on'} in {where}"

        await draw(settings, look, watch=watch)


async def _lines(settings: Settings, connected: Session, name: str | None, *, everywhere: bool) -> Sequence[Line]:
    clusters, raw = await asyncio.gather(connected.clusters(everywhere=everywhere), _allowed(settings, connected))
    addons, unread = readable(Addon, raw or [])
    found, others = readable(Cluster, clusters)
    for other in (*unread, *others):
        console(settings, stderr=True).print(str(other), markup=False)
    found.sort(key=attrgetter("metadata.namespace", "metadata.name"))
    lines = list(addons_view.lines(found, addons, name))
    if name and not lines and raw is not None and name not in (a["metadata"]["name"] for a in raw):
        raise CliError(f"there is no Addon {name!r}: see `kaas addons`", ExitCode.NOT_FOUND)
    return lines


async def _allowed(settings: Settings, connected: Session) -> Objects | None:
    """All Addons; None when they may not be read, which not everybody may. Then that is said."""
    try:
        return await _every(connected)
    except Forbidden:
        words = "Addons cannot be read: what Clusters are to have, and why they have not the newest, is left out"
        console(settings, stderr=True).print(words)
        return None
