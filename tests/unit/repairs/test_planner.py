"""Which step begins: entry, what is passed over, what holds it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.repair import Action, Limits, Mode
from kaas.repairs.decisions import Act, Finish, Hold, Wait, Watch
from kaas.repairs.facts import Fleet, Patient, Sight
from kaas.repairs.planner import plan
from kaas.repairs.reasons import MEANINGS, Reason
from tests.unit.repairs import builders as b


def test_without_patients_nothing_is_decided_and_nobody_has_to_look_again() -> None:
    found = plan(b.fleet(), b.NOW)
    assert (found.decisions, found.breakers, found.look_again) == ((), (), None)


def test_a_healed_node_without_a_repair_is_no_patient() -> None:
    assert plan(b.fleet(b.patient(b.finding())), b.NOW).decisions
    healed = Patient(b.machine(), well_since=b.ago(5))
    assert plan(b.fleet(healed), b.NOW).decisions == ()


def test_what_is_tolerated_is_watched_until_it_is_due() -> None:
    decision = b.decide(b.patient(b.finding(since=100, tolerance=300)))
    assert isinstance(decision, Watch)
    assert (decision.reason, decision.until) == ("Tolerated", b.later(200))
    assert plan(b.fleet(b.patient(b.finding(since=100, tolerance=300))), b.NOW).look_again == b.later(200)


def test_what_is_due_begins_with_a_drain_and_says_what_is_passed_over() -> None:
    act = b.decide(b.patient())
    assert isinstance(act, Act)
    assert (act.step, act.action, act.number, act.cause) == (2, Action.DRAIN, 1, "Sick")
    needs = "Sick needs at least SoftReboot"
    assert act.skipped == ((Action.WAIT, needs), (Action.RESTART_DEVICE_PLUGIN, needs))


@pytest.mark.parametrize("entry", [Action.WAIT, Action.RESTART_DEVICE_PLUGIN, Action.DRAIN])
def test_a_mild_entry_is_where_the_ladder_begins(entry: Action) -> None:
    act = b.decide(b.patient(b.finding(entry)))
    assert isinstance(act, Act)
    assert act.action is entry


def test_without_the_entry_on_the_ladder_the_next_harder_one_is_taken() -> None:
    act = b.decide(b.patient(b.finding(Action.POWER_CYCLE)), policy=b.policy(Action.SOFT_REBOOT, Action.REPLACE))
    assert isinstance(act, Act)
    assert act.action is Action.REPLACE
    assert act.skipped == ((Action.SOFT_REBOOT, "Sick needs at least PowerCycle"),)


def test_without_anything_harder_the_ladder_has_ended_and_nothing_is_drained_for_it() -> None:
    hold = b.decide(b.patient(b.finding(Action.REPLACE)), policy=b.policy(Action.DRAIN, Action.SOFT_REBOOT))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.until) == ("LadderEnded", b.later(600))


def test_the_hardest_of_several_counts() -> None:
    two = b.patient(b.finding(Action.WAIT), b.finding(Action.HARD_REBOOT, signal="Worse"))
    act = b.decide(two, policy=b.policy(Action.WAIT, Action.SOFT_REBOOT, Action.HARD_REBOOT))
    assert isinstance(act, Act)
    assert (act.action, act.cause) == (Action.HARD_REBOOT, "Worse")


def test_what_is_tolerated_does_not_make_the_step_harder() -> None:
    two = b.patient(b.finding(Action.WAIT), b.finding(Action.REPLACE, since=1))
    act = b.decide(two)
    assert isinstance(act, Act)
    assert act.action is Action.WAIT


def test_after_the_drain_comes_what_was_drained_for() -> None:
    drained = b.progress(Action.DRAIN, started=60, acted=b.ago(5))
    act = b.decide(b.patient(b.finding(Action.REPLACE), progress=drained))
    assert isinstance(act, Act)
    assert act.action is Action.REPLACE
    assert [a for a, _ in act.skipped] == [Action.SOFT_REBOOT, Action.HARD_REBOOT]


@pytest.mark.parametrize(
    ("entry", "what", "cause"),
    [
        (Action.RESTART_DEVICE_PLUGIN, {"findings": "silent"}, "not heard of"),
        (Action.RESTART_DEVICE_PLUGIN, {"node": None}, "not heard of"),
        (Action.DRAIN, {"node": None}, "no Node to drain"),
        (Action.SOFT_REBOOT, {"server": None}, "no server"),
        (Action.REBUILD, {"control_plane": True}, "etcd"),
    ],
)
def test_what_cannot_be_done_is_passed_over_with_its_cause(entry: Action, what: dict[str, Any], cause: str) -> None:
    silent = what.pop("findings", None) is not None
    sick = b.patient(b.finding(entry, silent=silent), **what)
    act = b.decide(sick, policy=b.policy(entry, Action.QUARANTINE))
    assert isinstance(act, Act)
    assert act.action is Action.QUARANTINE
    ((skipped, why),) = act.skipped
    assert skipped is entry
    assert cause in why


def test_a_silent_node_is_drained_too() -> None:
    act = b.decide(b.patient(b.finding(silent=True)))
    assert isinstance(act, Act)
    assert act.action is Action.DRAIN


@pytest.mark.parametrize(
    ("facts", "reason", "word"),
    [
        ({"away": "it is being deleted"}, Reason.CLUSTER_AWAY, "it is being deleted"),
        ({"pool_paused": "audit"}, Reason.PAUSED, "kaas repair resume"),
        ({"site_paused": "works on the network"}, Reason.PAUSED, "Site north"),
        ({"updating": "2 of 9"}, Reason.UPDATE_UNDER_WAY, "2 of 9"),
        ({"mode": Mode.DRY_RUN}, Reason.DRY_RUN, "would begin Drain"),
        ({"site_mode": Mode.DRY_RUN}, Reason.DRY_RUN, "would begin Drain"),
        ({"policy": b.policy(mode=Mode.DRY_RUN)}, Reason.DRY_RUN, "would begin Drain"),
        ({"control_plane": "etcd is away"}, Reason.CONTROL_PLANE_NOT_HEALTHY, "etcd is away"),
        ({"sight": Sight(False, b.ago(9), "no route to host")}, Reason.BLIND_TO_CLUSTER, "no route to host"),
        ({"cloud": Sight(False, b.ago(9), "HTTP 503")}, Reason.BLIND_TO_CLOUD, "HTTP 503"),
        ({"replaced": ((b.ago(9), False),) * 3}, Reason.REPLACEMENTS_DO_NOT_HELP, "last 3 nodes"),
    ],
)
def test_what_holds_a_step_back_is_said_with_a_time(facts: dict[str, object], reason: Reason, word: str) -> None:
    hold = b.decide(b.patient(), **facts)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.action, hold.step) == (reason, Action.DRAIN, 2)
    assert word in hold.message
    assert b.NOW < hold.until <= b.later(60)


@pytest.mark.parametrize(
    ("what", "reason"), [({"skip": True}, "MachineSkipped"), ({"outdated": True}, "MachineOutdated")]
)
def test_machines_that_are_not_to_be_touched(what: dict[str, Any], reason: str) -> None:
    hold = b.decide(b.patient(**what))
    assert isinstance(hold, Hold)
    assert hold.reason == reason


HELD = {"updating": "2 of its machines wait for newer ones", "held": True}


@pytest.mark.parametrize("outdated", [True, False])
@pytest.mark.parametrize("done", [a for a in b.LADDER[2:-1] if a is not Action.REPLACE])
def test_while_an_update_is_held_nodes_are_repaired_but_not_replaced(done: Action, *, outdated: bool) -> None:
    """`done`: the step before, which has not helped."""
    after = b.progress(done, started=99999, failed="no answer")
    found = b.decide(b.patient(progress=after, outdated=outdated, node="n-1"), **HELD)
    following = b.LADDER[b.LADDER.index(done) + 1]
    if following is Action.REPLACE:
        assert isinstance(found, Hold)
        assert (found.reason, found.action) == (Reason.UPDATE_UNDER_WAY, Action.REPLACE)
    else:
        assert isinstance(found, Act)
        assert found.action is following


def test_a_machine_that_never_joined_is_left_to_the_update() -> None:
    hold = b.decide(b.patient(node=None), **HELD)
    assert isinstance(hold, Hold)
    assert hold.reason == Reason.UPDATE_UNDER_WAY


@pytest.mark.parametrize(("most", "out", "begins"), [(1, 0, True), (1, 1, False), (2, 1, True), (2, 2, False)])
def test_what_a_held_update_has_out_counts_for_the_budget_of_its_pool(most: int, out: int, *, begins: bool) -> None:
    limits = Limits(max_in_flight=most)
    found = b.decide(b.patient(node="n-1"), **HELD, out=out, policy=b.policy(limits=limits))
    if begins:
        assert isinstance(found, Act)
    else:
        assert isinstance(found, Hold)
        assert found.reason == Reason.BUDGET_SPENT
        assert f"{out} of at most {most} nodes are under repair, or replaced by an update" in found.message


def test_off_decides_nothing() -> None:
    assert plan(b.fleet(b.patient(), mode=Mode.OFF), b.NOW).decisions == ()


def test_a_machine_that_goes_is_left_alone_and_one_that_is_replaced_waited_for() -> None:
    reboot = b.progress(Action.SOFT_REBOOT, started=5)
    hold = b.decide(b.patient(progress=reboot, deleting=True))
    assert isinstance(hold, Hold)
    assert hold.reason == "MachineDeleting"
    assert isinstance(b.decide(b.patient(progress=b.progress(Action.REPLACE, started=9000), deleting=True)), Wait)


def test_a_patient_of_an_unknown_pool_waits() -> None:
    known = b.fleet(b.patient())
    hold = plan(Fleet({}, known.clusters, known.sites, known.patients, known.limits), b.NOW).decisions[0]
    assert isinstance(hold, Hold)
    assert hold.reason == "FactsMissing"


def test_a_request_goes_before_others_and_masters_before_workers() -> None:
    master = {"control_plane": True, "pool": (*b.CLUSTER, "")}
    sick = [
        b.patient(b.finding(since=400), name="late"),
        b.patient(b.finding(since=900), name="early"),
        b.patient(b.finding(since=400), name="master", **master),
        b.patient(b.asked(), name="asked"),
        b.patient(name="flying", progress=b.progress(Action.SOFT_REBOOT, started=30)),
    ]
    order = list(b.decisions(sick, masters=3, healthy_masters=2))
    assert order == ["flying", "asked", "master", "early", "late"]
    assert order == list(b.decisions(reversed(sick), masters=3, healthy_masters=2))


def test_a_request_for_a_step_is_that_step_after_a_drain() -> None:
    act = b.decide(b.patient(b.asked(Action.HARD_REBOOT)))
    assert isinstance(act, Act)
    assert act.action is Action.DRAIN
    drained = b.progress(Action.DRAIN, started=60, acted=b.ago(5))
    act = b.decide(b.patient(b.asked(Action.HARD_REBOOT), progress=drained))
    assert isinstance(act, Act)
    assert act.action is Action.HARD_REBOOT


def test_a_request_for_what_the_ladder_does_not_have_is_refused() -> None:
    hold = b.decide(b.patient(b.asked(Action.POWER_CYCLE)))
    assert isinstance(hold, Hold)
    assert hold.reason == "NotOnLadder"
    assert "Wait, RestartDevicePlugin, Drain" in hold.message


def test_a_request_that_was_served_is_over_though_it_is_still_written() -> None:
    done = b.progress(Action.HARD_REBOOT, started=120, acted=b.ago(100))
    finish = b.decide(b.patient(b.asked(Action.HARD_REBOOT), progress=done, boot_id="boot-2"))
    assert isinstance(finish, Finish)
    assert finish.healed


def test_a_request_that_cannot_be_done_does_not_climb() -> None:
    failed = b.progress(Action.HARD_REBOOT, started=120, failed="HTTP 409")
    finish = b.decide(b.patient(b.asked(Action.HARD_REBOOT), progress=failed))
    assert isinstance(finish, Finish)
    assert not finish.healed
    assert "HTTP 409" in finish.message


def test_a_request_passes_breakers_but_no_budget() -> None:
    tight = b.policy(limits=Limits(max_in_flight=1, max_unhealthy=0))
    sick = [b.patient(name="sick"), b.patient(b.asked(Action.DRAIN), name="asked")]
    found = b.decisions(sick, policy=tight)
    assert isinstance(found["asked"], Act)
    assert isinstance(found["sick"], Hold)
    assert found["sick"].reason == "TooManySick"
    flying = b.patient(name="flying", progress=b.progress(Action.SOFT_REBOOT, started=30))
    held = b.decisions([*sick, flying], policy=tight)["asked"]
    assert isinstance(held, Hold)
    assert held.reason == "BudgetSpent"


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Reason)
    assert all(text.endswith(".") and len(text) < 120 for text in MEANINGS.values())


def test_the_next_look_is_the_earliest_of_all() -> None:
    two = [b.patient(b.finding(since=250), name="soon"), b.patient(b.finding(since=10), name="later")]
    assert plan(b.fleet(*two), b.NOW).look_again == b.NOW + timedelta(seconds=50)
