"""Watching Clusters until something is reached: a live tree on a terminal, lines of what changed anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner

from kaas.cli import collect
from kaas.cli.exits import CliError
from kaas.cli.session import Session
from kaas.cli.tree import tree
from kaas.cli.view import ClusterView, Mark, view
from kaas.clusters.observe import Key
from kaas.kube.errors import Unavailable
from kaas.runtime.clock import Clock

LOOK_SECONDS = 1.5
Views = Mapping[Key, ClusterView | None]


WORDS = {Mark.WELL: ", ready", Mark.MOVING: "", Mark.SICK: ", not ready", Mark.GOING: ""}


class Display(Protocol):
    """Where progress is shown."""

    def show(self, views: Views, elapsed: float) -> None:
        """Show the Clusters as they are now; None is one that is gone."""


async def follow(
    session: Session,
    keys: Sequence[Key],
    reached: Callable[[Views], bool],
    display: Display,
    clock: Clock,
    limit: float,
) -> bool:
    """Look again and again until it is reached; False when `limit` seconds are over first.

    An API server that does not answer is waited for as well.
    """
    begin = clock.monotonic()
    views: Views = {}
    while True:
        try:
            views = await look(session, keys)
        except Unavailable as error:
            if clock.monotonic() - begin > limit:
                raise CliError(str(error)) from error
        elapsed = clock.monotonic() - begin
        display.show(views, elapsed)
        if views and reached(views):
            return True
        if elapsed > limit:
            return False
        await clock.sleep(min(LOOK_SECONDS, max(0.0, limit - elapsed) + 0.01))


async def look(session: Session, keys: Sequence[Key]) -> dict[Key, ClusterView | None]:
    """The Clusters as they are now."""
    found = collect.snapshots(await collect.of_clusters(session, keys), keys)
    return {key: view(s) if s else None for key, s in found.items()}


@contextmanager
def display(console: Console, doing: str) -> Iterator[Display]:
    """A display that fits where the console goes."""
    if not console.is_terminal:
        yield Lines(console)
        return
    with Live(console=console, refresh_per_second=5, vertical_overflow="ellipsis") as live:
        yield Screen(live, doing)


class Screen:
    """The trees, drawn anew in place."""

    def __init__(self, live: Live, doing: str) -> None:
        self._live = live
        self._doing = doing
        self._spinner = Spinner("dots", doing)

    def show(self, views: Views, elapsed: float) -> None:
        """Draw all Clusters."""
        self._spinner.update(text=f"{self._doing}  {elapsed:.0f} s")
        self._live.update(Group(*(tree(v, brief=True) for v in views.values() if v), self._spinner))


class Lines:
    """One line for each change, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._before: dict[Key, dict[str, str]] = {}

    def show(self, views: Views, elapsed: float) -> None:
        """Print what changed since last time."""
        for key, found in views.items():
            now = facts(found)
            for line in changes(self._before.get(key, {}), now):
                self._console.print(f"{elapsed:5.0f} s  {key[0]}/{key[1]}  {line}", markup=False)
            self._before[key] = now


def facts(cluster: ClusterView | None) -> dict[str, str]:
    """What is worth a line when it changes, by what it is about."""
    if cluster is None:
        return {"Cluster": "gone"}
    found = {"Cluster": " - ".join(filter(None, (cluster.phase, cluster.why)))}
    for item in cluster.conditions:
        if item.type != "Ready":
            found[item.type] = item.status if item.status == "True" else f"{item.status} ({item.reason})"
    for group in cluster.groups:
        for machine in group.machines:
            server = f", server {machine.server.state}" if machine.server and machine.server.state else ""
            found[f"{group.name} {machine.name}"] = f"{machine.phase}{WORDS[machine.mark]}{server}"
    return found


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Lines for what is new, other or gone."""
    lines = [f"{what}: {state}" for what, state in now.items() if before.get(what) != state]
    return lines + [f"{what}: gone" for what in before if what not in now and "gone" not in now.values()]
