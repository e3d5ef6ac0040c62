"""Runs of a Rollout: what people say to them, and one after the other through a channel."""

from __future__ import annotations

from datetime import timedelta

from kaas.api.rollout import ANNOTATION_ROLLOUT_ABORT, ANNOTATION_ROLLOUT_SKIP
from kaas.api.rollout_acts import Act, abort_text
from kaas.api.rollout_status import State
from kaas.api.versions import KubernetesVersion
from kaas.updates.standing import Obstacle
from tests.unit.updates.rollouts.fleet import HOUR, NEW, OLD, FakeCluster, Fleet, clusters, rollout, stage, two_stages

# --- what people say ----------------------------------------------------------------------------------------------


def test_paused_nothing_begins_and_what_has_begun_is_finished() -> None:
    fleet = two_stages()
    fleet.settle()
    fleet.change(paused=True)
    fleet.settle()
    assert fleet.status.state is State.STOPPING
    fleet.go(HOUR, times=5)
    assert (fleet.status.state, fleet.status.reason) == (State.STOPPED, "Paused")
    assert fleet.states() == {"canary-0": "Completed"}
    fleet.change(paused=False)
    fleet.until_state(State.COMPLETED)
    assert [e for e in fleet.events if e.startswith("Rollout")] == [
        "RolloutStarted",
        "RolloutPaused",
        "RolloutResumed",
        "RolloutCompleted",
    ]


def test_paused_a_turn_that_was_not_taken_is_given_back() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1, asleep=True))
    fleet.settle()
    fleet.change(paused=True)
    fleet.settle()
    fleet.cluster("prod-0").asleep = False
    fleet.go(times=4)
    assert fleet.cluster("prod-0").running == OLD
    assert fleet.status.state is State.STOPPED


def test_aborted_it_ends_and_holds_its_members() -> None:
    fleet = two_stages()
    fleet.settle()
    fleet.now += timedelta(minutes=1)
    fleet.annotate({ANNOTATION_ROLLOUT_ABORT: abort_text(Act(at=fleet.now, by="anna", reason="bad image"))})
    fleet.settle()
    assert fleet.status.state is State.STOPPING
    fleet.go(HOUR, times=3)
    assert (fleet.status.state, fleet.status.reason) == (State.STOPPED, "Aborted")
    assert fleet.status.finished is not None
    assert "aborted by anna (bad image); delete the Rollout" in (fleet.status.message or "")
    turn = fleet.turn("prod-0")
    assert turn is not None
    assert (turn.allowed, turn.reason) == (False, "RolloutAborted")


def test_what_cannot_be_read_is_told_and_counts_as_not_there() -> None:
    fleet = two_stages()
    fleet.annotate({ANNOTATION_ROLLOUT_SKIP: "team/canary-0"})
    fleet.until_state(State.COMPLETED)
    assert fleet.events.count("AnnotationUnreadable") == 1
    assert next(c for c in fleet.status.conditions if c.type == "AnnotationsRead").status == "False"


def test_what_was_said_to_an_earlier_run_does_not_count() -> None:
    fleet = two_stages()
    fleet.say(ANNOTATION_ROLLOUT_SKIP, "team/canary-0")
    fleet.now += timedelta(days=1)
    fleet.until_state(State.COMPLETED)
    assert fleet.states()["canary-0"] == "Completed"


def test_who_was_left_out_of_a_run_is_in_the_next() -> None:
    fleet = Fleet(rollout(stage("prod", maxConcurrency=2), channel="Regular"), clusters("prod", 2), newest=NEW)
    fleet.cluster("prod-1").obstacle = Obstacle("NotReady", "it is not well")
    fleet.go(times=4)
    fleet.newest = KubernetesVersion(36, 5)
    fleet.say(ANNOTATION_ROLLOUT_SKIP, "team/prod-1", reason="broken today")
    fleet.settle()
    fleet.go(timedelta(seconds=2))
    assert fleet.status.run == 2
    fleet.cluster("prod-1").obstacle = None
    fleet.go(timedelta(days=2), times=3)
    assert fleet.states() == {"prod-0": "Completed", "prod-1": "Completed"}


