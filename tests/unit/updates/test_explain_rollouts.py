"""Why has this Cluster not been updated? Where a Rollout decides, and of other kinds of updates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaas.updates.explain.facts import State
from kaas.updates.facts import Turn
from tests.unit.updates.explaining import OPEN, a_world, looked_at, why, words
from tests.unit.updates.office import World, release
from tests.unit.updates.subjects import raw_site, version


@pytest.fixture(name="world")
def new_world() -> World:
    return a_world()


# --- a Rollout decides ---------------------------------------------------------------------------------------------

LATER = Turn("fleet", "broad", version("v1.36.3"), False, "RolloutPending", "stage canary comes first: 1 of 2", OPEN)


async def test_a_rollout_says_that_it_is_not_its_turn(world: World) -> None:
    await looked_at(world)
    found = why(world, LATER)
    assert (found.state, found.reason) == (State.WAITS, "RolloutPending")
    assert "stage canary comes first: 1 of 2" in found.answer
    assert "Rollout fleet brings v1.36.3 in its stage broad" in words(found)
    assert [c.at for c in found.coming] == [OPEN]
    assert "kaas rollout status fleet" in words(found)
    assert "set spec.version to v1.36.3" in words(found)


@pytest.mark.parametrize(
    ("reason", "way"),
    [
        ("RolloutPaused", "kaas rollout resume fleet"),
        ("RolloutSkipped", "kaas rollout retry fleet tenants/team --reason '<reason>'"),
        ("RolloutTooManyFailures", "kaas rollout status fleet"),
    ],
)
async def test_a_rollout_that_is_held_waits_for_a_person(world: World, reason: str, way: str) -> None:
    await looked_at(world)
    found = why(world, replace(LATER, reason=reason, until=None))
    assert (found.state, found.reason, found.decided) == (State.BLOCKED, "RolloutPending", "RolloutPending")
    assert way in [w.command for w in found.ways]


async def test_its_turn_has_come_and_its_window_has_not(world: World) -> None:
    await looked_at(world)
    found = why(world, replace(LATER, allowed=True))
    assert (found.state, found.reason) == (State.WAITS, "OutsideMaintenance")
    assert "Rollout fleet brings v1.36.3" in words(found)


async def test_a_rollout_brings_what_the_owner_does_not_take(world: World) -> None:
    world.put(release("v1.37.0"))
    await looked_at(world)
    found = why(world, replace(LATER, allowed=True, version=version("v1.37.0")))
    assert (found.state, found.reason) == (State.BLOCKED, "KubernetesPatch")
    assert "kaas rollout skip fleet tenants/team" in words(found)


# --- other kinds of updates ----------------------------------------------------------------------------------------


async def test_certificates_wait_for_a_window_too(world: World) -> None:
    masters = {"replicas": 1, "ready": 1, "upToDate": 1, "certificatesEnd": "2027-02-01T00:00:00Z"}
    world.change(version="v1.36.3", controlPlane=masters)
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.WAITS, "OutsideMaintenance")
    assert found.answer.startswith("the renewal of certificates is begun 2027-01-05 22:00 UTC")
    assert "certificates of the control plane end on 2027-02-01" in words(found)
    assert "set spec.version" not in words(found)


async def test_a_flavor_supports_no_newer_minor(world: World) -> None:
    world.put(raw_site(flavors=[{"name": "cpu-2"}, {"name": "cpu-4", "maxVersion": "1.36"}]))
    world.put(release("v1.37.0"))
    world.spec(updates={"kubernetes": "Minor"})
    world.change(version="v1.36.3")
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "SiteLimit")
    assert "flavor cpu-4 of pool cpu supports no newer minor than 1.36" in found.answer
