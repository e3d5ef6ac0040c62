"""What earlier repairs say."""

from __future__ import annotations

import pytest

from kaas.api.repair import Action, Memory
from kaas.repairs.decisions import Act
from kaas.repairs.facts import Try
from tests.unit.repairs import builders as b

DAY = 86400.0
R, H, X, Q = Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.REPLACE, Action.QUARANTINE
LADDER = (R, H, X, Q)


def entered(*history: Try, ladder: tuple[Action, ...] = LADDER, entry: Action = R, **memory: int) -> Act:
    sick = b.patient(b.finding(entry), history=history)
    act = b.decide(sick, policy=b.policy(*ladder, memory=Memory(**memory)))
    assert isinstance(act, Act)
    return act


@pytest.mark.parametrize(
    ("helped", "ago", "expected"), [(R, 100, H), (H, 100, X), (X, 100, Q), (R, DAY + 1, R), (Action.WAIT, 100, R)]
)
def test_it_begins_one_step_above_the_one_that_helped(helped: Action, ago: float, expected: Action) -> None:
    assert entered(b.tried(helped, ended=ago)).action is expected


def test_it_says_so() -> None:
    ((action, cause),) = entered(b.tried(R, ended=3600)).skipped
    assert action is R
    assert cause == "SoftReboot helped at 2026-03-02 11:00 UTC, and it is sick again"


def test_the_last_that_helped_counts_and_what_did_not_help_does_not() -> None:
    assert entered(b.tried(H, ended=900), b.tried(R, ended=100)).action is H
    assert entered(b.tried(R, ended=900), b.tried(H, ended=100, outcome="TimedOut")).action is H
    assert entered(b.tried(Action.DRAIN, ended=100)).action is R


def test_nothing_is_above_the_last_step() -> None:
    assert entered(b.tried(H, ended=100), ladder=(R, H)).action is H


def test_too_many_repairs_lead_to_the_end_of_the_ladder() -> None:
    three = [b.tried(R, ended=900 - i) for i in range(3)]
    assert entered(*three).action is X
    assert entered(*three).skipped[0] == (R, "3 repairs within 24 h")
    assert entered(*three, max_repairs=4).action is H
    assert entered(*three, b.tried(X, ended=90, outcome="TimedOut")).action is Q
    assert entered(*three, b.tried(X, ended=90, outcome="Skipped")).action is X
    assert entered(*three, ladder=(R, H, Q)).action is Q
    assert entered(*three, ladder=(R, H)).action is H


def test_the_drain_comes_first_all_the_same_and_is_followed_by_the_floor() -> None:
    ladder = (Action.DRAIN, *LADDER)
    helped = b.tried(R, ended=100)
    assert entered(helped, ladder=ladder).action is Action.DRAIN
    drained = b.progress(Action.DRAIN, started=60, acted=b.ago(1), ladder=ladder)
    act = b.decide(b.patient(history=(helped,), progress=drained), policy=b.policy(*ladder))
    assert isinstance(act, Act)
    assert act.action is H


def test_memory_looks_back_from_when_the_repair_began() -> None:
    ladder = (Action.DRAIN, *LADDER)
    drained = b.progress(Action.DRAIN, started=600, acted=b.ago(1), ladder=ladder)
    act = b.decide(b.patient(history=(b.tried(R, ended=DAY + 300),), progress=drained), policy=b.policy(*ladder))
    assert isinstance(act, Act)
    assert act.action is H


def test_a_person_who_asks_is_not_second_guessed() -> None:
    sick = b.patient(b.asked(R), history=(b.tried(R, ended=100),))
    act = b.decide(sick, policy=b.policy(*LADDER))
    assert isinstance(act, Act)
    assert act.action is R
