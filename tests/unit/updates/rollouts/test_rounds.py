"""Rounds of a Rollout: stages, limits and soaks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.rollout import ANNOTATION_ROLLOUT_RETRY
from kaas.api.rollout_status import State
from kaas.api.updates import Updates
from kaas.api.versions import KubernetesVersion
from kaas.updates.standing import Obstacle
from tests.unit.updates.rollouts.fleet import (
    HOUR,
    NEW,
    NOW,
    OLD,
    FakeCluster,
    Fleet,
    clusters,
    failing,
    names,
    rollout,
    stage,
    two_stages,
)

# --- stages -------------------------------------------------------------------------------------------------------


def test_a_later_stage_begins_when_the_one_before_it_is_through() -> None:
    fleet = two_stages(soakSeconds=7200)
    fleet.settle()
    assert fleet.states() == {"canary-0": "Running"}
    assert fleet.status.state is State.RUNNING
    fleet.go(HOUR)
    assert fleet.states() == {"canary-0": "Completed"}
    assert (fleet.status.state, fleet.status.reason) == (State.PENDING, "Soaking")
    assert fleet.status.next_time == NOW + 3 * HOUR
    fleet.go(HOUR)
    assert fleet.stage("prod").started is None
    fleet.go(HOUR)
    assert sorted(names(fleet.busy())) == ["prod-0", "prod-1"]
    fleet.until_state(State.COMPLETED)
    assert fleet.status.progress == "4 of 4"
    assert fleet.events[0] == "RolloutStarted"
    assert fleet.events[-1] == "RolloutCompleted"
    assert fleet.look().until is None


def test_the_list_is_fixed_when_the_stage_starts() -> None:
    fleet = two_stages()
    fleet.settle()
    late = FakeCluster("late", {"stage": "canary"})
    fleet.clusters += [late, FakeCluster("prod-9", {"stage": "prod"})]
    fleet.settle()
    turn = fleet.turn("late")
    assert turn is not None
    assert not turn.allowed
    assert "came after its stage had started" in turn.message
    fleet.until_state(State.COMPLETED)
    assert "late" not in fleet.states()
    assert fleet.states()["prod-9"] == "Completed"
    assert late.running == OLD


def test_a_cluster_belongs_to_the_first_stage_that_selects_it() -> None:
    fleet = Fleet(rollout(stage("canary"), {"name": "rest"}), [*clusters("canary", 1), *clusters("prod", 1)])
    fleet.until_state(State.COMPLETED)
    assert names(fleet.stage("canary").members) == ["canary-0"]
    assert names(fleet.stage("rest").members) == ["prod-0"]


def test_a_stage_without_clusters_is_through_without_soak() -> None:
    fleet = Fleet(rollout(stage("none", soakSeconds=86400), stage("prod")), clusters("prod", 1))
    fleet.settle()
    assert fleet.stage("none").state is State.COMPLETED
    assert fleet.states() == {"prod-0": "Running"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"asked": "v1.36.1"}, "Pinned"),
        ({"updates": Updates.model_validate({"channel": "None"})}, "ChannelNone"),
        ({"updates": Updates.model_validate({"kubernetes": "None"})}, "KubernetesNone"),
        ({"running": KubernetesVersion(35, 9), "asked": "1.35"}, "PatchOnly"),
        (
            {
                "running": KubernetesVersion(34, 9),
                "asked": "1.34",
                "updates": Updates.model_validate({"kubernetes": "Minor"}),
            },
            "TooFarBehind",
        ),
        ({"running": KubernetesVersion(36, 7)}, "RunsNewer"),
        ({"running": None}, "NotRunning"),
    ],
)
def test_who_cannot_be_brought_there_is_left_out(more: dict[str, Any], reason: str) -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1, **more))
    fleet.settle()
    assert (fleet.member("prod-0").state, fleet.member("prod-0").reason) == (State.SKIPPED, reason)
    assert fleet.status.state is State.COMPLETED
    assert fleet.status.message == f"0 of 1 Clusters run {NEW}, 1 left out"


def test_who_runs_it_already_is_through() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1, running=NEW, ready=False))
    fleet.settle()
    assert (fleet.member("prod-0").state, fleet.member("prod-0").reason) == (State.COMPLETED, "RunsAlready")


def test_a_stage_with_too_many_clusters_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaas.updates.rollouts.stages.MAX_MEMBERS", 2)
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 3))
    fleet.settle()
    assert (fleet.status.state, fleet.status.reason) == (State.STOPPED, "TooManyMembers")
    fleet.change(stages=[{"name": "prod", "selector": {"names": ["team/prod-0"]}}])
    fleet.settle()
    assert fleet.status.state is State.RUNNING


# --- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_stage", "of_all", "number"),
    [
        ({"maxConcurrency": 3}, {}, 3),
        ({"maxConcurrency": "35%"}, {}, 3),
        ({"maxConcurrency": "5%"}, {}, 1),
        ({"maxConcurrency": "100%"}, {"maxConcurrency": 4}, 4),
        ({"maxConcurrency": "100%"}, {"maxConcurrency": "20%"}, 2),
        ({"maxConcurrency": "100%", "perSite": 2}, {}, 4),
        ({"maxConcurrency": "100%"}, {"perSite": "20%"}, 2),
        ({"maxConcurrency": "100%", "perZone": 1}, {}, 4),
        ({"maxConcurrency": "100%"}, {"perZone": "50%"}, 4),
    ],
)
def test_how_many_at_once(of_stage: dict[str, Any], of_all: dict[str, Any], number: int) -> None:
    some = clusters("prod", 10)
    for index, cluster in enumerate(some):
        cluster.site, cluster.zones = ("north", "south")[index % 2], (f"az-{index // 2 % 2}",)
    fleet = Fleet(rollout(stage("prod", **of_stage), **of_all), some)
    fleet.settle()
    assert len(fleet.busy()) == number


def test_who_is_open_goes_first_and_who_closes_first_before_others() -> None:
    some = [
        FakeCluster("closed", {"stage": "prod"}, opens=20, open_for=3),
        FakeCluster("long", {"stage": "prod"}, opens=10, open_for=10),
        FakeCluster("short", {"stage": "prod"}, opens=10, open_for=4),
        FakeCluster("soon", {"stage": "prod"}, opens=14, open_for=4),
    ]
    fleet = Fleet(rollout(stage("prod")), some)
    fleet.settle()
    assert names(fleet.stage("prod").members) == ["short", "long", "soon", "closed"]
    assert fleet.states() == {"short": "Running", "long": "NotStarted", "soon": "Pending", "closed": "Pending"}
    assert fleet.member("soon").message == "its next maintenance window opens 2027-01-04 14:00 UTC"
    turn = fleet.turn("soon")
    assert turn is not None
    assert turn.message.startswith("Rollout fleet, stage prod: 1 of its stage go before it")


def test_who_has_not_begun_when_its_window_closes_waits_for_the_next() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1, opens=12, open_for=2, asleep=True))
    fleet.settle()
    assert fleet.member("prod-0").released == NOW
    fleet.go(2 * HOUR)
    assert (fleet.member("prod-0").state, fleet.member("prod-0").released) == (State.PENDING, None)
    assert (fleet.status.state, fleet.status.reason) == (State.PENDING, "OutsideMaintenance")
    assert fleet.status.next_time == NOW + 24 * HOUR


def test_who_does_not_begin_gives_its_turn_to_another() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 2))
    fleet.cluster("prod-0").asleep = True
    fleet.settle()
    assert names(fleet.busy()) == ["prod-0"]
    fleet.go(timedelta(minutes=31))
    assert names(fleet.busy()) == ["prod-1"]
    fleet.cluster("prod-0").asleep = False
    fleet.until_state(State.COMPLETED)


def test_who_is_not_well_is_not_given_a_turn() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 2))
    fleet.cluster("prod-0").obstacle = Obstacle("RepairInFlight", "a repair is under way in pool gpu; it goes first")
    fleet.settle()
    assert names(fleet.busy()) == ["prod-1"]
    assert fleet.member("prod-0").reason == "RepairInFlight"


def test_who_was_updated_less_than_a_day_ago_waits() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 2))
    fleet.cluster("prod-0").begun = NOW - 20 * HOUR
    fleet.settle()
    assert names(fleet.busy()) == ["prod-1"]
    assert fleet.member("prod-0").message == (
        "its last update was begun less than a day ago: it may go 2027-01-04 16:00 UTC"
    )
    fleet.go(HOUR, times=2)
    assert fleet.last is not None
    assert fleet.last.until == NOW + 4 * HOUR
    fleet.go(2 * HOUR)
    assert names(fleet.busy()) == ["prod-0"]


def test_a_member_that_another_stage_selects_too_by_now_stays_where_it_was() -> None:
    fleet = two_stages()
    fleet.settle()
    fleet.cluster("canary-0").labels["stage"] = "prod"
    fleet.until_state(State.COMPLETED)
    assert sorted(names(fleet.members)) == ["canary-0", "prod-0", "prod-1", "prod-2"]


def test_a_member_of_an_earlier_stage_is_tried_again_while_others_go_on() -> None:
    fleet = failing(1)
    fleet.until_state(State.COMPLETED)
    fleet.cluster("prod-0").fails, fleet.cluster("prod-0").stopped = False, None
    fleet.say(ANNOTATION_ROLLOUT_RETRY, "team/prod-0")
    fleet.settle()
    fleet.until_state(State.COMPLETED)
    assert fleet.states()["prod-0"] == "Completed"
    assert fleet.status.message == f"4 of 4 Clusters run {NEW}"
