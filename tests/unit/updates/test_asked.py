"""A version that a person writes into `spec.version`: begun at once, and checked and watched as every update is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.updates.facts import Decision
from kaas.updates.planner import plan
from kaas.updates.run import Finding, Severity, Verdict
from kaas.updates.subject import Subject
from tests.unit.updates.office import KEY, World, release
from tests.unit.updates.subjects import NOW, TUESDAYS, at, calendar, cluster, raw_release, site, version
from tests.unit.updates.subjects import release as parsed_release

OLD, ASKED = "v1.36.1", "v1.36.3"
LONG_AGO = "2026-06-01T00:00:00Z"
QUOTA = Finding("QuotaForSurge", Severity.BLOCK, "quota of Site north has no server left: raise it")
EXCLUSION = {"from": "2027-01-01T00:00:00Z", "until": "2027-02-01T00:00:00Z", "scope": "All", "reason": "year's end"}
REPAIRED = {"unhealthy": 1, "inFlight": 1, "quarantined": 0, "pools": [{"name": "cpu", "inFlight": 1, "unhealthy": 1}]}


def planned(of: Cluster) -> Decision:
    """On a Monday at noon, when no window is open."""
    known = [parsed_release(v) for v in (OLD, ASKED)]
    return plan(Subject.of(of, version(OLD), known, site(), calendar(of)), NOW)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"status": {"conditions": []}},
        {"status": {"update": {"target": OLD, "began": NOW.isoformat()}}},
        {"updates": {"channel": "None"}},
        {"maintenance": {"windows": [TUESDAYS], "exclusions": [EXCLUSION]}},
    ],
    ids=["outside of windows", "not Ready", "another one today", "no channel", "excluded"],
)
def test_it_is_begun_at_once(more: dict[str, Any]) -> None:
    found = planned(cluster(ASKED, **more))
    assert (found.target, found.reason) == (version(ASKED), "VersionChanged")
    assert found.choice is not None
    assert found.choice.asked
    assert found.aims is not None
    assert (found.aims.version, found.aims.changes) == (version(ASKED), ("Patch",))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"annotations": {"kaas.internal/updates-paused": "audit"}}, "Paused"),
        ({"status": {"repair": REPAIRED}}, "RepairInFlight"),
    ],
)
def test_it_waits_for_what_somebody_has_in_hand(more: dict[str, Any], reason: str) -> None:
    found = planned(cluster(ASKED, **more))
    assert (found.target, found.reason) == (None, reason)
    assert "v1.36.3 is not begun" in found.message


def test_it_brings_what_is_due() -> None:
    newest = {"name": "new", "since": LONG_AGO}
    found = planned(cluster(ASKED, status={"classRevision": "old", "newestClassRevision": newest}))
    assert found.aims is not None
    assert (found.aims.class_revision, found.aims.changes) == ("new", ("Patch", "ClassRevision"))


# --- from its checks to its end -------------------------------------------------------------------------------------


@pytest.fixture(name="world")
def new_world() -> World:
    world = World()
    world.releases(release(OLD), release(ASKED))
    world.machines(OLD)
    world.spec(version=ASKED)
    return world


def busy(world: World) -> float | None:
    return world.registry.get_sample_value("kaas_update_site_clusters", {"site": "north"})


def pool(world: World, **versions: str) -> None:
    """What Cluster API has of the pool: the version of the topology, of its MachineDeployment and of its machine."""
    meta = {"namespace": KEY[0], "labels": {"cluster.x-k8s.io/cluster-name": KEY[1], "kaas.internal/pool": "cpu"}}
    topology = {"version": versions["topology"], "workers": {"machineDeployments": []}}
    parts: list[tuple[Any, str, Object]] = [
        (resources.CAPI_CLUSTER, KEY[1], {"topology": topology}),
        (resources.MACHINE_DEPLOYMENT, "cpu", {"template": {"spec": {"version": versions["deployment"]}}}),
        (resources.MACHINE, "cpu-1", {"version": versions["machine"]}),
    ]
    for kind, name, spec in parts:
        world.put({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {**meta, "name": name}, "spec": spec})


async def test_step_by_step_outside_of_every_window(world: World) -> None:
    await world.look()
    assert world.told() == ["UpdateBegun"]
    assert world.checks.calls == ["preflight", "baseline"]
    assert world.step("Announced")["reason"] == "VersionChanged"
    assert (world.update["target"], world.update["waiting"], busy(world)) == (ASKED, ["cpu"], 1.0)
    world.machines(ASKED, {"cpu": OLD})
    await world.settle(4)
    assert world.step("Pool/cpu")["state"] == "Running"
    assert "hold" not in world.update
    world.machines(ASKED)
    await world.settle()
    assert world.told() == ["Updated"]
    assert world.checks.calls == ["preflight", "baseline", "ControlPlane", "Pool/cpu", "Verification"]
    assert (world.update["reason"], busy(world)) == ("Pinned", 0.0)


async def test_it_is_begun_when_its_checks_let_it(world: World) -> None:
    world.checks.findings = (QUOTA,)
    await world.look()
    assert ("target" in world.update, world.update["reason"]) == (False, "PreflightBlocks")
    assert "UpdateBlocked" in world.told()
    world.checks.findings = (Finding(QUOTA.check, QUOTA.severity, QUOTA.message, "it is raised tonight"),)
    world.clock.time += timedelta(minutes=6)
    await world.look()
    assert world.told() == ["UpdateBegun", "PreflightOverridden"]


async def test_it_stops_when_the_control_plane_is_not_well_after_it(world: World) -> None:
    await world.look()
    world.checks.verdicts["ControlPlane"] = Verdict(False, "etcd has no leader", ("EtcdHealth",))
    world.machines(ASKED, {"cpu": OLD})
    await world.settle(3)
    assert (world.update["reason"], world.update["waiting"]) == ("Stopped", ["cpu"])


async def test_a_newer_word_waits_until_what_has_begun_is_through(world: World) -> None:
    """Cluster API takes no other version before: to call it off would only leave it unwatched."""
    world.releases(release("v1.36.4"))
    await world.look()
    world.spec(version="v1.36.4")
    await world.look()
    assert world.update["target"] == ASKED
    assert "v1.36.4, which spec.version asks for, comes when this is through" in world.update["message"]
    for versions in ({"cpu": OLD}, {"cpu": ASKED}):
        world.machines(ASKED, versions)
        await world.settle(4)
    await world.look()
    assert world.update["target"] == "v1.36.4"
    assert [e for e in world.told() if e != "UpdateAnnounced"] == ["UpdateBegun", "Updated", "UpdateBegun"]


@pytest.mark.parametrize("asked", [ASKED, "v1.36.4"])
async def test_an_update_that_is_held_goes_on_when_a_person_waits_for_it(world: World, asked: str) -> None:
    world.releases(release("v1.36.4", regular="2027-12-01"))
    world.spec(version="1.36")
    world.clock.time = at("2027-01-05 22:00")
    await world.look()
    world.clock.time = at("2027-01-06 12:00")
    world.machines(ASKED, {"cpu": OLD})
    await world.settle(3)
    assert (world.step("Pool/cpu")["state"], "hold" in world.update) == ("Held", True)
    world.spec(version=asked)
    await world.settle(3)
    goes_on = asked != ASKED  # the control plane runs that already: no newer word, so the window counts
    assert (world.step("Pool/cpu")["state"] == "Running") is goes_on
    said = world.update.get("forcedFrom")
    await world.settle(2)
    assert (said is not None, world.update.get("forcedFrom")) == (goes_on, said)


async def test_one_that_has_stopped_stays_so(world: World) -> None:
    """Nothing goes on before a person says so, and its pools are held as they were."""
    world.releases(release("v1.36.4"))
    await world.look()
    world.checks.verdicts["ControlPlane"] = Verdict(False, "etcd has no leader", ("EtcdHealth",))
    world.machines(ASKED, {"cpu": OLD})
    await world.settle(3)
    world.spec(version="v1.36.4")
    await world.settle(3)
    assert (world.update["reason"], world.update["target"], world.update["waiting"]) == ("Stopped", ASKED, ["cpu"])
    assert "v1.36.4, which spec.version asks for, comes when this is through" in world.update["message"]


async def test_a_release_that_comes_later_is_no_new_word(world: World) -> None:
    world.releases(release("v1.37.0"))
    world.spec(version="1.37")
    await world.look()
    assert world.update["target"] == "v1.37.0"
    world.releases(release("v1.37.1"))
    await world.settle(3)
    assert (world.update["target"], world.step("ControlPlane")["state"]) == ("v1.37.0", "Running")
    assert "comes when this is through" not in world.update["message"]


async def test_what_no_machine_works_in_is_replaced_all_the_same(world: World) -> None:
    await world.look()
    world.machines(ASKED, {"cpu": OLD})
    pools = [{**p, "ready": 0} for p in world.cluster["status"]["nodePools"]]
    world.change(nodePools=pools)
    await world.settle(4)
    assert world.step("Pool/cpu")["state"] == "Running"


UNREADABLE = {**raw_release("v1.36.4"), "spec": {"version": "v1.36.4", "image": "x", "expires": "never"}}


@pytest.mark.parametrize(("asked", "reason"), [("v1.36.3", "VersionChanged"), ("v1.36.4", "ReleaseUnreadable")])
async def test_what_cannot_be_read_counts_here_too(world: World, asked: str, reason: str) -> None:
    world.releases(UNREADABLE)
    world.spec(version=asked)
    await world.look()
    assert world.update["reason"] == reason


async def test_a_pool_that_was_called_off_in_the_middle_comes_first(world: World) -> None:
    """Cluster API takes no other version before: a pool that were held now would wait for ever."""
    pool(world, topology=OLD, deployment=OLD, machine="v1.36.0")
    await world.look()
    assert ("target" in world.update, world.checks.calls) == (False, [])
    assert "what was called off before is through in pool cpu" in world.update["message"]
    pool(world, topology=OLD, deployment=OLD, machine=OLD)
    await world.look()
    assert world.update["target"] == ASKED


async def test_a_controller_that_begins_anew_goes_on_with_it(world: World) -> None:
    await world.look()
    world.start()
    world.machines(ASKED, {"cpu": OLD})
    await world.settle(4)
    assert (world.update["reason"], world.step("Pool/cpu")["state"]) == ("VersionChanged", "Running")