def test_an_abort_ends_one_run() -> None:
    fleet = Fleet(rollout(stage("prod"), channel="Regular"), clusters("prod", 2), newest=NEW)
    fleet.cluster("prod-0").obstacle = Obstacle("NotReady", "it is not well")
    fleet.cluster("prod-1").takes = timedelta(minutes=1)
    fleet.settle()
    fleet.newest = KubernetesVersion(36, 4)
    fleet.go(timedelta(minutes=5))
    fleet.annotate({ANNOTATION_ROLLOUT_ABORT: abort_text(Act(at=fleet.now))})
    fleet.settle()
    assert [r.state for r in fleet.status.history] == [State.STOPPED]
    assert (fleet.status.run, fleet.status.state) == (2, State.PENDING)


# --- channels -----------------------------------------------------------------------------------------------------


def test_every_newest_version_of_a_channel_one_run_after_the_other() -> None:
    fleet = Fleet(rollout(stage("prod"), channel="Regular"), clusters("prod", 1))
    fleet.settle()
    assert (fleet.status.state, fleet.status.reason) == (State.NOT_STARTED, "NoRelease")
    turn = fleet.turn("prod-0")
    assert turn is not None
    assert not turn.allowed
    fleet.newest = NEW
    fleet.settle()
    assert (fleet.status.run, fleet.status.version) == (1, str(NEW))
    fleet.newest = KubernetesVersion(36, 4)
    fleet.settle()
    assert fleet.status.run == 1
    fleet.until_state(State.COMPLETED)
    fleet.go()
    assert (fleet.status.run, fleet.status.version) == (2, "v1.36.4")
    assert [(r.run, r.state) for r in fleet.status.history] == [(1, State.COMPLETED)]
    fleet.until_state(State.COMPLETED)
    assert str(fleet.cluster("prod-0").running) == "v1.36.4"


def test_without_a_release_it_does_not_start_and_holds_its_clusters() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1), unfit="there is no Release of v1.36.3: make one")
    fleet.go(times=3)
    assert (fleet.status.state, fleet.status.message) == (State.NOT_STARTED, "there is no Release of v1.36.3: make one")
    turn = fleet.turn("prod-0")
    assert turn is not None
    assert not turn.allowed
    assert turn.message.endswith("there is no Release of v1.36.3: make one")
    fleet.unfit = ""
    fleet.until_state(State.COMPLETED)


def test_an_aborted_version_is_left_for_the_next_one() -> None:
    fleet = Fleet(rollout(stage("prod"), channel="Regular"), clusters("prod", 2), newest=NEW)
    fleet.settle()
    fleet.go(timedelta(minutes=5))
    fleet.annotate({ANNOTATION_ROLLOUT_ABORT: abort_text(Act(at=fleet.now))})
    fleet.go(HOUR, times=2)
    assert fleet.states() == {"prod-0": "Completed", "prod-1": "Stopped"}
    fleet.newest = KubernetesVersion(36, 4)
    fleet.until_state(State.COMPLETED)
    assert {str(c.running) for c in fleet.clusters} == {"v1.36.4"}
    assert [(r.version, r.state) for r in fleet.status.history] == [(str(NEW), State.STOPPED)]


def test_who_came_late_follows_when_the_run_is_through() -> None:
    fleet = Fleet(rollout(stage("prod"), channel="Regular"), clusters("prod", 1), newest=NEW)
    fleet.settle()
    fleet.clusters.append(FakeCluster("late", {"stage": "prod"}))
    fleet.until_state(State.COMPLETED)
    fleet.go(HOUR, times=2)
    assert fleet.cluster("late").running == NEW
