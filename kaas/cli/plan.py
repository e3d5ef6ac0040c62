"""`kaas plan`: what the controller would do next for Clusters, those of files included as if they were applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from kaas.cli import collect, manifests
from kaas.cli.apply import CLUSTER, checked, placed
from kaas.cli.clouds import directory
from kaas.cli.delete import no_such
from kaas.cli.exits import ExitCode
from kaas.cli.manifests import OTHERS
from kaas.cli.output import Object, console, emit
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.clusters.clouds import SiteClouds
from kaas.clusters.observe import Key
from kaas.clusters.plan import Step, wanted_of_cloud
from kaas.clusters.plan import plan as planned
from kaas.clusters.snapshot import Snapshot
from kaas.clusters.target import ReleaseMissingError, awaited
from kaas.kube.objects import name_of, ref_of

Plans = Mapping[Key, Sequence[Step]]


def plan(settings: Settings, names: Sequence[str], files: Sequence[Path]) -> ExitCode:
    """Print the steps of the files' Clusters, and of those that are named; of all of the namespace without either."""
    plans = run(_plans(settings, names, files))
    if settings.output is not None:
        emit([for_programs(key, steps) for key, steps in plans.items()], settings.output)
    else:
        show(console(settings), plans)
    return verdict(plans)


def verdict(plans: Plans) -> ExitCode:
    """BLOCKED when the next step of any Cluster waits for something, else TO_DO when there is any step."""
    first = [steps[0] for steps in plans.values() if steps]
    if any(step.gates for step in first):
        return ExitCode.BLOCKED
    return ExitCode.TO_DO if first else ExitCode.DONE


async def _plans(settings: Settings, names: Sequence[str], files: Sequence[Path]) -> Plans:
    async with session(settings) as connected:
        changed = await _changed(connected, files, explicit=settings.namespace is not None) if files else []
        keys = [name_of(o) for o in changed if (o["apiVersion"], o["kind"]) == CLUSTER]
        keys += [(connected.namespace, name) for name in names]
        if not files and not names:
            keys = [name_of(o) for o in await connected.clusters()]
        snapshots = await _snapshots(connected, list(dict.fromkeys(keys)), changed)
        return {key: steps(await _with_cloud(connected, s)) for key, s in snapshots.items()}


def steps(snapshot: Snapshot) -> list[Step]:
    """The steps that make the Cluster API Cluster what it should be, and the update that another version is."""
    return [*planned(snapshot), *_update(snapshot)]


def _update(snapshot: Snapshot) -> Iterator[Step]:
    if snapshot.deleting:
        return
    current = snapshot.live.topology.get("version")
    try:
        asked = awaited(snapshot)
    except ReleaseMissingError:
        return  # of which there is a step
    if asked is not None:
        words = f"the version is {current}, and spec.version asks for {asked}: the update begins when its checks let it"
        yield Step("update", f"{words} (`kaas explain {snapshot.cluster.metadata.name}`)")


async def _changed(connected: Session, files: Sequence[Path], *, explicit: bool) -> list[Object]:
    """The files' objects of our own kinds as the API server would have them. Nothing is written."""
    documents = placed(manifests.read(files), connected.namespace, explicit=explicit)
    found = await checked(connected, documents)
    return [o for o in found if (o["apiVersion"], o["kind"]) not in OTHERS]


async def _snapshots(connected: Session, keys: Sequence[Key], changed: Iterable[Object]) -> dict[Key, Snapshot]:
    index = await collect.for_plan(connected, keys)
    for obj in changed:
        index.put(_settled(obj, index.get_ref(ref_of(obj))))
    found = collect.snapshots(index, keys)
    if missing := [key for key, s in found.items() if s is None]:
        raise no_such(missing)
    return {key: s for key, s in found.items() if s is not None}


def _settled(changed: Object, live: Object | None) -> Object:
    """A dry run gives a new object an identity that it will not have."""
    if live is not None:
        return changed
    made_up = ("uid", "resourceVersion", "creationTimestamp")
    return {**changed, "metadata": {k: v for k, v in changed["metadata"].items() if k not in made_up}}


async def _with_cloud(connected: Session, snapshot: Snapshot) -> Snapshot:
    """The snapshot with what the cloud has, asked only when the next change wants something of it, or CAPO is stuck."""
    site = snapshot.site
    if site is None:
        return snapshot
    with directory() as clouds:
        asked = SiteClouds(connected.client, clouds)
        snapshot = replace(snapshot, surplus=await asked.surplus(site, snapshot.live))
        if not wanted_of_cloud(snapshot):
            return snapshot
        return replace(snapshot, cloud=await asked.look(site))


# --- what is printed ----------------------------------------------------------------------------------------------


def for_programs(key: Key, steps: Iterable[Step]) -> Any:
    """The plan of one Cluster as plain data."""
    return {"namespace": key[0], "name": key[1], "steps": [_step(s) for s in steps]}


def _step(step: Step) -> Object:
    gates = [{"reason": g.reason, "message": g.message, "lookAgainSeconds": g.look_again} for g in step.gates]
    return {
        "id": step.id,
        "reason": step.reason,
        "apply": list(step.apply),
        "delete": [str(r) for r in step.delete],
        "release": step.release.goes.address if step.release else None,
        "gates": gates,
    }


def show(screen: Console, plans: Plans) -> None:
    """Print plans for people."""
    if not plans:
        screen.print("no Cluster")
    for (namespace, name), steps in plans.items():
        screen.print(Text.assemble((f"{namespace}/{name}", "bold"), "" if steps else "  nothing to do"))
        for number, step in enumerate(steps, start=1):
            screen.print(_shown(number, step))


def _shown(number: int, step: Step) -> Text:
    text = Text(f"  {number}. ").append(step.id, "bold").append(f": {step.reason}")
    for gate in step.gates:
        text.append(f"\n     waits: {gate.reason}: {gate.message} {_again(gate.look_again)}", "yellow")
    for ref in map(ref_of, step.apply):
        text.append(f"\n     + {ref}", "green")
    for ref in step.delete:
        text.append(f"\n     - {ref}", "red")
    if step.release:
        text.append(f"\n     - floating IP {step.release.goes.address}", "red")
    return text


def _again(seconds: float | None) -> str:
    return f"(looked at again every {seconds:.0f} s)" if seconds else "(looked at again when it changes)"
