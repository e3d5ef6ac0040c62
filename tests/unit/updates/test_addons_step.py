"""The step of an update that brings add-ons, the way back, and what it gives way to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.constants import ANNOTATION_UPDATE_RETRY, ANNOTATION_UPDATES_PAUSED
from kaas.updates.run import Case, Verdict
from tests.unit.updates.addons import has, raw_addon
from tests.unit.updates.conducting import OPEN, annotate, states
from tests.unit.updates.office import World, release

# --- an update ----------------------------------------------------------------------------------------------------


def due(*more: Any, **spec: Any) -> World:
    """A Cluster that has an add-on of which there is a newer version; its window is open."""
    world = World()
    world.releases(release("v1.36.1"), *more)
    world.put(raw_addon("agent", "1.0.0", "1.1.0"))
    world.spec(**spec)
    world.machines("v1.36.1")
    world.change(addOns=[has("agent", "1.0.0")])
    world.clock.time = OPEN
    return world


def brought(world: World, installed: str, state: str = "Ready", **more: Any) -> None:
    """What puts add-ons into Clusters tells how far it is."""
    world.change(addOns=[has("agent", installed, state, **more)])


async def test_an_update_of_add_ons_alone_replaces_no_machine() -> None:
    world = due()
    seen: list[Case] = []
    checks, examine = world.checks, world.checks.preflight

    async def preflight(case: Case, now: Any) -> Any:
        seen.append(case)
        return await examine(case, now)

    checks.preflight = preflight  # type: ignore[method-assign]
    await world.look()
    assert list(states(world)) == ["Announced", "Preflight", "AddOns", "Verification", "Finished"]
    assert (world.update["changes"], world.update["target"]) == (["AddOns"], "v1.36.1")
    assert world.update["addOns"] == [{"name": "agent", "from": "1.0.0", "to": "1.1.0"}]
    assert states(world)["AddOns"] == "Running"
    assert [c.pools for c in seen] == [()]
    brought(world, "1.0.0", "Applying", wanted="1.1.0", message="3 of 7 objects")
    await world.look()
    assert "0 of 1 add-ons are new and work: agent 1.1.0 (3 of 7 objects)" in world.step("AddOns")["message"]
    brought(world, "1.1.0", "Starting", message="Deployment x: 1 of 2 Pods")
    await world.settle(3)
    assert states(world)["AddOns"] == "Running"
    brought(world, "1.1.0")
    await world.settle()
    assert set(states(world).values()) == {"Done"}
    assert world.checks.calls.count("AddOns") == 1
    assert world.condition["status"] == "True"
    assert "UpdateBegun" in world.told()


async def test_add_ons_come_after_the_machines() -> None:
    world = due(release("v1.36.3"))
    await world.look()
    assert world.update["changes"] == ["Patch", "AddOns"]
    await world.settle(5)
    assert states(world)["AddOns"] == "Pending"
    world.machines("v1.36.3")
    await world.settle()
    assert (states(world)["Pool/cpu"], states(world)["AddOns"]) == ("Done", "Running")
    brought(world, "1.1.0")
    await world.settle()
    assert states(world)["Finished"] == "Done"


async def pool_looked_at(world: World) -> None:
    """Its machines are new, and it is looked at whether it is well with them."""
    world.checks.verdicts["Pool/cpu"] = Verdict(None, "it settles")
    await world.look()
    world.machines("v1.36.3")
    await world.settle()
    assert (states(world)["Pool/cpu"], world.step("Pool/cpu")["reason"]) == ("Running", "Verifying")


async def test_none_is_begun_when_the_window_has_closed() -> None:
    world = due(release("v1.36.3"))
    await pool_looked_at(world)
    world.clock.time = OPEN + timedelta(hours=4)
    world.checks.verdicts.clear()
    await world.settle()
    assert (states(world)["AddOns"], world.step("AddOns")["reason"]) == ("Held", "OutsideMaintenance")
    assert "the add-ons wait until 2027-01-12 22:00 UTC" in world.update["hold"]["message"]
    assert world.update["nextTime"] == "2027-01-12T22:00:00Z"
    world.clock.time = OPEN + timedelta(days=7)
    await world.look()
    assert states(world)["AddOns"] == "Running"
    world.clock.time = OPEN + timedelta(days=7, hours=4)  # what has begun is finished
    brought(world, "1.1.0")
    await world.settle()
    assert states(world)["Finished"] == "Done"


async def test_none_is_begun_while_a_person_has_it_paused() -> None:
    world = due(release("v1.36.3"))
    await pool_looked_at(world)
    annotate(world, ANNOTATION_UPDATES_PAUSED, "launch")
    world.checks.verdicts.clear()
    await world.settle()
    assert (states(world)["AddOns"], world.step("AddOns")["reason"]) == ("Held", "Paused")
    annotate(world, ANNOTATION_UPDATES_PAUSED, None)
    await world.settle(2)
    assert states(world)["AddOns"] == "Running"


async def begun(world: World) -> None:
    await world.look()
    assert states(world)["AddOns"] == "Running"
    world.told()


def back(world: World) -> list[tuple[str, str, str]]:
    return [(e["addOn"], e["from"], e["to"]) for e in world.update.get("rolledBack") or () if e["what"] == "AddOn"]


async def fail_to_apply(world: World) -> None:
    since = f"{world.clock.time:%Y-%m-%dT%H:%M:%SZ}"
    brought(world, "1.0.0", "Failed", wanted="1.1.0", since=since, message="Deployment a/b: unknown field spec.x")
    await world.settle(3)
    assert "stopped" not in world.update
    world.clock.time += timedelta(minutes=10)
    await world.settle(2)


async def test_one_that_cannot_be_put_there_stops_the_update_and_goes_back() -> None:
    world = due()
    await begun(world)
    await fail_to_apply(world)
    assert world.update["stopped"]["reason"] == "AddOnFailed"
    assert "unknown field spec.x" in world.update["stopped"]["message"]
    assert "add-on agent goes back from 1.1.0 to 1.0.0" in world.update["stopped"]["message"]
    assert back(world) == [("agent", "1.1.0", "1.0.0")]
    assert {"UpdateStopped", "UpdateRolledBack"} <= set(world.told())


async def test_one_that_does_not_work_stops_the_update_and_goes_back() -> None:
    world = due()
    await begun(world)
    brought(world, "1.1.0", "Starting", message="DaemonSet a/b: 1 of 3 Pods are ready")
    await world.settle(5)
    assert "stopped" not in world.update
    world.clock.time += timedelta(minutes=10)
    await world.settle(2)
    assert world.update["stopped"]["reason"] == "AddOnNotReady"
    assert "1 of 3 Pods are ready" in world.update["stopped"]["message"]
    assert back(world) == [("agent", "1.1.0", "1.0.0")]


async def test_one_that_comes_further_is_waited_for_however_long_it_takes() -> None:
    world = due()
    await begun(world)
    for done in range(1, 5):
        moved = f"{world.clock.time:%Y-%m-%dT%H:%M:%SZ}"
        brought(world, "1.1.0", "Starting", message=f"DaemonSet a/b: {done} of 40 Pods work", moved=moved)
        world.clock.time += timedelta(minutes=9)
        await world.settle(2)
        assert "stopped" not in world.update
    world.clock.time += timedelta(minutes=1)
    await world.settle(2)
    assert world.update["stopped"]["reason"] == "AddOnNotReady"
    words = "4 of 40 Pods work; it does not work, and has come no further for 10 minutes"
    assert words in world.update["stopped"]["message"]


async def test_add_ons_go_back_when_the_cluster_is_not_well_with_them() -> None:
    world = due()
    await begun(world)
    world.checks.verdicts["AddOns"] = Verdict(False, "3 Pods are ill", ("SystemPods",))
    brought(world, "1.1.0")
    await world.settle(4)
    assert world.update["stopped"]["reason"] == "VerificationFailed"
    assert back(world) == [("agent", "1.1.0", "1.0.0")]


async def test_tried_again_they_come_again_before_what_failed() -> None:
    world = due()
    await begun(world)
    brought(world, "1.1.0")
    world.checks.verdicts["Verification"] = Verdict(False, "3 Pods are ill", ("SystemPods",))
    await world.settle(6)
    assert (states(world)["AddOns"], states(world)["Verification"]) == ("Done", "Failed")
    assert back(world) == [("agent", "1.1.0", "1.0.0")]
    brought(world, "1.0.0")
    world.checks.verdicts.clear()
    annotate(world, ANNOTATION_UPDATE_RETRY, "mended")
    await world.settle(3)
    assert (states(world)["AddOns"], states(world)["Verification"], back(world)) == ("Running", "Pending", [])
    brought(world, "1.1.0")
    await world.settle()
    assert states(world)["Finished"] == "Done"


@pytest.mark.parametrize(
    ("addons", "why"),
    [
        (raw_addon("agent", "1.1.0"), "1.0.0 is not in its Addon any more"),
        (raw_addon("agent", "1.0.0", "1.1.0", unusable=("1.0.0",)), "1.0.0 cannot be used any more"),
        (raw_addon("agent", ("1.0.0", "1.35"), "1.1.0"), "1.0.0 does not support 1.36"),
    ],
)
async def test_what_has_no_way_back_stays_and_says_why(addons: Any, why: str) -> None:
    world = due()
    await begun(world)
    world.put(addons)
    await fail_to_apply(world)
    assert back(world) == []
    assert f"add-on agent stays at 1.1.0: {why}" in world.update["stopped"]["message"]


async def test_an_add_on_that_the_cluster_is_rid_of_keeps_nobody_waiting() -> None:
    world = due()
    await begun(world)
    world.put(raw_addon("agent", "1.0.0", "1.1.0", clusters={"names": ["other/one"]}))
    world.change(addOns=[])
    await world.settle(30)
    assert states(world)["Finished"] == "Done"


# --- it gives way ---------------------------------------------------------------------------------------------------


async def stopped(*more: Any, **spec: Any) -> World:
    """Its update to another version of the add-on has stopped, and that has gone back."""
    world = due(*more, **spec)
    await begun(world)
    await fail_to_apply(world)
    brought(world, "1.0.0")
    await world.settle(2)
    assert world.update["stopped"]["reason"] == "AddOnFailed"
    return world


async def test_one_that_has_stopped_waits_for_a_person() -> None:
    world = await stopped(release("v1.36.3", "2027-01-08"))
    world.clock.time = OPEN + timedelta(days=7)
    await world.settle(3)
    assert "stopped" in world.update


@pytest.mark.parametrize(
    "addons",
    [
        raw_addon("agent", "1.0.0", "1.2.0"),
        raw_addon("agent", "1.0.0", "1.1.0", "1.2.0"),
        raw_addon("agent", "1.0.0", "1.1.0", "1.2.0", unusable=("1.1.0",)),
    ],
)
async def test_what_is_withdrawn_or_mended_by_a_newer_version_is_called_off(addons: Any) -> None:
    world = await stopped()
    world.put(addons)
    await world.settle(3)
    assert (states(world)["AddOns"], "stopped" in world.update) == ("Skipped", False)
    assert "add-on agent 1.2.0 is begun 2027-01-12 22:00 UTC" in world.update["message"]
    assert "UpdateCalledOff" in world.told()
    world.clock.time = OPEN + timedelta(days=7)
    await world.settle(3)
    assert world.update["addOns"] == [{"name": "agent", "from": "1.0.0", "to": "1.2.0"}]
    brought(world, "1.2.0")
    await world.settle()
    assert states(world)["Finished"] == "Done"


async def test_a_version_that_is_withdrawn_with_nothing_in_its_place_is_called_off_too() -> None:
    world = await stopped()
    world.put(raw_addon("agent", "1.0.0"))
    await world.settle(3)
    assert ("stopped" in world.update, world.update["reason"]) == (False, "UpToDate")


async def test_what_a_person_asks_for_waits_for_no_add_on() -> None:
    world = await stopped()
    world.releases(release("v1.36.3"))
    world.spec(version="v1.36.3")
    await world.settle(3)
    assert (world.update["target"], world.update["reason"]) == ("v1.36.3", "VersionChanged")
    assert "ControlPlane" in states(world)


async def test_certificates_that_end_wait_for_no_add_on() -> None:
    world = await stopped()
    counts = dict.fromkeys(("replicas", "ready", "upToDate"), 3)
    world.change(controlPlane=counts | {"certificatesEnd": "2027-01-10T00:00:00Z"})
    await world.settle(3)
    assert "stopped" not in world.update
    world.clock.time = OPEN + timedelta(days=2)
    await world.settle(3)
    assert "Certificates" in world.update["changes"]


async def test_what_has_expired_waits_for_no_add_on() -> None:
    world = await stopped()
    world.releases(release("v1.36.3"), release("v1.36.1", expires="2027-01-06"))
    world.clock.time = OPEN + timedelta(days=1)
    await world.settle(3)
    assert "stopped" not in world.update
    assert world.update["reason"] == "Expired"


# --- what a person asks for -------------------------------------------------------------------------------------------


async def test_add_ons_that_a_minor_needs_come_before_it_and_at_once() -> None:
    world = due(release("v1.37.0"))
    world.put(raw_addon("agent", ("1.0.0", "1.36"), ("1.1.0", "1.37")))
    world.clock.time = OPEN - timedelta(days=1)  # in no window
    world.spec(version="1.37")
    await world.look()
    assert (world.update["changes"], world.update["reason"]) == (["AddOns"], "VersionChanged")
    await world.settle(3)
    assert states(world)["AddOns"] == "Running"
    brought(world, "1.1.0")
    await world.settle()
    assert (world.update["target"], world.update["changes"]) == ("v1.37.0", ["Minor"])
    assert states(world)["ControlPlane"] == "Running"


# --- what is not there ------------------------------------------------------------------------------------------------


async def test_an_addon_that_cannot_be_read_in_the_middle_is_waited_for() -> None:
    world = due()
    await begun(world)
    brought(world, "1.1.0", "Starting", message="1 of 2 Pods work")
    whole = raw_addon("agent", "1.0.0", "1.1.0")
    world.put({**whole, "spec": {**whole["spec"], "pace": "slow"}})
    await world.settle(2)
    world.clock.time += timedelta(hours=1)
    await world.settle(2)
    assert "its Addon cannot be read" in world.step("AddOns")["message"]
    assert "stopped" not in world.update
    world.put(whole)
    brought(world, "1.1.0")
    await world.settle()
    assert states(world)["Finished"] == "Done"


async def test_addons_that_are_gone_with_their_kind_end_no_step_and_lift_no_limit() -> None:
    world = due()
    await begun(world)
    world.index.remove(raw_addon("agent", "1.0.0"))
    await world.settle(4)
    assert states(world)["AddOns"] == "Running"


async def test_an_update_before_its_add_ons_takes_none_back() -> None:
    world = due(release("v1.36.3"))
    await world.look()
    world.checks.verdicts["ControlPlane"] = Verdict(False, "a node is ill", ("NodesReady",))
    world.machines("v1.36.3")
    await world.settle(4)
    assert world.update["stopped"]["step"] == "ControlPlane"
    assert back(world) == []


async def test_a_version_that_a_person_asks_for_is_checked_against_its_add_ons() -> None:
    world = due(release("v1.37.0"))
    world.put(raw_addon("agent", ("1.0.0", "1.36")))
    seen: list[Case] = []
    examine = world.checks.preflight

    async def preflight(case: Case, now: Any) -> Any:
        seen.append(case)
        return await examine(case, now)

    world.checks.preflight = preflight  # type: ignore[method-assign]
    world.spec(version="1.37")
    await world.look()
    assert [c.against for c in seen] == [
        ("add-on agent 1.0.0 supports no newer minor than 1.36: add a version that does to its Addon",)
    ]
