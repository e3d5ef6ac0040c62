"""How a step that has begun goes on."""

from __future__ import annotations

import pytest

from kaas.api.repair import Action, RepairPolicy, Step
from kaas.repairs.decisions import Act, Finish, Hold, Wait, Watch
from kaas.repairs.facts import Finding, Patient, Progress, Sight
from tests.unit.repairs import builders as b

WELL: dict[str, object] = {"well_since": b.ago(40), "boot_id": "boot-2"}


def healed(action: Action, **more: object) -> Patient:
    """Nothing is wrong with it any more."""
    fields = {k: more.pop(k) for k in list(more) if k in Patient.__slots__}
    step = b.progress(action, **{"started": 120, "acted": b.ago(100), **more})  # type: ignore[arg-type]
    return Patient(b.machine(), progress=step, **{"ready": True, **WELL, **fields})  # type: ignore[arg-type]


def retrying(retries: int = 1, backoff: int = 60) -> RepairPolicy:
    steps = [Step(action=a, retries=retries, backoff_seconds=backoff) for a in b.LADDER]
    return b.policy(steps=tuple(steps))


def test_a_step_is_waited_for_until_its_time_is_over() -> None:
    wait = b.decide(b.patient(progress=b.progress(Action.SOFT_REBOOT, started=100)))
    assert isinstance(wait, Wait)
    assert wait.until == b.later(500)


def test_a_step_that_is_done_has_time_to_help() -> None:
    wait = b.decide(b.patient(progress=b.progress(Action.SOFT_REBOOT, started=100, acted=b.ago(90))))
    assert isinstance(wait, Wait)
    assert "not yet helped" in wait.message


@pytest.mark.parametrize("more", [{"failed": "HTTP 409"}, {"started": 601}, {"started": 601, "acted": b.ago(500)}])
def test_what_failed_or_took_too_long_makes_room_for_the_next_step(more: dict[str, object]) -> None:
    step = b.progress(Action.SOFT_REBOOT, **{"started": 100, **more})  # type: ignore[arg-type]
    act = b.decide(b.patient(progress=step))
    assert isinstance(act, Act)
    assert (act.action, act.number, act.skipped) == (Action.HARD_REBOOT, 1, ())


def test_it_is_tried_again_after_a_pause_as_often_as_the_ladder_says() -> None:
    late = b.progress(Action.SOFT_REBOOT, started=630)
    hold = b.decide(b.patient(progress=late), policy=retrying())
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.until, hold.action) == ("BackOff", b.later(30), Action.SOFT_REBOOT)
    act = b.decide(b.patient(progress=b.progress(Action.SOFT_REBOOT, started=660)), policy=retrying())
    assert isinstance(act, Act)
    assert (act.action, act.number) == (Action.SOFT_REBOOT, 2)
    act = b.decide(b.patient(progress=b.progress(Action.SOFT_REBOOT, started=660, number=2)), policy=retrying())
    assert isinstance(act, Act)
    assert (act.action, act.number) == (Action.HARD_REBOOT, 1)


def test_the_pause_after_a_failure_counts_from_it() -> None:
    failed = b.progress(Action.SOFT_REBOOT, started=100, failed="HTTP 409", not_before=b.ago(50))
    hold = b.decide(b.patient(progress=failed), policy=retrying())
    assert isinstance(hold, Hold)
    assert hold.until == b.later(10)


def test_a_worse_finding_ends_the_tries() -> None:
    step = b.progress(Action.SOFT_REBOOT, started=630)
    act = b.decide(b.patient(b.finding(Action.HARD_REBOOT), progress=step), policy=retrying())
    assert isinstance(act, Act)
    assert (act.action, act.number) == (Action.HARD_REBOOT, 1)


def test_a_drain_that_is_done_is_followed_at_once() -> None:
    act = b.decide(b.patient(progress=b.progress(Action.DRAIN, started=20, acted=b.ago(1))))
    assert isinstance(act, Act)
    assert act.action is Action.SOFT_REBOOT


def test_a_drain_that_takes_too_long_is_followed_too() -> None:
    act = b.decide(b.patient(progress=b.progress(Action.DRAIN, started=601)))
    assert isinstance(act, Act)
    assert act.action is Action.SOFT_REBOOT


def test_nothing_follows_while_what_is_wrong_is_tolerated() -> None:
    tolerated = b.finding(since=10)
    watch = b.decide(b.patient(tolerated, progress=b.progress(Action.DRAIN, started=20, acted=b.ago(1))))
    assert isinstance(watch, Watch)
    assert watch.reason == "Tolerated"


