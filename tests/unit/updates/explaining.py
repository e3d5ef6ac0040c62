"""A Cluster of which is asked why it has not been updated."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.kube import resources
from kaas.updates import layers
from kaas.updates.explain.facts import Explanation
from kaas.updates.explain.why import explain
from kaas.updates.facts import Ruling, Turn
from kaas.updates.standing import running_of
from kaas.updates.subject import Subject
from tests.unit.updates.office import KEY, World, release
from tests.unit.updates.subjects import NOW, READY, at

OPEN, SHUT = at("2027-01-05 22:00"), at("2027-01-06 02:00")
NOT_READY = {**READY, "status": "False", "reason": "NotAvailable"}


def subject(world: World, turn: Turn | None = None, **others: Turn) -> tuple[Subject, str]:
    """The Cluster as it stands, and what is wrong with its maintenance. turn: for versions; others: of other kinds."""
    cluster = Cluster.model_validate(world.cluster)
    site = Site.model_validate(world.index.get(resources.SITE, None, "north"))
    releases = [Release.model_validate(r) for r in world.index.list(resources.RELEASE)]
    calendar, problem = layers.calendar(cluster, world.index.get(resources.NAMESPACE, None, KEY[0]), site)
    return Subject.of(cluster, running_of(cluster), releases, site, calendar, Ruling(turn, **others)), problem


def why(world: World, turn: Turn | None = None, **others: Turn) -> Explanation:
    about, problem = subject(world, turn, **others)
    return explain(about, world.clock.time, problem)


async def looked_at(world: World, when: datetime = NOW) -> Explanation:
    """After the controller has looked at it."""
    world.clock.time = when
    await world.look()
    return why(world)


def annotate(world: World, **annotations: str) -> None:
    meta = world.cluster["metadata"]
    said = {k.replace("__", "/").replace("_", "-"): v for k, v in annotations.items()}
    world.put({**world.cluster, "metadata": {**meta, "annotations": {**meta["annotations"], **said}}})


def playing(world: World, **update: Any) -> None:
    """The status as it is, with some of `update` told otherwise."""
    world.change(update={**world.update, **update})


def words(found: Explanation) -> str:
    return "\n".join(
        (found.answer, *(b.message for b in found.because), *(f"{w.message} {w.command}" for w in found.ways))
    )


def a_world() -> World:
    """A Cluster at v1.36.1 that may go to v1.36.3."""
    world = World()
    world.releases(release("v1.36.1"), release("v1.36.3"))
    return world
