"""`kaas rollout list` and `kaas rollout status`: all Rollouts, or one with its stages, gates and members."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.live import Live

from kaas.api.rollout import Rollout
from kaas.cli import rollout_show
from kaas.cli.output import as_list, console, emit
from kaas.cli.readable import read, readable
from kaas.cli.rollout_ask import found
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.status import WATCH_SECONDS, lean
from kaas.kube import resources
from kaas.kube.objects import Objects

Look = Callable[[], Coroutine[Any, Any, RenderableType]]


def show_all(settings: Settings, *, watch: bool) -> None:
    """Show all Rollouts as a table; with `watch`, again and again until Ctrl-C."""
    run(_show_all(settings, watch=watch))


async def _show_all(settings: Settings, *, watch: bool) -> None:
    async with session(settings) as connected:
        if settings.output is not None:
            emit(as_list(lean(r) for r in await _every(connected)), settings.output)
            return

        async def look() -> RenderableType:
            every, others = readable(Rollout, await _every(connected))
            if every or others:
                return rollout_show.table(every, others)
            return "no Rollout: every Cluster follows its own channel"

        await draw(settings, look, watch=watch)


async def _every(connected: Session) -> Objects:
    return sorted(await connected.list(resources.ROLLOUT), key=lambda r: str(r["metadata"]["name"]))


def show(settings: Settings, name: str, *, watch: bool) -> None:
    """Show one Rollout; with `watch`, again and again until Ctrl-C. CliError when there is none of this name."""
    run(_show(settings, name, watch=watch))


async def _show(settings: Settings, name: str, *, watch: bool) -> None:
    async with session(settings) as connected:
        if settings.output is not None:
            emit(lean(await found(connected, name)), settings.output)
            return

        async def look() -> RenderableType:
            return rollout_show.story(read(Rollout, await found(connected, name)), datetime.now(UTC))

        await draw(settings, look, watch=watch)


async def draw(settings: Settings, look: Look, *, watch: bool) -> None:
    """Print what there is to see; with `watch`, again and again in its place."""
    if not watch:
        console(settings).print(await look(), markup=False)
        return
    with Live(console=console(settings), auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            live.update(await look(), refresh=True)
            await asyncio.sleep(WATCH_SECONDS)
