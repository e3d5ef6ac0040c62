"""Gates of a Rollout: approvals, times, health, and what metrics say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.rollout import ANNOTATION_ROLLOUT_APPROVED
from kaas.api.rollout_status import State
from kaas.api.versions import KubernetesVersion
from kaas.kube.times import stamp
from kaas.updates.rollouts.scene import Answer, Ask
from tests.unit.updates.rollouts.fleet import HOUR, NEW, NOW, Fleet, clusters, rollout, stage


def gated(*gates: dict[str, Any], where: str = "afterGates") -> Fleet:
    fleet = Fleet(rollout(stage("canary", **{where: list(gates)}), stage("prod")), clusters("canary", 1))
    fleet.clusters += clusters("prod", 1)
    return fleet


def test_an_approval_opens_one_gate() -> None:
    gate = {"name": "seen", "type": "Approval"}
    fleet = Fleet(rollout(stage("canary", beforeGates=[gate], afterGates=[gate])), clusters("canary", 1))
    fleet.go(times=3)
    assert fleet.status.stage == "canary"
    assert fleet.stage("canary").started is None
    assert "kaas rollout approve" in (fleet.status.message or "")
    fleet.say(ANNOTATION_ROLLOUT_APPROVED, "canary")
    fleet.go(times=4)
    assert fleet.states() == {"canary-0": "Completed"}
    assert fleet.status.reason == "WaitsForGate"
    fleet.say(ANNOTATION_ROLLOUT_APPROVED, "canary/seen", by="ben")
    fleet.settle()
    assert fleet.status.state is State.COMPLETED
    assert fleet.stage("canary").after_gates[0].message == "approved by ben"


def test_a_time_to_wait_for() -> None:
    time = NOW + 6 * HOUR
    fleet = gated({"name": "monday", "type": "StartAt", "startAt": {"time": stamp(time)}}, where="beforeGates")
    fleet.settle()
    assert fleet.status.next_time == time
    fleet.go(5 * HOUR)
    assert not fleet.members
    fleet.go(HOUR)
    assert fleet.states() == {"canary-0": "Running"}


def test_health_of_all_members() -> None:
    fleet = gated({"name": "well", "type": "Healthy", "sustainedSeconds": 3600})
    fleet.go(HOUR, times=2)
    fleet.cluster("canary-0").ready = False
    fleet.go(HOUR, times=2)
    assert "canary-0" in (fleet.status.message or "")
    assert fleet.stage("prod").started is None
    fleet.cluster("canary-0").ready = True
    fleet.go(HOUR)
    assert fleet.status.next_time == fleet.now + HOUR
    fleet.go(HOUR)
    assert fleet.stage("prod").started is not None


def promql(**more: Any) -> dict[str, Any]:
    return {"name": "errors", "type": "PromQL", "promQL": {"query": "errors", "atMost": 0.01}, **more}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "Site north is asked"),
        (Answer(None, "no answer in time"), "could not be asked: no answer in time"),
        (Answer(None), "has no data"),
        (Answer(0.5), "is not at most 0.01: it was 0.5, 2027-01-04 13:00 UTC"),
        (Answer(float("nan")), "is not at most 0.01"),
    ],
)
def test_metrics_that_are_not_good_keep_a_gate_closed(answer: Answer | None, words: str) -> None:
    fleet = gated(promql())
    ask = Ask("north", "errors")
    if answer is not None:
        fleet.answers[ask] = answer
    fleet.settle()
    fleet.go(HOUR)
    assert words in (fleet.status.message or "")
    assert fleet.look().asks == (ask,)
    assert fleet.look().until == fleet.now + timedelta(seconds=60)


def test_metrics_that_are_good_for_long_enough_open_it() -> None:
    fleet = gated(promql(sustainedSeconds=1800))
    fleet.answers[Ask("north", "errors")] = Answer(0.001)
    fleet.settle()
    fleet.go(HOUR)
    assert fleet.stage("canary").after_gates[0].holds == fleet.now
    fleet.answers[Ask("north", "errors")] = Answer(0.1)
    fleet.go(timedelta(minutes=20))
    assert fleet.stage("canary").after_gates[0].holds is None
    fleet.answers[Ask("north", "errors")] = Answer(0.001)
    fleet.go(timedelta(minutes=20), times=2)
    assert fleet.stage("prod").started is None
    fleet.go(timedelta(minutes=20))
    assert fleet.stage("prod").started is not None
    assert fleet.look().asks == ()


def test_numbers_that_change_are_not_retold() -> None:
    fleet = gated(promql())
    fleet.answers[Ask("north", "errors")] = Answer(0.5)
    fleet.go(HOUR, times=2)
    before = fleet.status
    fleet.answers[Ask("north", "errors")] = Answer(0.6)
    fleet.go(timedelta(seconds=60))
    assert fleet.status == before


def by_channel(**gates: Any) -> Fleet:
    """Two stages, the second with gates; its update takes a minute, and something newer comes while the first waits."""
    fleet = Fleet(
        rollout(stage("canary"), stage("prod", **gates), channel="Regular"), clusters("canary", 1), newest=NEW
    )
    fleet.clusters += clusters("prod", 1)
    for cluster in fleet.clusters:
        cluster.takes = timedelta(minutes=1)
    fleet.go(times=2)
    fleet.newest = KubernetesVersion(36, 5)
    return fleet


@pytest.mark.parametrize("where", ["beforeGates", "afterGates"])
@pytest.mark.parametrize("ahead", [timedelta(), timedelta(minutes=3)])
def test_an_approval_opens_no_gate_of_the_next_run(where: str, ahead: timedelta) -> None:
    fleet = by_channel(**{where: [{"name": "seen", "type": "Approval"}]})
    fleet.go(times=2)
    fleet.now += ahead  # so much the clock of the person is ahead
    fleet.say(ANNOTATION_ROLLOUT_APPROVED, "prod/seen")
    fleet.now -= ahead
    fleet.settle()
    fleet.go(timedelta(minutes=1), times=2)
    assert fleet.status.run == 2
    fleet.go(timedelta(days=2), times=3)
    assert (fleet.status.run, fleet.status.reason) == (2, "WaitsForGate")
    assert [g.open for g in (*fleet.stage("prod").before_gates, *fleet.stage("prod").after_gates)] == [False]
    fleet.say(ANNOTATION_ROLLOUT_APPROVED, "prod/seen", by="ben")
    fleet.until_state(State.COMPLETED)
    assert [len(r.approvals) for r in fleet.status.history] == [1]


def test_an_approval_that_ends_a_run_within_its_second_opens_no_gate_of_the_next() -> None:
    fleet = by_channel(afterGates=[{"name": "seen", "type": "Approval"}])
    fleet.go(times=2)
    now, fleet.now = fleet.now, fleet.now + timedelta(milliseconds=700)
    fleet.say(ANNOTATION_ROLLOUT_APPROVED, "prod")
    fleet.now = now  # rounds are timed to the second
    fleet.settle()
    fleet.go(timedelta(days=2), times=3)
    assert (fleet.status.run, fleet.status.reason) == (2, "WaitsForGate")
