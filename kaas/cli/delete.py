"""`kaas delete`: ask for deletion, and the wait until nothing is left."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import typer

from kaas.cli import progress
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.output import console
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.view import ClusterView
from kaas.clusters.observe import Key
from kaas.kube import resources
from kaas.kube.objects import Ref
from kaas.runtime.clock import SystemClock


def delete(settings: Settings, names: Sequence[str], *, wait: bool, timeout: float, yes: bool) -> None:
    """Delete Clusters with all that they have in the cloud. On a terminal it asks first, unless `yes`."""
    try:
        run(_delete(settings, names, wait=wait, timeout=timeout, yes=yes))
    except KeyboardInterrupt as stop:
        message = "interrupted; a deletion that was asked for goes on without you (see `kaas status`)"
        raise CliError(message, ExitCode.INTERRUPTED) from stop


async def _delete(settings: Settings, names: Sequence[str], *, wait: bool, timeout: float, yes: bool) -> None:  # noqa: ASYNC109
    async with session(settings) as connected:
        keys = [(connected.namespace, name) for name in names]
        await _all_there(connected, keys)
        if not yes and sys.stdin.isatty():
            typer.confirm(question(keys), abort=True, err=True)
        screen = console(settings)
        for key in keys:
            await connected.client.delete(_ref(key))
            screen.print(f"Cluster {key[0]}/{key[1]} is being deleted", markup=False)
        if wait:
            await _wait(settings, connected, keys, timeout)


def question(keys: Sequence[Key]) -> str:
    """What a person is asked first."""
    names = ", ".join(f"{namespace}/{name}" for namespace, name in keys)
    return f"Delete {names} with all servers, volumes and data?"


async def _all_there(connected: Session, keys: Sequence[Key]) -> None:
    """Nothing is deleted when one of the names is wrong."""
    missing = [key for key in keys if await connected.client.get(_ref(key)) is None]
    if missing:
        raise no_such(missing)


def no_such(keys: Sequence[Key]) -> CliError:
    """The error for names of no Cluster."""
    names = ", ".join(f"{namespace}/{name}" for namespace, name in keys)
    message = f"there is no Cluster {names}; `kaas status -A` lists those that there are"
    return CliError(message, ExitCode.NOT_FOUND)


def _ref(key: Key) -> Ref:
    return Ref(resources.CLUSTER.api_version, "Cluster", *key)


async def _wait(settings: Settings, connected: Session, keys: Sequence[Key], timeout: float) -> None:  # noqa: ASYNC109
    screen = console(settings)
    with progress.display(screen, "waiting until nothing is left") as display:
        done = await progress.follow(connected, keys, are_gone, display, SystemClock(), timeout)
    if not done:
        raise CliError(still_there(await progress.look(connected, keys), timeout))
    for namespace, name in keys:
        screen.print(f"Cluster {namespace}/{name} is gone", markup=False)


def are_gone(views: Mapping[Key, ClusterView | None]) -> bool:
    """Whether no Cluster is left: the controller lets one go when everything that it made is gone."""
    return all(v is None for v in views.values())


def still_there(views: Mapping[Key, ClusterView | None], timeout: float) -> str:
    """What is left of each Cluster."""
    lines = [f"not gone after {timeout:.0f} s; the deletion goes on without you (`kaas status`)"]
    left = {key: v for key, v in views.items() if v is not None}
    lines += [f"Cluster {namespace}/{name}: {v.why or v.phase}" for (namespace, name), v in left.items()]
    return "\n      ".join(lines)
