"""Why has this Cluster not been updated? In each situation the answer names the obstacle that is really there.

The status is what the real reconciler has written, the obstacle is put there as it comes to be: nothing is made up.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_UPDATE_POOLS, ANNOTATION_UPDATES_PAUSED
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.updates import layers
from kaas.updates.explain.facts import Explanation, State
from kaas.updates.explain.why import explain
from kaas.updates.facts import Aims, Change, Turn
from kaas.updates.ledger.advance import Ledger, Progress, advance
from kaas.updates.ledger.seen import Part, Seen, Window
from kaas.updates.ledger.steps import begin
from kaas.updates.planner import Subject, moment
from kaas.updates.run import Finding, Severity, Verdict
from kaas.updates.standing import running_of
from tests.unit.updates.office import KEY, World, release
from tests.unit.updates.subjects import NOW, READY, TUESDAYS, at, raw_release, raw_site, version

OPEN, SHUT = at("2027-01-05 22:00"), at("2027-01-06 02:00")
NOT_READY = {**READY, "status": "False", "reason": "NotAvailable"}


@pytest.fixture(name="world")
def new_world() -> World:
    world = World()
    world.releases(release("v1.36.1"), release("v1.36.3"))
    return world


def subject(world: World, turn: Turn | None = None) -> tuple[Subject, str]:
    """The Cluster as it stands, and what is wrong with its maintenance."""
    cluster = Cluster.model_validate(world.cluster)
    site = Site.model_validate(world.index.get(resources.SITE, None, "north"))
    releases = [Release.model_validate(r) for r in world.index.list(resources.RELEASE)]
    calendar, problem = layers.calendar(cluster, world.index.get(resources.NAMESPACE, None, KEY[0]), site)
    return Subject.of(cluster, running_of(cluster), releases, site, calendar, turn), problem


def why(world: World, turn: Turn | None = None) -> Explanation:
    about, problem = subject(world, turn)
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
    assert (found.state, found.reason) == (State.WAITS, "VersionChanged")
    assert "done at once" in found.answer


async def test_what_a_person_asked_for_waits_for_the_cloud(world: World) -> None:
    world.spec(version="v1.36.3")
    step = {
        "id": "cluster",
        "reason": "change the version",
        "waitsFor": "there is no image 'ubuntu-v1.36.3'; upload it",
    }
    cause = {**NOT_READY, "message": "Accepted: there is no image 'ubuntu-v1.36.3'"}
    world.change(plan=[step], conditions=[cause])
    found = await looked_at(world)
    assert (found.state, found.reason) == (State.BLOCKED, "VersionChanged")
    assert "it waits for this: there is no image 'ubuntu-v1.36.3'; upload it" in found.answer
    assert "Accepted: there is no image" in words(found)
    assert "kaas status team -n tenants" in words(found)


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
    image, budgets = (w.message for w in found.ways)
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


# --- an update that is under way ----------------------------------------------------------------------------------

OLD = Part(desired=1, machines=1, new=0, ready=0, well=1)
NEW = Part(desired=1, machines=1, new=1, ready=1, well=1)
BUSY = Part(desired=3, machines=4, new=1, ready=1, well=3)
WELL = ("ControlPlane", Verdict(True, "all is well"))
CLOSED = Window(False, OPEN + timedelta(days=7))


async def under_way(world: World, *seen: Seen) -> Explanation:
    """The update has begun in its window; the real ledger has seen this, minute by minute."""
    await looked_at(world, OPEN)
    assert world.update["target"] == "v1.36.3"
    ledger = Ledger(begin(Aims(version("v1.36.3"), (Change.PATCH,)), seen[0].pools, OPEN))
    progress = Progress(ledger)
    for minute, each in enumerate(seen, start=1):
        world.clock.time = OPEN + timedelta(minutes=minute)
        progress = advance(progress.ledger, each, world.clock.time)
    found = progress.ledger
    told = {"steps": [s.to_json() for s in found.steps], "waiting": list(progress.waiting)}
    told |= {"stopped": found.stopped.to_json()} if found.stopped else {}
    playing(world, **told, **({"hold": found.hold.to_json()} if found.hold else {}))
    return why(world)


def seen(control_plane: Part = NEW, **more: Any) -> Seen:
    pools = more.pop("pools", {"cpu": OLD})
    return Seen("v1.36.3", control_plane, pools, **{"verdict": WELL, **more})


async def test_which_step_since_when(world: World) -> None:
    found = await under_way(world, seen(BUSY), seen(BUSY))
    assert (found.state, found.reason, found.version) == (State.UNDER_WAY, "UnderWay", "v1.36.3")
    assert found.answer.startswith(
        "it is being updated to v1.36.3: step ControlPlane since 2027-01-05 22:01 UTC: 1 of 3"
    )
    assert "Preflight: 2027-01-05 22:00 UTC" in words(found)
    assert found.coming[-1].message == "then Pool/cpu, AddOns, Verification, Finished"


async def test_its_window_closed_in_the_middle(world: World) -> None:
    pools = {"a": OLD, "b": OLD}
    found = await under_way(world, seen(pools=pools), seen(window=CLOSED, pools=pools))
    assert (found.state, found.reason) == (State.WAITS, "WindowClosed")
    assert "pool a, b waits until 2027-01-12 22:00 UTC" in found.answer
    assert "pools a, b wait: not to begin yet" in words(found)
    assert found.coming[0].at == OPEN + timedelta(days=7)


async def test_a_pool_is_held_by_a_repair(world: World) -> None:
    found = await under_way(world, seen(), seen(pools={"cpu": replace(OLD, repairs=1)}))
    assert (found.state, found.reason) == (State.WAITS, "RepairInFlight")
    assert "held at step Pool/cpu: 1 of its machines under repair" in found.answer
    assert "pool cpu waits: not to begin yet" in words(found)


async def test_updates_are_paused_in_the_middle(world: World) -> None:
    await under_way(world, seen(), seen(paused="launch"))
    annotate(world, **{ANNOTATION_UPDATES_PAUSED.replace("/", "__"): "launch"})
    found = why(world)
    assert (found.state, found.reason) == (State.BLOCKED, "Paused")
    assert "held at step Pool/cpu: launch" in found.answer
    assert f"{ANNOTATION_UPDATES_PAUSED}-" in words(found)


async def test_a_manual_pool_waits_for_a_person(world: World) -> None:
    found = await under_way(world, seen(), seen(pools={"cpu": replace(OLD, manual=True)}))
    assert (found.state, found.reason) == (State.BLOCKED, "WaitsForPerson")
    assert "pool cpu is updated only when a person says so" in found.answer
    assert "kubectl annotate clusters.kaas.internal team -n tenants kaas.internal/update-pools=cpu" in words(found)
    annotate(world, **{ANNOTATION_UPDATE_POOLS.replace("/", "__"): "dgx"})
    assert "kaas.internal/update-pools='dgx,cpu' --overwrite" in words(why(world))


async def test_a_manual_pool_is_the_answer_only_when_nothing_else_goes_on(world: World) -> None:
    pools = {"by-hand": replace(OLD, manual=True), "cpu": BUSY}
    found = await under_way(world, seen(pools=pools), seen(pools=pools))
    assert (found.state, found.reason) == (State.UNDER_WAY, "UnderWay")
    assert "step Pool/cpu since" in found.answer


async def test_a_manual_pool_that_a_person_let_go(world: World) -> None:
    pools = {"cpu": replace(OLD, manual=True)}
    found = await under_way(world, seen(pools=pools), seen(pools=pools, released=frozenset({"cpu"})))
    assert (found.state, found.reason) == (State.UNDER_WAY, "UnderWay")


async def test_stopped_until_a_person_acts(world: World) -> None:
    ill = Verdict(False, "node cp-1 is not Ready at v1.36.3", ("NodesReady",))
    found = await under_way(world, seen(OLD), seen(verdict=("ControlPlane", ill)))
    assert (found.state, found.reason) == (State.BLOCKED, "Stopped")
    assert found.answer.startswith(
        "the update to v1.36.3 stopped at step ControlPlane 2027-01-05 22:02 UTC: NodesReady"
    )
    assert "node cp-1 is not Ready" in found.answer
    assert found.because[0].reason == "VerificationFailed"
    assert "kaas.internal/update-retry='<reason>' --overwrite" in words(found)


async def test_an_update_without_steps_is_under_way_all_the_same(world: World) -> None:
    await looked_at(world, OPEN)
    playing(world, steps=[])
    found = why(world)
    assert (found.state, found.reason) == (State.UNDER_WAY, "UnderWay")
    assert "it was begun 2027-01-05 22:00 UTC" in words(found)
