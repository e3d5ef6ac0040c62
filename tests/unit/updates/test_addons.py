"""Add-ons in updates: which versions come when, which Kubernetes they allow, the step, and the way back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_UPDATE_RETRY, ANNOTATION_UPDATES_PAUSED
from kaas.updates.explain.facts import State
from kaas.updates.explain.why import explain
from kaas.updates.facts import AddOn, Aims, Change
from kaas.updates.forecast import forecast
from kaas.updates.planner import plan
from kaas.updates.run import Case, Verdict
from kaas.updates.subject import AddOns, Subject
from tests.unit.updates.addons import addon, has, raw_addon, there
from tests.unit.updates.conducting import OPEN, annotate, states
from tests.unit.updates.office import World, release
from tests.unit.updates.subjects import NOW, TUESDAYS, calendar, cluster, raw_cluster, site, version
from tests.unit.updates.subjects import release as model

OLD, PATCH, NEXT = model("v1.36.1"), model("v1.36.3"), model("v1.37.0")
MINOR = {"kubernetes": "Minor"}
TWO = addon("agent", "1.0.0", "1.1.0")


def subject(*found: Any, addons: AddOns, releases: Any = (OLD,), **spec: Any) -> Subject:
    """A Cluster that has these add-ons, as its status says."""
    raw = raw_cluster(maintenance={"windows": [TUESDAYS]}, **spec)
    seen = {"update": {"reason": "UpToDate"}, "addOns": found}
    of = Cluster.model_validate({**raw, "status": {**raw["status"], **seen}})
    return Subject.of(of, version("v1.36.1"), releases, site(), calendar(of)).beside(addons)


# --- what is due --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "had", "comes"),
    [
        (TWO, "1.0.0", "1.1.0"),
        (TWO, "1.1.0", None),
        (addon("agent", "1.9.0", "1.10.0"), "1.9.0", "1.10.0"),
        (addon("agent", "1.9.0", "1.10.0"), "1.10.0", None),
        (addon("agent", "1.0.0", "1.0.0-1"), "1.0.0", "1.0.0-1"),
        (addon("agent", "1.0.0", "1.1.0", unusable=("1.1.0",)), "1.0.0", None),
        (addon("agent", "1.0.0", "1.1.0", ("1.2.0", "1.35")), "1.0.0", "1.1.0"),
        (addon("agent", "1.0.0", "1.1.0", clusters={"matchLabels": {"tier": "other"}}), "1.0.0", None),
        (addon("other", "1.0.0", "1.1.0"), "1.0.0", None),
    ],
)
def test_the_newest_that_can_be_used_and_supports_what_runs(known: Any, had: str, comes: str | None) -> None:
    found = plan(subject(has("agent", had), addons=there(known)), OPEN)
    assert (found.target is not None) == (comes is not None)
    if comes:
        assert found.aims == Aims(version("v1.36.1"), (Change.ADD_ONS,), add_ons=(AddOn("agent", had, comes, None),))
        assert f"add-on agent {comes} is there since 2026-12-20, {had} is in use" in found.message


def test_it_waits_for_its_window_and_its_owner() -> None:
    assert plan(subject(has("agent", "1.0.0"), addons=there(TWO)), NOW).reason == "OutsideMaintenance"
    kept = subject(has("agent", "1.0.0"), addons=there(TWO), updates={"addOns": "None"})
    assert plan(kept, OPEN).target is None


@pytest.mark.parametrize(("scope", "target"), [("All", False), ("Nodes", True), ("Minor", True)])
def test_exclusions_for_nodes_do_not_keep_add_ons_out(scope: str, target: bool) -> None:
    of = subject(has("agent", "1.0.0"), addons=there(TWO))
    out = {"from": "2027-01-01T00:00:00Z", "until": "2027-02-01T00:00:00Z", "scope": scope, "reason": "fair"}
    kept = cluster(maintenance={"windows": [TUESDAYS], "exclusions": [out]})
    found = plan(replace(of, calendar=calendar(kept)), OPEN)
    assert (found.target is not None) is target


def test_it_comes_with_another_version_of_kubernetes_that_it_supports() -> None:
    narrow = addon("narrow", "1.0.0", ("1.1.0", "1.36"))
    both = subject(
        *(has("agent", "1.0.0"), has("narrow", "1.0.0")), addons=there(TWO, narrow), releases=(OLD, NEXT), updates=MINOR
    )
    found = plan(both, OPEN)
    assert found.aims is not None
    assert found.aims.version == version("v1.37.0")
    assert found.aims.changes == (Change.MINOR, Change.ADD_ONS)
    assert [a.name for a in found.aims.add_ons] == ["agent"], "the other supports 1.36 only, and comes for nobody now"


def test_no_version_of_kubernetes_comes_with_add_ons_that_do_not_support_it() -> None:
    narrow = addon("narrow", "1.0.0", ("1.1.0", "1.36"))
    found = plan(subject(has("narrow", "1.0.0"), addons=there(narrow), releases=(OLD, NEXT), updates=MINOR), OPEN)
    assert found.aims is not None
    assert found.aims.changes == (Change.MINOR,)


# --- what they support --------------------------------------------------------------------------------------------


BOUND = addon("agent", ("1.0.0", "1.36"))
BETTER = addon("agent", ("1.0.0", "1.36"), ("1.1.0", "1.37"))


def test_no_minor_past_what_an_add_on_supports() -> None:
    of = subject(has("agent", "1.0.0"), addons=there(BOUND), releases=(OLD, NEXT), updates=MINOR)
    found = plan(of, OPEN)
    assert (found.target, found.reason) == (None, "AddOnLimit")
    assert "add-on agent 1.0.0 supports no newer minor than 1.36: add a version that does to its Addon" in found.message
    why = explain(of, OPEN)
    assert (why.state, why.reason) == (State.BLOCKED, "AddOnLimit")
    assert any("kaas addons status -n tenants" in way.command for way in why.ways)
    assert any("v1.37.0" in link.message for link in why.because)


def test_patches_come_all_the_same() -> None:
    of = subject(has("agent", "1.0.0"), addons=there(BOUND), releases=(OLD, PATCH, NEXT), updates=MINOR)
    assert plan(of, OPEN).target == version("v1.36.3")


def test_the_add_on_comes_first_and_the_minor_after_it() -> None:
    of = subject(has("agent", "1.0.0"), addons=there(BETTER), releases=(OLD, NEXT), updates=MINOR)
    first = plan(of, OPEN)
    assert first.aims is not None
    assert first.aims.changes == (Change.ADD_ONS,)
    kinds = [(e.version, e.changes, e.what) for e in forecast(of, NOW) if e.kind == "Update"]
    assert kinds == [
        (version("v1.36.1"), (Change.ADD_ONS,), "add-on agent 1.1.0"),
        (version("v1.37.0"), (Change.MINOR,), "v1.37.0"),
    ]


@pytest.mark.parametrize(
    ("addons", "words"),
    [
        (there(addon("agent", "1.1.0", unusable=("1.1.0",))), "says nothing any more"),
        (there(unread=("agent",)), "Addon agent cannot be read"),
    ],
)
def test_what_nobody_knows_allows_no_minor(addons: AddOns, words: str) -> None:
    found = plan(subject(has("agent", "1.0.0"), addons=addons, releases=(OLD, NEXT), updates=MINOR), OPEN)
    assert (found.target, found.reason) == (None, "AddOnLimit")
    assert words in found.message


def test_what_a_cluster_does_not_have_limits_nothing() -> None:
    waits = {"name": "agent", "state": "Waiting"}
    assert plan(subject(waits, addons=there(BOUND), releases=(OLD, NEXT), updates=MINOR), OPEN).target is not None


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
