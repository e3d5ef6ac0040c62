"""Why has this Cluster not been updated? In each situation the answer names the obstacle that is really there.

The status is what the real reconciler has written, the obstacle is put there as it comes to be: nothing is made up.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from kaas.api.constants import ANNOTATION_UPDATES_PAUSED
from kaas.kube.objects import Object
from kaas.updates.explain.facts import State
from kaas.updates.planner import moment
from kaas.updates.run import Finding, Severity
from tests.unit.updates.explaining import NOT_READY, OPEN, a_world, annotate, looked_at, why, words
from tests.unit.updates.office import World, release
from tests.unit.updates.subjects import NOW, TUESDAYS, at, raw_release, raw_site


@pytest.fixture(name="world")
def new_world() -> World:
    return a_world()


# --- nothing is to come -------------------------------------------------------------------------------------------


async def test_up_to_date() -> None:
    world = World()
    world.releases(release("v1.36.1"))
    found = await looked_at(world)
    assert (found.state, found.reason, found.version) == (State.CURRENT, "UpToDate", None)
    assert found.ways == ()


async def test_pinned(world: World) -> None:
    world.spec(version="v1.36.1")
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "Pinned")
    assert "spec.version v1.36.1 pins the Cluster" in found.answer
    assert "without that it would be brought to v1.36.3" in words(found)
    assert 'set spec.version to "1.36"' in words(found)


async def test_a_pinned_cluster_whose_version_expires_is_told_when(world: World) -> None:
    world.spec(version="v1.36.1")
    world.put(release("v1.36.1", expires="2027-03-01"))
    found = await looked_at(world)
    assert found.reason == "Pinned"
    assert (found.coming[0].at, found.coming[0].message.split()[0]) == (at("2027-01-30 00:00"), "Warning")


@pytest.mark.parametrize(
    ("updates", "reason", "way"),
    [
        ({"channel": "None"}, "ChannelNone", "set spec.updates.channel to"),
        ({"kubernetes": "None"}, "KubernetesNone", "set spec.updates.kubernetes to"),
    ],
)
async def test_its_owner_wants_none(world: World, updates: Object, reason: str, way: str) -> None:
    world.spec(updates=updates)
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, reason)
    assert "would be brought to v1.36.3" in words(found)
    assert way in words(found)


async def test_not_yet_in_its_channel() -> None:
    world = World()
    world.releases(release("v1.36.1"), raw_release("v1.36.3", "2027-02-02", rapid="2027-01-01"))
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.WAITS, "NotInChannel")
    assert "v1.36.3 is in Regular from 2027-02-02 on" in found.answer
    assert found.coming[0].at == at("2027-02-02 22:00")


async def test_only_a_preview_is_newer() -> None:
    world = World()
    early = raw_release("v1.36.3", None)
    early["spec"]["channels"] = {"rapid": "2027-02-02T00:00:00Z"}
    world.releases(release("v1.36.1"), early)
    found = await looked_at(world)
    assert (found.state, found.reason, found.decided) == (State.CURRENT, "PreviewOnly", "UpToDate")
    assert "v1.36.3 is a preview" in found.answer
    assert "exactly that version" in words(found)


async def test_the_site_supports_no_newer_minor(world: World) -> None:
    world.put(raw_site(updates={"maxVersion": "1.36"}))
    world.put(release("v1.37.0"))
    world.spec(updates={"kubernetes": "Minor"})
    world.change(version="v1.36.3")
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "SiteLimit")
    assert "would be brought to v1.37.0" in words(found)
    assert "kubectl edit sites.kaas.internal north" in words(found)


async def test_expired_and_stranded() -> None:
    world = World()
    world.releases(release("v1.36.1", expires="2027-01-01"))
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "ExpiredWithoutNext")
    assert "no Release of 1.36 or 1.37" in found.answer
    assert "add a Release" in words(found)


async def test_a_person_has_asked_for_something_newer(world: World) -> None:
    world.spec(version="v1.36.3")
    found = await looked_at(world)
    assert (found.state, found.version) == (State.UNDER_WAY, "v1.36.3")
    assert "v1.36.3" in found.answer


async def test_what_a_person_asked_for_waits_for_the_cloud(world: World) -> None:
    world.spec(version="v1.36.3")
    world.checks.findings = (Finding("ImageActive", Severity.BLOCK, "there is no image 'ubuntu-v1.36.3': upload it"),)
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "PreflightBlocks")
    assert "there is no image 'ubuntu-v1.36.3': upload it" in found.answer
    assert "maintenance window" not in words(found)
    assert "to have it at once" not in words(found)


@pytest.mark.parametrize(("asked", "way_out"), [("1.38", "ask for 1.37 first"), ("v1.36.9", "add a Release")])
async def test_what_a_person_cannot_have(world: World, asked: str, way_out: str) -> None:
    world.releases(release("v1.38.0"))
    world.spec(version=asked)
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "VersionChanged")
    assert way_out in found.answer
    assert "set spec.version to" in words(found)


async def test_no_control_plane_runs(world: World) -> None:
    world.change(version=None)
    found = await looked_at(world)
    assert (found.state, found.reason, found.running) == (State.WAITS, "NotRunning", None)


# --- it waits for its time ----------------------------------------------------------------------------------------


async def test_outside_of_its_window(world: World) -> None:
    found = await looked_at(world)
    assert (found.state, found.reason, found.version) == (State.WAITS, "OutsideMaintenance", "v1.36.3")
    assert [c.at for c in found.coming] == [OPEN]
    assert "opens 2027-01-05 22:00 UTC (spec.maintenance of the Cluster)" in words(found)
    assert "set spec.version to v1.36.3" in words(found)


async def test_who_has_set_no_window_is_told_which_it_has(world: World) -> None:
    world.spec(maintenance={})
    assert "nobody has set a window" in words(await looked_at(world))
    world.put(raw_site(maintenance={"windows": [TUESDAYS]}))
    assert "spec.maintenance of Site north" in words(await looked_at(world))
    world.namespace(f"windows: [{TUESDAYS | {'start': '21:00'}}]")
    assert "21:00 UTC (the annotation of Namespace tenants)" in words(await looked_at(world))


async def test_an_exclusion(world: World) -> None:
    exclusion = {"from": "2027-01-01T00:00:00Z", "until": "2027-01-07T00:00:00Z", "reason": "year's end"}
    world.put(raw_site(maintenance={"exclusions": [exclusion]}))
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.WAITS, "Excluded")
    assert "until 2027-01-07 00:00 UTC (year's end)" in found.answer
    assert "year's end (spec.maintenance of Site north)" in words(found)
    assert found.coming[0].at == at("2027-01-12 22:00")


async def test_an_exclusion_that_has_not_begun(world: World) -> None:
    exclusion = {"from": "2027-01-05T00:00:00Z", "until": "2027-01-07T00:00:00Z", "reason": "quarter end"}
    world.put(raw_site(maintenance={"exclusions": [exclusion]}))
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.WAITS, "Excluded")
    because = "changes are left out from 2027-01-05 00:00 UTC until 2027-01-07 00:00 UTC: quarter end"
    assert f"{because} (spec.maintenance of Site north)" in words(found)
    assert "end the exclusion earlier" in words(found)


async def test_too_soon_after_the_last_update(world: World) -> None:
    world.spec(maintenance={"windows": [{**TUESDAYS, "recurrence": "FREQ=DAILY", "durationMinutes": 1440}]})
    began = NOW - timedelta(hours=5)
    world.change(update={"target": "v1.36.1", "began": began.isoformat()})
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.WAITS, "TooSoon")
    assert "less than 24 hours ago" in found.answer
    assert found.coming[0].at == began + timedelta(hours=24)


async def test_no_window_is_ever_left(world: World) -> None:
    exclusion = {"from": "2027-01-01T00:00:00Z", "until": "2029-01-07T00:00:00Z", "reason": "frozen"}
    world.spec(maintenance={"windows": [TUESDAYS], "exclusions": [exclusion]})
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "NoMaintenanceWindow")
    assert "frozen (spec.maintenance of the Cluster)" in words(found)
    assert "change spec.maintenance" in words(found)


async def test_maintenance_that_nobody_can_read(world: World) -> None:
    world.namespace("windows: [")
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "MaintenanceInvalid")
    assert "Namespace 'tenants'" in found.answer


async def test_maintenance_that_nobody_can_read_does_not_keep_what_has_expired(world: World) -> None:
    world.namespace("windows: [")
    world.put(release("v1.36.1", expires="2027-01-01"))
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.WAITS, "MaintenanceInvalid")
    assert [c.at for c in found.coming] == [at("2027-02-10 12:00")]  # 30 days after it was announced, and seven more
    assert "correct what the message names" in words(found)


async def test_an_expired_version_is_left_against_the_spec(world: World) -> None:
    world.spec(version="v1.36.1")
    world.put(release("v1.36.1", expires="2027-01-01"))
    found = await looked_at(world)
    assert (found.state, found.reason, found.version) == (State.WAITS, "Expired", "v1.36.3")
    assert found.coming[0].at == at("2027-02-09 22:00")


# --- something is in its way --------------------------------------------------------------------------------------


async def test_not_ready_with_the_deepest_cause(world: World) -> None:
    cause = "WorkersReady: OpenStackServer dgx-1: Nova: No valid host was found"
    below = {**NOT_READY, "type": "WorkersReady", "message": "1 of 2 machines is not there"}
    world.change(conditions=[{**NOT_READY, "message": cause}, below])
    found = await looked_at(world, OPEN)
    assert (found.state, found.reason) == (State.BLOCKED, "NotReady")
    assert cause in found.answer
    assert "WorkersReady: 1 of 2 machines is not there" in words(found)
    assert "kaas status team -n tenants" in words(found)


async def test_a_fault_that_only_matters_later_is_told_beside_the_window(world: World) -> None:
    world.change(conditions=[{**NOT_READY, "message": "etcd has lost a member"}])
    found = await looked_at(world)
    assert found.reason == "OutsideMaintenance"
    assert "as long as this holds: the Cluster is not Ready: etcd has lost a member" in words(found)


async def test_a_repair_goes_first(world: World) -> None:
    pools = [{"name": "cpu", "inFlight": 1, "unhealthy": 1}]
    world.change(repair={"unhealthy": 1, "inFlight": 1, "quarantined": 0, "pools": pools})
    found = await looked_at(world, OPEN)
    assert (found.state, found.reason) == (State.WAITS, "RepairInFlight")
    assert "a repair is under way in pool cpu" in found.answer
    assert "kaas repair status" in words(found)


@pytest.mark.parametrize("when", [NOW, OPEN])
@pytest.mark.parametrize("annotation", [ANNOTATION_UPDATES_PAUSED, "cluster.x-k8s.io/paused"])
async def test_a_pause_is_the_answer_whatever_the_window(world: World, when: datetime, annotation: str) -> None:
    annotate(world, **{annotation.replace("/", "__"): "launch"})
    found = await looked_at(world, when)
    assert (found.state, found.reason) == (State.BLOCKED, "Paused")
    assert f"kubectl annotate clusters.kaas.internal team -n tenants {annotation}-" in words(found)


FOUND = (
    Finding("ImageActive", Severity.BLOCK, "image ubuntu-v1.36.3 is not there"),
    Finding("Webhooks", Severity.WARN, "a webhook matches leases"),
    Finding("DisruptionBudgets", Severity.BLOCK, "shop/db can never be met"),
    Finding("EtcdHealth", Severity.BLOCK, "one is gone", "known, INC-7"),
)


@pytest.mark.parametrize("when", [OPEN - timedelta(hours=20), OPEN])
async def test_checks_before_the_update_block_it(world: World, when: datetime) -> None:
    world.checks.findings = FOUND
    found = await looked_at(world, when)
    assert (found.state, found.reason) == (State.BLOCKED, "PreflightBlocks")
    assert "2 checks before the update failed: image ubuntu-v1.36.3 is not there" in found.answer
    assert f"looked at {moment(when)}" in words(found)
    blocking = [b.reason for b in found.because if b.reason in {f.check for f in FOUND}]
    assert blocking == ["ImageActive", "DisruptionBudgets"]
    image, budgets, _again = (w.message for w in found.ways)
    assert image == "ImageActive: remove what it has found; nobody can do without this check"
    assert "spec.updates.preflight.overrides: {check: DisruptionBudgets, reason: <why>}" in budgets


async def test_what_has_come_since_the_checks_is_named_before_what_they_found(world: World) -> None:
    world.checks.findings = FOUND
    await looked_at(world, OPEN - timedelta(hours=20))
    world.change(conditions=[{**NOT_READY, "message": "etcd has lost a member"}])
    world.clock.time = OPEN
    found = why(world)
    assert (found.state, found.reason) == (State.BLOCKED, "NotReady")
    assert "shop/db can never be met" in words(found)


async def test_what_blocked_another_update_blocks_no_more(world: World) -> None:
    world.checks.findings = FOUND
    await looked_at(world, OPEN - timedelta(hours=20))
    world.put(release("v1.36.4"))
    assert why(world).reason == "OutsideMaintenance"


async def test_warnings_block_nothing(world: World) -> None:
    world.checks.findings = FOUND[1:2]
    assert (await looked_at(world, OPEN - timedelta(hours=20))).reason == "OutsideMaintenance"


async def test_about_to_begin(world: World) -> None:
    world.checks.measured = False
    found = await looked_at(world, OPEN)
    assert (found.state, found.reason) == (State.WAITS, "Preflight")
    assert "v1.36.3 is about to begin" in found.answer


async def test_deleting(world: World) -> None:
    await looked_at(world)
    meta = {**world.cluster["metadata"], "deletionTimestamp": NOW.isoformat(), "finalizers": ["kaas.internal/cluster"]}
    world.put({**world.cluster, "metadata": meta})
    found = why(world)
    assert (found.state, found.reason) == (State.BLOCKED, "Deleting")


# --- the controller -----------------------------------------------------------------------------------------------


def test_nobody_has_looked_at_it(world: World) -> None:
    found = why(world)
    assert (found.state, found.reason, found.decided) == (State.UNKNOWN, "NotLookedAt", "OutsideMaintenance")
    assert "is `kaas controller` running?" in found.answer


async def test_its_spec_is_newer_than_its_status(world: World) -> None:
    await looked_at(world)
    world.change(observedGeneration=1)
    world.put({**world.cluster, "metadata": {**world.cluster["metadata"], "generation": 2}})
    found = why(world)
    assert (found.state, found.reason) == (State.UNKNOWN, "NotLookedAt")
    assert "latest change of its spec" in found.answer
    world.change(observedGeneration=2)
    assert why(world).reason == "OutsideMaintenance"


async def test_its_window_is_open_and_nobody_begins(world: World) -> None:
    await looked_at(world)
    world.clock.time = OPEN + timedelta(minutes=5)
    found = why(world)
    assert (found.state, found.reason, found.version) == (State.UNKNOWN, "NotLookedAt", "v1.36.3")
    assert "is due now" in found.answer