@pytest.mark.parametrize("action", [Action.WAIT, Action.RESTART_DEVICE_PLUGIN, Action.DRAIN, Action.SOFT_REBOOT])
def test_a_node_that_stays_well_is_healed(action: Action) -> None:
    finish = b.decide(healed(action))
    assert isinstance(finish, Finish)
    assert finish.healed


def test_it_has_to_stay_well_for_a_while() -> None:
    watch = b.decide(healed(Action.SOFT_REBOOT, well_since=b.ago(10)))
    assert isinstance(watch, Watch)
    assert (watch.reason, watch.until) == ("Settling", b.later(20))


@pytest.mark.parametrize("more", [{"boot_id": "boot-1"}, {"boot_id": ""}, {"ready": False}])
@pytest.mark.parametrize("action", [Action.SOFT_REBOOT, Action.HARD_REBOOT])
def test_a_reboot_has_to_show(action: Action, more: dict[str, object]) -> None:
    wait = b.decide(healed(action, **more))
    assert isinstance(wait, Wait)
    assert wait.until == b.later(480)


def test_a_node_that_is_well_and_never_rebooted_is_not_climbed_on() -> None:
    finish = b.decide(healed(Action.SOFT_REBOOT, boot_id="boot-1", started=601))
    assert isinstance(finish, Finish)
    assert finish.healed


def test_a_reboot_that_is_under_way_is_not_called_off_but_a_drain_is() -> None:
    assert isinstance(b.decide(healed(Action.SOFT_REBOOT, acted=None)), Wait)
    assert isinstance(b.decide(healed(Action.DRAIN, acted=None)), Finish)
    assert isinstance(b.decide(healed(Action.SOFT_REBOOT, acted=None, failed="HTTP 409")), Finish)


def test_a_replacement_is_waited_for() -> None:
    assert isinstance(b.decide(b.patient(progress=b.progress(Action.REPLACE, started=50, acted=b.ago(40)))), Wait)
    assert isinstance(b.decide(healed(Action.REPLACE)), Wait)
    act = b.decide(b.patient(progress=b.progress(Action.REPLACE, started=601, acted=b.ago(40))))
    assert isinstance(act, Act)
    assert act.action is Action.QUARANTINE


@pytest.mark.parametrize("findings", [(b.finding(),), ()])
def test_a_quarantined_node_stays_until_a_person_releases_it(findings: tuple[Finding, ...]) -> None:
    kept = b.progress(Action.QUARANTINE, started=9000, acted=b.ago(8000), quarantined=b.ago(8000))
    hold = b.decide(Patient(b.machine(skip=True), findings, progress=kept, well_since=None if findings else b.ago(99)))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.action) == ("Quarantined", Action.QUARANTINE)
    assert "kaas repair release" in hold.message


def test_after_the_last_step_a_person_is_waited_for() -> None:
    short = b.policy(Action.SOFT_REBOOT)
    step = b.progress(Action.SOFT_REBOOT, started=601, ladder=(Action.SOFT_REBOOT,))
    hold = b.decide(b.patient(progress=step), policy=short)
    assert isinstance(hold, Hold)
    assert hold.reason == "LadderEnded"


def test_a_repair_that_only_the_health_check_began_takes_its_first_step() -> None:
    made = Progress(began=b.ago(5), cause="HealthCheck")
    assert isinstance(b.decide(b.patient(progress=made)), Act)
    finish = b.decide(Patient(b.machine(), progress=made, well_since=b.ago(60)))
    assert isinstance(finish, Finish)


@pytest.mark.parametrize(
    ("ladder", "expected"),
    [
        ((Action.DRAIN, Action.HARD_REBOOT, Action.SOFT_REBOOT, Action.REPLACE), Action.REPLACE),
        ((Action.DRAIN, Action.HARD_REBOOT), Action.HARD_REBOOT),
        ((Action.REPLACE,), Action.REPLACE),
    ],
)
def test_a_ladder_that_changed_meanwhile(ladder: tuple[Action, ...], expected: Action) -> None:
    act = b.decide(b.patient(progress=b.progress(Action.SOFT_REBOOT, started=601)), policy=b.policy(*ladder))
    assert isinstance(act, Act)
    assert act.action is expected


def test_the_time_of_a_step_stands_still_while_nothing_is_seen() -> None:
    step = b.progress(Action.SOFT_REBOOT, started=601)
    for blind in ({"sight": Sight(False, b.ago(9), "away")}, {"cloud": Sight(False, b.ago(9), "away")}):
        assert isinstance(b.decide(b.patient(progress=step), **blind), Hold)
    for seen in ({"sight": Sight(True, b.ago(9))}, {"cloud": Sight(True, b.ago(9))}):
        wait = b.decide(b.patient(progress=step), **seen)
        assert isinstance(wait, Wait)
        assert wait.until == b.later(51 + 600)
