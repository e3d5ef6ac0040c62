"""Updates from step to step, as the reconciler writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kaas.api.constants import (
    ANNOTATION_UPDATE_POOLS,
    ANNOTATION_UPDATE_RETRY,
    ANNOTATION_UPDATES_PAUSED,
)
from kaas.updates.run import Verdict
from tests.unit.updates.conducting import annotate, begun, due, states
from tests.unit.updates.office import KEY, World, release
from tests.unit.updates.subjects import TUESDAYS, at


@pytest.fixture(name="world")
def new_world() -> World:
    return due()


async def test_no_machine_is_begun_while_what_a_namespace_says_cannot_be_read(world: World) -> None:
    await begun(world)
    world.change(version="v1.36.3")
    world.namespace("exclusions: [")
    await world.settle(4)
    assert (states(world)["ControlPlane"], states(world)["Pool/cpu"]) == ("Done", "Held")
    assert world.update["waiting"] == ["cpu"]
    assert "no window is in sight" in world.update["hold"]["message"]
    assert "Namespace 'tenants': annotation kaas.internal/maintenance" in world.update["message"]
    world.namespace("exclusions: []")
    await world.look()
    assert states(world)["Pool/cpu"] == "Running"


async def test_it_goes_on_when_for_a_while_nothing_is_known_of_the_control_plane(world: World) -> None:
    await begun(world)
    world.change(version="v1.36.3")
    world.clock.time = at("2027-01-06 02:00")  # the window has closed
    await world.settle(4)
    assert states(world)["Pool/cpu"] == "Held"
    before = world.update
    world.told()
    world.put({**world.cluster, "status": {k: v for k, v in world.cluster["status"].items() if k != "version"}})
    await world.look()
    told = ("target", "image", "waiting", "hold", "steps")
    assert {k: world.update[k] for k in told} == {k: before[k] for k in told}
    world.change(version="v1.36.3")
    await world.look()
    assert {k: world.update[k] for k in told} == {k: before[k] for k in told}
    assert world.told() == []


async def test_what_is_held_says_when_the_next_machine_is_begun(world: World) -> None:
    kept = {"from": "2027-01-08T00:00:00Z", "until": "2027-01-21T00:00:00Z", "scope": "Minor", "reason": "fair"}
    world.spec(maintenance={"windows": [TUESDAYS], "exclusions": [kept]}, updates={"kubernetes": "Minor"})
    world.releases(release("v1.37.0"))
    world.put({**release("v1.36.3"), "spec": release("v1.36.1")["spec"]})
    await world.look()
    assert (world.update["target"], "nextTime" in world.update) == ("v1.37.0", False)
    world.machines("v1.37.0", {"cpu": "v1.36.1"})
    world.clock.time = at("2027-01-06 02:00")  # the window has closed
    await world.settle(4)
    assert world.update["hold"]["until"] == world.update["nextTime"] == "2027-01-26T22:00:00Z"
    assert world.update["nextMaintenance"]["start"] == "2027-01-26T22:00:00Z"  # patches could be begun earlier
    of = {"namespace": KEY[0], "cluster": KEY[1]}
    figure = world.registry.get_sample_value
    assert figure("kaas_update_next_timestamp_seconds", of) == at("2027-01-26 22:00").timestamp()
    world.clock.time = at("2027-01-26 22:00")
    await world.look()
    assert figure("kaas_update_next_timestamp_seconds", of) is None


ENDS = release("v1.36.1", expires="2027-01-01")


def announced(world: World, *exclusions: tuple[str, str]) -> None:
    """That what runs expires was said long ago, and there are exclusions, each from and until when."""
    kept = [{"from": f"{a}:00Z", "until": f"{b}:00Z", "reason": "trade fair"} for a, b in exclusions]
    world.releases(ENDS)
    world.spec(maintenance={"windows": [TUESDAYS], "exclusions": kept})
    world.change(update={"announced": {"version": "v1.36.1", "first": "2026-12-01T00:00:00Z", "daysBefore": 1}})


async def plane_done(world: World) -> None:
    """It has begun, and machines of the control plane are new."""
    await world.look()
    assert world.step("Announced")["reason"] == world.update["reason"] == "Expired"
    world.machines("v1.36.3", {"cpu": "v1.36.1"})


async def test_what_has_expired_and_begins_in_a_window_is_held_when_that_closes(world: World) -> None:
    announced(world, ("2027-01-06T02:00", "2027-01-07T00:00"))
    await plane_done(world)
    assert world.update["forcedFrom"] == "2027-01-08T00:00:00Z"  # seven days after its end
    world.clock.time = at("2027-01-06 09:00")
    await world.settle(6)
    assert (states(world)["Pool/cpu"], world.update["waiting"]) == ("Held", ["cpu"])
    assert world.update["reason"] == "Expired"  # what it is stays so: a pinned Cluster is brought there too
    assert world.update["hold"]["until"] == "2027-01-08T00:00:00Z"  # before the next window opens
    world.clock.time = at("2027-01-08 00:00")
    await world.settle(4)
    assert (states(world)["Pool/cpu"], "hold" in world.update) == ("Running", False)


async def test_what_has_expired_goes_on_in_the_next_window_while_its_days_are_not_over(world: World) -> None:
    world.releases(ENDS)  # it is announced when it begins, which its channel brings
    await plane_done(world)
    assert world.update["forcedFrom"] == "2027-02-11T22:00:00Z"
    world.clock.time = at("2027-01-06 02:00")
    await world.settle(4)
    assert (states(world)["Pool/cpu"], world.update["hold"]["until"]) == ("Held", "2027-01-12T22:00:00Z")
    world.clock.time = at("2027-01-12 22:00")
    await world.settle(4)
    assert states(world)["Pool/cpu"] == "Running"


async def test_one_that_an_older_kaas_began_waits_for_no_window(world: World) -> None:
    world.releases(ENDS)
    await plane_done(world)
    world.change(update={k: v for k, v in world.update.items() if k != "forcedFrom"})
    world.start()
    world.clock.time = at("2027-01-06 09:00")
    await world.settle(6)
    assert states(world)["Pool/cpu"] == "Running"


async def test_what_has_expired_waits_for_no_window_after_it_has_stopped_either(world: World) -> None:
    announced(world, ("2027-01-01T00:00", "2027-03-01T00:00"))
    world.clock.time = at("2027-01-08 00:00")  # it has waited for seven days
    await world.look()
    assert world.step("Announced")["reason"] == world.update["reason"] == "Expired"
    world.change(version="v1.36.3")
    world.checks.verdicts["ControlPlane"] = Verdict(False, "it is not well", ("NodesReady",))
    await world.settle(3)
    assert world.update["reason"] == "Stopped"
    world.checks.verdicts.clear()
    world.clock.time = at("2027-01-08 12:00")
    annotate(world, ANNOTATION_UPDATE_RETRY, "put right")
    await world.settle(4)
    assert (states(world)["Pool/cpu"], world.update["reason"]) == ("Running", "Expired")


async def test_step_by_step_to_its_end(world: World) -> None:
    await begun(world)
    world.change(version="v1.36.3")
    await world.settle(3)
    assert (states(world)["ControlPlane"], states(world)["Pool/cpu"]) == ("Done", "Running")
    assert "waiting" not in world.update
    world.machines("v1.36.3")
    await world.settle()
    assert world.checks.calls == ["ControlPlane", "Pool/cpu", "Verification"]
    assert states(world)["Finished"] == "Done"
    assert world.told() == ["Updated"]
    assert (world.condition["status"], world.update["reason"]) == ("True", "UpToDate")
    assert world.checks.watched == set()
    assert world.update["availability"]["longestGapMilliseconds"] == 500
    figures = world.registry.get_sample_value
    assert figures("kaas_update_ended_total", {"how": "Done"}) == 1.0
    assert figures("kaas_update_api_gap_seconds_sum") == 0.5
    writes = len(world.writes)
    await world.settle()
    assert len(world.writes) == writes


async def test_how_the_api_server_answers_is_written_once_a_minute(world: World) -> None:
    await begun(world)
    for _ in range(30):
        await world.look()
        world.clock.time += timedelta(seconds=10)
    told = [s["update"]["availability"]["probes"] for _, s in world.writes if "availability" in s["update"]]
    assert len(set(told)) == 5


async def test_a_verification_that_fails_stops_it_and_a_person_has_it_tried_again(world: World) -> None:
    await begun(world)
    world.checks.verdicts["ControlPlane"] = Verdict(False, "etcd has no leader", ("EtcdHealth",))
    world.change(version="v1.36.3")
    await world.settle(3)
    assert world.told() == ["UpdateStopped"]
    figures = world.registry.get_sample_value
    assert figures("kaas_update_stops_total", {"reason": "VerificationFailed"}) == 1.0
    assert figures("kaas_update_clusters", {"state": "Stopped"}) == 1.0
    assert (world.update["stopped"]["step"], world.update["reason"]) == ("ControlPlane", "Stopped")
    assert world.update["waiting"] == ["cpu"]
    world.checks.verdicts.clear()
    world.clock.time += timedelta(days=9)
    await world.look()
    assert "stopped" in world.update
    annotate(world, ANNOTATION_UPDATE_RETRY, "etcd was compacted")
    await world.look()
    assert "stopped" not in world.update
    assert world.update["retried"]["reason"] == "etcd was compacted"
    assert world.told() == ["UpdateRetried"]


@pytest.mark.parametrize("is_known", [False, True])
async def test_what_a_person_said_before_an_update_has_it_not_tried_again(world: World, is_known: bool) -> None:
    annotate(world, ANNOTATION_UPDATE_RETRY, "mended last month")
    if is_known:
        world.change(update={"retried": {"since": "2026-12-01T00:00:00Z", "reason": "mended last month"}})
    await begun(world)
    world.checks.verdicts["ControlPlane"] = Verdict(False, "etcd has no leader", ("EtcdHealth",))
    world.change(version="v1.36.3")
    await world.settle(5)
    assert "stopped" in world.update
    assert "UpdateRetried" not in world.told()
    annotate(world, ANNOTATION_UPDATE_RETRY, "mended now")
    await world.look()
    assert "stopped" not in world.update


async def test_updates_that_are_paused_in_the_middle_begin_no_further_pool(world: World) -> None:
    await begun(world)
    annotate(world, ANNOTATION_UPDATES_PAUSED, "an audit")
    world.change(version="v1.36.3")
    await world.settle(3)
    assert (states(world)["Pool/cpu"], world.update["waiting"]) == ("Held", ["cpu"])
    annotate(world, ANNOTATION_UPDATES_PAUSED, None)
    await world.look()
    assert states(world)["Pool/cpu"] == "Running"


async def test_a_pool_that_is_updated_by_hand(world: World) -> None:
    pool = {"name": "cpu", "flavor": "cpu-4", "update": {"strategy": "Manual"}}
    world.spec(nodePools=[pool])
    await begun(world)
    world.change(version="v1.36.3")
    await world.settle(3)
    assert world.step("Pool/cpu")["reason"] == "WaitsForPerson"
    annotate(world, ANNOTATION_UPDATE_POOLS, "dgx, cpu")
    await world.look()
    assert states(world)["Pool/cpu"] == "Running"


async def test_who_asks_for_what_still_runs_calls_it_off(world: World) -> None:
    await begun(world)
    world.spec(version="v1.36.1")
    await world.look()
    assert set(states(world).values()) == {"Done", "Skipped"}
    assert "waiting" not in world.update
    assert "target" not in world.update
    assert world.told()[0] == "UpdateCalledOff"


async def test_updates_that_are_switched_off_in_the_middle_end_what_has_begun(world: World) -> None:
    await begun(world)
    world.change(version="v1.36.3")
    world.spec(updates={"channel": "None"})
    await world.settle(3)
    assert states(world)["Pool/cpu"] == "Running"


async def test_a_control_plane_that_is_not_seen_for_a_moment_calls_nothing_off(world: World) -> None:
    await begun(world)
    world.change(version=None)
    await world.look()
    assert states(world)["ControlPlane"] == "Running"


async def test_a_cluster_that_is_deleted_is_not_asked_any_more(world: World) -> None:
    await begun(world)
    world.index.remove(world.cluster)
    await world.look()
    assert world.checks.watched == set()
