"""What cannot be seen is not sick."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaas.api.repair import Action
from kaas.repairs.blindness import LONG_AGO, count_silent, look
from kaas.repairs.decisions import Act, Finish, Hold, Watch
from kaas.repairs.facts import Patient, Sight
from kaas.repairs.planner import plan
from tests.unit.repairs import builders as b

UP, AWAY = Sight(True, b.ago(9000)), Sight(False, b.ago(3), "no route to host")
NO_BEATS = Sight(False, b.ago(60), "the heartbeats of 4 of 10 nodes stopped together", heartbeats=True)


def test_the_first_look_believes_the_clocks() -> None:
    assert look(None, UP, 0, 10, b.NOW) == Sight(True, LONG_AGO)
    assert look(None, AWAY, 0, 10, b.NOW) == Sight(False, b.NOW, "no route to host")


def test_sight_changes_once_and_says_since_when() -> None:
    gone = look(Sight(True, b.ago(500)), AWAY, 0, 10, b.NOW)
    assert gone == Sight(False, b.NOW, "no route to host")
    assert look(gone, AWAY, 0, 10, b.later(5)) == gone
    assert look(gone, UP, 0, 10, b.later(9)) == Sight(True, b.later(9))
    assert look(Sight(True, b.ago(500)), UP, 0, 10, b.NOW) == Sight(True, b.ago(500))


@pytest.mark.parametrize(
    ("silent", "size", "blind"), [(2, 4, False), (3, 10, True), (3, 11, False), (30, 100, True), (29, 100, False)]
)
def test_so_many_heartbeats_stop_together(silent: int, size: int, blind: bool) -> None:
    sight = look(Sight(True, b.ago(500)), UP, silent, size, b.NOW)
    assert sight.clear is not blind
    assert sight.heartbeats is blind


def test_after_an_api_server_the_heartbeats_are_waited_for() -> None:
    gone = look(Sight(True, b.ago(500)), AWAY, 0, 10, b.NOW)
    back = look(gone, UP, 9, 10, b.later(60))
    assert (back.clear, back.since, back.heartbeats) == (False, b.NOW, True)
    assert look(back, UP, 1, 10, b.later(90)) == Sight(True, b.later(90), "", heartbeats=True)


def test_nodes_that_a_repair_took_down_are_not_counted() -> None:
    quiet = b.finding(silent=True)
    patients = [
        b.patient(quiet, name="silent"),
        b.patient(quiet, name="drained", progress=b.progress(Action.DRAIN, started=9)),
        b.patient(quiet, name="rebooted", progress=b.progress(Action.HARD_REBOOT, started=9)),
        b.patient(quiet, name="kept", progress=b.progress(Action.QUARANTINE, started=9, quarantined=b.ago(5))),
        b.patient(name="loud"),
    ]
    assert count_silent(patients) == {b.CLUSTER: 2}


@pytest.mark.parametrize(("clear_since", "expected"), [(30, 330), (100, 260), (359, 1)])
def test_clocks_start_anew_after_a_pause(clear_since: float, expected: float) -> None:
    watch = b.decide(b.patient(b.finding(since=5000, tolerance=300)), sight=Sight(True, b.ago(clear_since)))
    assert isinstance(watch, Watch)
    assert watch.until == b.later(expected)


def test_what_began_after_the_pause_keeps_its_clock() -> None:
    assert isinstance(b.decide(b.patient(b.finding(since=310)), sight=Sight(True, b.ago(400))), Act)
    assert isinstance(b.decide(b.patient(b.finding(since=5000)), sight=Sight(True, b.ago(360))), Act)


def test_a_person_waits_for_no_clock_but_for_sight() -> None:
    request = b.patient(b.asked(Action.DRAIN))
    assert isinstance(b.decide(request, sight=Sight(True, b.ago(1))), Act)
    assert isinstance(b.decide(request, sight=AWAY), Hold)


def test_while_blind_even_what_is_tolerated_is_held_and_what_would_be_done_is_said() -> None:
    hold = b.decide(b.patient(b.finding(since=5)), sight=AWAY)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.action) == ("BlindToCluster", Action.DRAIN)


def test_missed_heartbeats_hold_all_but_who_is_well_again() -> None:
    step = b.progress(Action.SOFT_REBOOT, started=100, acted=b.ago(90))
    well = Patient(b.machine("well"), progress=step, well_since=b.ago(50), boot_id="boot-2", ready=True)
    found = b.decisions([well, b.patient(name="sick")], sight=NO_BEATS)
    assert isinstance(found["well"], Finish)
    assert isinstance(found["sick"], Hold)
    assert found["sick"].reason == "BlindToHeartbeats"
    assert "kaas repair confirm --site north heartbeats/team/c" in found["sick"].message


def test_a_person_confirms_that_the_nodes_are_down() -> None:
    confirmed = {"heartbeats/team/c": b.later(5)}
    for sight in (NO_BEATS, Sight(True, b.ago(5), "", heartbeats=True)):
        assert isinstance(b.decide(b.patient(), sight=sight, confirmed=confirmed), Act)
        assert not isinstance(b.decide(b.patient(), sight=sight, confirmed={"heartbeats/team/c": b.ago(5)}), Act)
    assert not isinstance(b.decide(b.patient(), sight=AWAY, confirmed=confirmed), Act)


def test_what_the_cloud_said_counts_only_while_it_is_seen() -> None:
    said = b.patient(b.finding(Action.WAIT, cloud=True))
    hold = b.decide(said, cloud=Sight(False, b.ago(5), "HTTP 503"))
    assert isinstance(hold, Hold)
    assert hold.reason == "BlindToCloud"
    watch = b.decide(said, cloud=Sight(True, b.ago(20)))
    assert isinstance(watch, Watch)
    assert watch.until == b.later(340)
    assert isinstance(b.decide(said), Act)


def test_without_the_cloud_mild_steps_and_the_quarantine_go_on() -> None:
    away = Sight(False, b.ago(5), "HTTP 503")
    for action in (Action.WAIT, Action.RESTART_DEVICE_PLUGIN, Action.QUARANTINE):
        assert isinstance(b.decide(b.patient(b.finding(action)), policy=b.policy(action), cloud=away), Act)
    for action in (Action.DRAIN, Action.SOFT_REBOOT, Action.REPLACE):
        assert isinstance(b.decide(b.patient(b.finding(action)), policy=b.policy(action), cloud=away), Hold)


def test_one_blind_cluster_does_not_hold_another() -> None:
    other = b.patient(name="other", cluster=("team", "d"), pool=("team", "d", "gpu"))
    fleet = b.fleet(b.patient(), other)
    clusters = dict(fleet.clusters)
    clusters[b.CLUSTER] = replace(clusters[b.CLUSTER], sight=AWAY)
    found = {d.node[1]: d for d in plan(replace(fleet, clusters=clusters), b.NOW).decisions}
    assert isinstance(found["m-1"], Hold)
    assert isinstance(found["other"], Act)
