"""Which machines an event has looked at."""

from __future__ import annotations

from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.updates.drains.watched import Waiting, machine_concern
from tests.unit.clusters.builders import NAME, NAMESPACE
from tests.unit.updates.drains.clusters import World

CLUSTER = (NAMESPACE, NAME)


def machine(world: World, name: str) -> Object:
    found = world.index.get(resources.MACHINE, NAMESPACE, name)
    assert found is not None
    return found


async def test_an_event_of_any_machine_has_those_of_its_cluster_looked_at_that_wait() -> None:
    world = World()
    for name in ("a", "b", "c"):
        world.box(name)
    waiting = Waiting(world.index)
    assert waiting.see(machine(world, "a")) == []
    world.delete("a")
    assert waiting.see(machine(world, "a")) == [(NAMESPACE, "a")]
    assert waiting.see(machine(world, "b")) == [(NAMESPACE, "a")]
    assert waiting.of_cluster(CLUSTER) == [(NAMESPACE, "a")]
    await world.look("a")
    assert waiting.see(machine(world, "a")) == []  # it is drained now


def test_one_that_has_gone_is_forgotten() -> None:
    world = World()
    world.box("a")
    world.delete("a")
    waiting = Waiting(world.index)
    waiting.see(machine(world, "a"))
    gone = machine(world, "a")
    world.index.remove(gone)
    assert waiting.see(gone) == waiting.of_cluster(CLUSTER) == []


def test_what_else_changes_of_a_machine_is_no_concern() -> None:
    world = World()
    world.box("a")
    before = machine(world, "a")
    assert machine_concern(before) == machine_concern({**before, "spec": {"version": "v1.36.3"}})
    world.delete("a")
    assert machine_concern(before) != machine_concern(machine(world, "a"))
