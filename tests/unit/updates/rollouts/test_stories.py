"""Three stories of Rollouts, told in logs that were reviewed once."""

from __future__ import annotations

from datetime import timedelta

from kaas.api.rollout import (
    ANNOTATION_ROLLOUT_ABORT,
    ANNOTATION_ROLLOUT_APPROVED,
    ANNOTATION_ROLLOUT_RETRY,
)
from kaas.api.rollout_acts import Act, abort_text
from kaas.api.rollout_status import State
from kaas.api.versions import KubernetesVersion
from tests.golden_files import check_text
from tests.unit.updates.rollouts.fleet import NEW, NOW, FakeCluster, Fleet, clusters, rollout, stage

HOUR = timedelta(hours=1)
NIGHT = {"opens": 22, "open_for": 4}


def told(fleet: Fleet) -> str:
    ends = [f"{c.name}: {c.running}" for c in fleet.clusters]
    return "\n".join([*fleet.log, "", str(fleet.status.message), *ends, ""])


def test_two_stages_at_night_with_a_soak_and_an_approval() -> None:
    spec = rollout(
        stage("canary", soakSeconds=86400, afterGates=[{"name": "well", "type": "Healthy"}]),
        stage("prod", maxConcurrency="50%", beforeGates=[{"name": "seen", "type": "Approval"}]),
    )
    fleet = Fleet(spec, [*clusters("canary", 1, **NIGHT), *clusters("prod", 4, **NIGHT, takes=3 * HOUR)])
    fleet.cluster("prod-3").opens = 8
    fleet.settle()
    while fleet.status.reason != "WaitsForGate":
        fleet.go(HOUR)
    fleet.say(ANNOTATION_ROLLOUT_APPROVED, "prod")
    fleet.until_state(State.COMPLETED, HOUR)
    check_text("updates/rollout_at_night.txt", told(fleet))


def test_six_in_three_stages_one_of_which_fails_and_is_tried_again() -> None:
    spec = rollout(stage("canary"), stage("early", maxConcurrency=2), stage("late", maxConcurrency=2), perSite=2)
    fleet = Fleet(spec, [*clusters("canary", 1), *clusters("early", 2), *clusters("late", 3)])
    bad = fleet.cluster("early-1")
    bad.fails, bad.takes = True, HOUR / 2
    fleet.settle()
    fleet.until_state(State.STOPPED)
    fleet.go(12 * HOUR)
    bad.fails, bad.stopped = False, None
    fleet.say(ANNOTATION_ROLLOUT_RETRY, "team/early-1", reason="the image is mended")
    fleet.until_state(State.COMPLETED)
    check_text("updates/rollout_with_a_failure.txt", told(fleet))


def test_a_channel_whose_first_version_is_aborted() -> None:
    some = [*clusters("prod", 3), FakeCluster("prod-own", {"stage": "prod"}, takes=2 * HOUR)]
    fleet = Fleet(rollout(stage("prod"), channel="Regular", maxConcurrency=1), some, newest=NEW)
    fleet.settle()
    fleet.go(HOUR / 2)
    fleet.cluster("prod-2").asked = "1.37"
    fleet.go(HOUR / 2)
    fleet.annotate({ANNOTATION_ROLLOUT_ABORT: abort_text(Act(at=fleet.now, by="ben", reason="CVE-2027-0001"))})
    fleet.until_state(State.STOPPED)
    fleet.now = NOW + timedelta(days=7)
    fleet.newest = KubernetesVersion(36, 4)
    fleet.settle()
    fleet.until_state(State.COMPLETED)
    check_text("updates/rollout_of_a_channel.txt", told(fleet))
