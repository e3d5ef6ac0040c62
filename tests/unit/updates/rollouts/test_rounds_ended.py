"""Rounds of a Rollout: failures, and members that are changed by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kaas.api.rollout import ANNOTATION_ROLLOUT_RETRY, ANNOTATION_ROLLOUT_SKIP
from kaas.api.rollout_status import State
from kaas.api.versions import KubernetesVersion
from tests.unit.updates.rollouts.fleet import (
    HOUR,
    NEW,
    NOW,
    Fleet,
    clusters,
    failing,
    rollout,
    stage,
)

# --- failures -----------------------------------------------------------------------------------------------------


def test_more_failures_than_may_stop_it_until_a_person_acts() -> None:
    fleet = failing()
    fleet.until_state(State.STOPPED)
    assert fleet.member("prod-0").message == "its update has stopped: pool gpu: a machine never joined"
    assert fleet.stage("prod").state is State.FAILED
    assert fleet.status.halt is not None
    assert "kaas rollout retry" in fleet.status.halt.message
    fleet.go(times=10)
    assert fleet.states()["prod-1"] == "NotStarted"
    turn = fleet.turn("prod-1")
    assert turn is not None
    assert turn.reason == "RolloutTooManyFailures"
    fleet.say(ANNOTATION_ROLLOUT_SKIP, "team/prod-0", reason="it is to go anyway")
    fleet.until_state(State.COMPLETED)
    assert fleet.member("prod-0").message == "left out by anna (it is to go anyway)"
    assert fleet.events.count("RolloutStopped") == 1
    assert "RolloutResumed" in fleet.events


def test_what_has_begun_is_finished_when_it_stops() -> None:
    fleet = Fleet(rollout(stage("prod", maxConcurrency=2)), clusters("prod", 3))
    fleet.cluster("prod-0").fails = True
    fleet.cluster("prod-1").takes = 3 * HOUR
    fleet.go(HOUR, times=2)
    assert fleet.status.state is State.STOPPING
    assert fleet.states() == {"prod-0": "Failed", "prod-1": "Running", "prod-2": "NotStarted"}
    fleet.until_state(State.STOPPED)
    assert fleet.states()["prod-1"] == "Completed"


@pytest.mark.parametrize(("most", "state"), [(1, State.COMPLETED), ("10%", State.COMPLETED), ("0%", State.STOPPED)])
def test_as_many_failures_as_may(most: int | str, state: State) -> None:
    fleet = failing(most)
    fleet.until_state(state)


def test_a_raised_limit_goes_on() -> None:
    fleet = failing()
    fleet.until_state(State.STOPPED)
    stages = fleet.rollout.spec.to_json()["stages"]
    stages[0]["maxFailures"] = 1
    fleet.change(stages=stages)
    fleet.until_state(State.COMPLETED)
    assert fleet.status.message == f"3 of 4 Clusters run {NEW}, 1 failed"


def test_one_that_heals_by_itself_does_not_make_it_go_on() -> None:
    fleet = failing()
    fleet.until_state(State.STOPPED)
    healed = fleet.cluster("prod-0")
    healed.stopped, healed.running = None, NEW
    fleet.go(times=3)
    assert fleet.states()["prod-0"] == "Completed"
    assert fleet.status.state is State.STOPPED


def test_a_member_is_tried_again_once() -> None:
    fleet = failing()
    fleet.until_state(State.STOPPED)
    fleet.say(ANNOTATION_ROLLOUT_RETRY, "team/prod-0")
    fleet.cluster("prod-0").stopped = None  # its owner has its update tried again, too
    fleet.settle()
    assert fleet.states()["prod-0"] == "Running"
    assert fleet.status.state is State.RUNNING
    fleet.until_state(State.STOPPED)
    assert fleet.events.count("MemberFailed") == 2
    fleet.go(times=10)
    assert fleet.states()["prod-0"] == "Failed"


def test_an_update_that_stays_stopped_after_it_was_to_be_tried_again_fails_again() -> None:
    fleet = failing()
    fleet.until_state(State.STOPPED)
    fleet.go()
    fleet.say(ANNOTATION_ROLLOUT_RETRY, "team/prod-0")
    fleet.settle()
    assert fleet.states()["prod-0"] == "Running"
    fleet.go(HOUR, times=2)
    assert fleet.states()["prod-0"] == "Failed"


def test_a_member_that_is_not_ready_for_long_has_failed() -> None:
    fleet = Fleet(rollout(stage("prod"), notReadySeconds=1800), clusters("prod", 2, takes=5 * HOUR))
    fleet.settle()
    fleet.cluster("prod-0").ready = False
    fleet.go(timedelta(minutes=10))
    assert fleet.states()["prod-0"] == "Running"
    assert fleet.last is not None
    assert fleet.last.until == NOW + timedelta(minutes=40)
    fleet.cluster("prod-0").ready = True
    fleet.go(timedelta(minutes=60))
    fleet.cluster("prod-0").ready = None  # unknown is not unhealthy
    fleet.go(timedelta(minutes=60))
    assert fleet.states()["prod-0"] == "Running"
    fleet.cluster("prod-0").ready = False
    fleet.go(timedelta(minutes=10), times=4)
    assert (fleet.member("prod-0").state, fleet.member("prod-0").reason) == (State.FAILED, "NotReady")


def be(fleet: Fleet, *, ready: bool, minutes: int) -> None:
    fleet.cluster("prod-0").ready = ready
    fleet.settle()
    fleet.go(timedelta(minutes=minutes))


def test_a_member_that_is_ready_and_not_ready_in_turns_fails() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1, takes=40 * HOUR))
    fleet.settle()
    for away in (20, 30, 9):
        be(fleet, ready=False, minutes=away)
        be(fleet, ready=True, minutes=59)
    assert fleet.states()["prod-0"] == "Running"
    be(fleet, ready=False, minutes=0)
    assert fleet.look().until == fleet.now + timedelta(minutes=1)
    fleet.go(timedelta(minutes=1))
    assert (fleet.member("prod-0").state, fleet.member("prod-0").reason) == (State.FAILED, "NotReady")
    assert "not Ready for 60 minutes" in (fleet.member("prod-0").message or "")


def test_a_member_that_was_ready_for_long_has_its_time_anew() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1, takes=400 * HOUR))
    fleet.settle()
    for _ in range(5):
        be(fleet, ready=False, minutes=50)
        be(fleet, ready=True, minutes=60)
    assert fleet.states()["prod-0"] == "Running"
    assert (fleet.member("prod-0").unwell, fleet.member("prod-0").well) == (None, None)


def test_a_member_that_takes_long_or_waits_for_its_window_has_not_failed() -> None:
    """Its machines are not as its spec says all the while, so it is not Ready; but it works."""
    fleet = Fleet(rollout(stage("prod"), notReadySeconds=1800), clusters("prod", 1, takes=40 * HOUR))
    fleet.settle()
    one = fleet.cluster("prod-0")
    one.ready, one.moves = False, True
    fleet.go(HOUR, times=30)
    assert fleet.states()["prod-0"] == "Running"
    one.moves = False
    fleet.go(HOUR)
    assert fleet.member("prod-0").unwell == fleet.now
    fleet.go(HOUR)
    assert (fleet.member("prod-0").state, fleet.member("prod-0").reason) == (State.FAILED, "NotReady")


# --- changed by hand ----------------------------------------------------------------------------------------------


def test_a_member_whose_version_is_changed_by_hand_is_left_out() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 3))
    fleet.settle()
    fleet.cluster("prod-1").asked = "1.37"
    fleet.cluster("prod-2").running = KubernetesVersion(36, 2)
    fleet.settle()
    assert fleet.member("prod-1").message == "its spec.version was 1.36 when the stage started, and is 1.37"
    assert fleet.member("prod-2").message == "ran v1.36.1 when the stage started, and runs v1.36.2"
    assert fleet.events.count("MemberSkipped") == 2
    fleet.say(ANNOTATION_ROLLOUT_RETRY, "team/prod-2")
    fleet.until_state(State.COMPLETED)
    assert fleet.states() == {"prod-0": "Completed", "prod-1": "Skipped", "prod-2": "Completed"}


@pytest.mark.parametrize("how", ["gone", "another"])
def test_a_member_that_is_gone_is_left_out(how: str) -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 2))
    fleet.settle()
    if how == "gone":
        del fleet.clusters[0]
    else:
        fleet.clusters[0].uid = "another"
    fleet.settle()
    assert (fleet.member("prod-0").state, fleet.member("prod-0").reason) == (State.SKIPPED, "Gone")


def test_a_status_that_says_no_version_for_a_moment_changes_nothing() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 2))
    fleet.settle()
    fleet.cluster("prod-1").running = None
    fleet.settle()
    assert fleet.states()["prod-1"] == "NotStarted"
