"""`kaas addons status` while updates bring an add-on to a newer version: what the real reconciler says is shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.addon import Addon
from kaas.api.cluster import Cluster
from kaas.cli.addons_view import Line, lines
from kaas.kube import resources
from kaas.updates.run import Verdict
from tests.unit.updates.addons import has, raw_addon
from tests.unit.updates.conducting import OPEN, states
from tests.unit.updates.office import World, release
from tests.unit.updates.subjects import NOW


def due(**spec: Any) -> World:
    """A Cluster that has an add-on of which there is a newer version."""
    world = World()
    world.releases(release("v1.36.1"))
    world.put(raw_addon("agent", "1.0.0", "1.1.0"))
    world.spec(**spec)
    world.machines("v1.36.1")
    brought(world, "1.0.0")
    return world


def brought(world: World, installed: str, state: str = "Ready", **more: Any) -> None:
    """What puts add-ons into Clusters tells how far it is."""
    world.change(addOns=[has("agent", installed, state, **more)])


def shown(world: World) -> Line:
    every = [Addon.model_validate(raw) for raw in world.index.list(resources.ADDON)]
    (line,) = lines([Cluster.model_validate(world.cluster)], every)
    return line


async def test_before_the_window_it_is_said_when_and_what_it_waits_for() -> None:
    world = due()
    world.clock.time = NOW
    await world.look()
    line = shown(world)
    assert line.to_json()["update"] == {"from": "1.0.0", "to": "1.1.0", "at": "2027-01-05T22:00:00Z"}
    assert line.why.startswith("1.1.0 comes by an update: add-on agent 1.1.0 is begun 2027-01-05 22:00 UTC: ")


@pytest.mark.parametrize(
    ("newer", "comes", "words"),
    [
        ("1.1.0", "1.1.0", "1.1.0 comes by an update: v1.37.0 is begun 2027-01-05 22:00 UTC: "),
        (
            ("1.1.0", "1.36"),
            None,
            "1.1.0 comes by an update that is not planned yet: v1.37.0 is begun 2027-01-05 22:00",
        ),
    ],
)
async def test_it_comes_with_another_kubernetes_that_it_supports(newer: Any, comes: str | None, words: str) -> None:
    world = due(updates={"kubernetes": "Minor"})
    world.releases(release("v1.37.0"))
    world.put(raw_addon("agent", "1.0.0", newer))
    world.clock.time = NOW
    await world.look()
    line = shown(world)
    assert (line.coming.new if line.coming else None) == comes
    assert line.why.startswith(words)


async def test_none_comes_to_an_owner_who_wants_none() -> None:
    world = due(updates={"addOns": "None"})
    world.clock.time = OPEN
    await world.look()
    line = shown(world)
    assert (line.coming, line.newest) == (None, "1.1.0")
    assert line.why == "1.1.0 is brought by no update, for spec.updates.addOns of the Cluster is None"


async def test_under_way_and_through() -> None:
    world = due()
    world.clock.time = OPEN
    await world.look()
    brought(world, "1.0.0", "Applying", wanted="1.1.0")
    await world.look()
    assert shown(world).to_json()["update"] == {"from": "1.0.0", "to": "1.1.0"}
    assert shown(world).why == "1.1.0 comes by the update that is under way"
    world.put(raw_addon("agent", "1.0.0", "1.1.0", "1.2.0"))
    assert shown(world).why == "1.2.0 comes by an update after the one that is under way"
    world.put(raw_addon("agent", "1.0.0", "1.1.0"))
    brought(world, "1.1.0")
    await world.settle()
    assert states(world)["Finished"] == "Done"
    assert (shown(world).coming, shown(world).why) == (None, "")


async def test_what_is_held_until_the_next_window_says_so() -> None:
    world = due()
    world.releases(release("v1.36.3"))
    world.clock.time = OPEN
    world.checks.verdicts["Pool/cpu"] = Verdict(None, "it settles")
    await world.look()
    world.machines("v1.36.3")
    await world.settle()
    world.clock.time = OPEN + timedelta(hours=4)
    world.checks.verdicts.clear()
    await world.settle()
    assert states(world)["AddOns"] == "Held"
    line = shown(world)
    assert line.to_json()["update"] == {"from": "1.0.0", "to": "1.1.0", "at": "2027-01-12T22:00:00Z"}
    assert line.why.startswith("1.1.0 comes by the update that is under way: ")
    assert "the add-ons wait until 2027-01-12 22:00 UTC" in line.why


@pytest.mark.parametrize("pause", [timedelta(), timedelta(days=1)])
async def test_what_was_taken_back_says_why_as_long_as_the_update_has_stopped(pause: timedelta) -> None:
    world = due()
    world.clock.time = OPEN
    await world.look()
    world.checks.verdicts["AddOns"] = Verdict(False, "3 Pods are ill", ("SystemPods",))
    brought(world, "1.1.0")
    await world.settle(4)
    brought(world, "1.0.0")
    world.clock.time += pause
    await world.look()
    assert shown(world).why.startswith("1.1.0 was taken back to 1.0.0, for the update has stopped: ")
    assert "3 Pods are ill" in shown(world).why
