"""Reads and changes the one Cluster of a played management cluster while it is updated."""

from __future__ import annotations

from kaas.updates.run import Finding, Severity
from tests.unit.updates.office import World, release
from tests.unit.updates.subjects import at

OPEN = at("2027-01-05 22:00")
QUOTA = Finding("QuotaForSurge", Severity.BLOCK, "quota of Site north has no server left: raise it")


def due() -> World:
    """One whose update is due, its window open."""
    world = World()
    world.releases(release("v1.36.1"), release("v1.36.3"))
    world.machines("v1.36.1")
    world.clock.time = OPEN
    return world


def states(world: World) -> dict[str, str]:
    return {s["name"]: s["state"] for s in world.update.get("steps") or ()}


def annotate(world: World, name: str, value: str | None) -> None:
    meta = world.cluster["metadata"]
    notes = {k: v for k, v in meta["annotations"].items() if k != name} | ({name: value} if value is not None else {})
    world.put({**world.cluster, "metadata": {**meta, "annotations": notes}})


async def begun(world: World) -> None:
    await world.look()
    assert world.told() == ["UpdateBegun"]
    world.checks.calls.clear()
