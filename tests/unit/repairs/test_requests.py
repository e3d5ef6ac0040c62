"""A person asks for a repair and names no step: what is done, and when that was done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kaas.api.repair import Action, RepairPolicy
from kaas.repairs.decisions import Act, Decision, Finish, Hold, Wait
from kaas.repairs.facts import Finding, Progress
from kaas.repairs.ladders import LADDERS, PoolKind
from tests.unit.repairs import builders as b

DRAIN, SOFT, HARD, CYCLE = Action.DRAIN, Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.POWER_CYCLE
PLUGIN, REPLACE = Action.RESTART_DEVICE_PLUGIN, Action.REPLACE


def ladder_of(policy: RepairPolicy) -> list[Action]:
    return [s.action for s in policy.steps]


def asked_on(policy: RepairPolicy, *others: Finding, progress: Progress | None = None) -> Decision:
    return b.decide(b.patient(b.asked(), *others, progress=progress), policy=policy)


def begins_with(policy: RepairPolicy, *others: Finding) -> list[Action]:
    """The steps that are begun one after the other, each drain being done, up to the first that is no drain."""
    act = asked_on(policy, *others)
    assert isinstance(act, Act)
    begun = [act.action]
    if act.action is DRAIN:
        drained = b.progress(DRAIN, started=1, acted=b.ago(1), ladder=ladder_of(policy))
        act = asked_on(policy, *others, progress=drained)
        assert isinstance(act, Act)
        begun.append(act.action)
    return begun


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (PoolKind.VM, [DRAIN, SOFT]),
        (PoolKind.GPU_VM, [DRAIN, SOFT]),
        (PoolKind.BARE_METAL, [DRAIN, SOFT]),
        (PoolKind.CONTROL_PLANE, [DRAIN, SOFT]),
        (PoolKind.DEV, [REPLACE]),
    ],
)
def test_a_node_that_is_well_is_drained_and_rebooted_at_once(kind: PoolKind, expected: list[Action]) -> None:
    assert begins_with(LADDERS[kind]) == expected


@pytest.mark.parametrize(
    ("kind", "entry", "expected"),
    [
        (PoolKind.VM, HARD, [DRAIN, HARD]),
        (PoolKind.VM, CYCLE, [DRAIN, REPLACE]),
        (PoolKind.GPU_VM, PLUGIN, [DRAIN, SOFT]),
        (PoolKind.BARE_METAL, PLUGIN, [DRAIN, SOFT]),
        (PoolKind.BARE_METAL, CYCLE, [DRAIN, CYCLE]),
        (PoolKind.BARE_METAL, REPLACE, [DRAIN, Action.QUARANTINE]),
    ],
)
def test_what_is_tolerated_still_is_begun_with_at_once(kind: PoolKind, entry: Action, expected: list[Action]) -> None:
    assert begins_with(LADDERS[kind], b.finding(entry, since=1, tolerance=900)) == expected


@pytest.mark.parametrize(
    ("ladder", "expected"),
    [
        ([Action.WAIT, HARD], HARD),
        ([Action.WAIT, PLUGIN, DRAIN], DRAIN),
        ([Action.WAIT, PLUGIN], PLUGIN),
    ],
)
def test_a_ladder_of_ones_own_does_what_it_has(ladder: Sequence[Action], expected: Action) -> None:
    act = asked_on(b.policy(*ladder))
    assert isinstance(act, Act)
    assert act.action is expected


def test_a_ladder_that_only_waits_says_that_nothing_can_be_done() -> None:
    hold = asked_on(b.policy(Action.WAIT))
    assert isinstance(hold, Hold)
    assert hold.reason == "LadderEnded"


def test_a_machine_without_a_server_is_replaced() -> None:
    act = b.decide(b.patient(b.asked(), server=None, node=None))
    assert isinstance(act, Act)
    assert act.action is REPLACE


def test_a_drain_or_a_restarted_plugin_does_not_serve_a_request() -> None:
    for action in (Action.WAIT, PLUGIN):
        act = b.decide(b.patient(b.asked(), progress=b.progress(action, started=5, acted=b.ago(4))))
        assert isinstance(act, Act), action
        assert act.action is DRAIN
    act = b.decide(b.patient(b.asked(), progress=b.progress(DRAIN, started=5, acted=b.ago(4))))
    assert isinstance(act, Act)
    assert act.action is SOFT


@pytest.mark.parametrize("more", [{"failed": "HTTP 403"}, {"started": 601}])
def test_a_drain_that_does_not_end_well_is_not_the_end_of_a_request(more: dict[str, object]) -> None:
    for asked in (b.asked(), b.asked(SOFT)):
        act = b.decide(b.patient(asked, progress=b.progress(DRAIN, **{"started": 5, **more})))  # type: ignore[arg-type]
        assert isinstance(act, Act)
        assert act.action is SOFT


def test_a_reboot_serves_it_and_has_to_show() -> None:
    under_way = b.progress(SOFT, started=50)
    assert isinstance(b.decide(b.patient(b.asked(), progress=under_way)), Wait)
    rebooted = b.progress(SOFT, started=200, acted=b.ago(100))
    assert isinstance(b.decide(b.patient(b.asked(), progress=rebooted)), Wait)
    finish = b.decide(b.patient(b.asked(), progress=rebooted, boot_id="boot-2", well_since=b.ago(60)))
    assert isinstance(finish, Finish)
    assert finish.healed


def test_a_reboot_that_nova_refuses_ends_it_and_says_so() -> None:
    finish = b.decide(b.patient(b.asked(), progress=b.progress(SOFT, started=50, failed="HTTP 409")))
    assert isinstance(finish, Finish)
    assert not finish.healed
    assert "HTTP 409" in finish.message


def test_what_else_is_wrong_is_climbed_for_as_usual_once_the_request_is_served() -> None:
    rebooted = b.progress(SOFT, started=601, acted=b.ago(500))
    act = b.decide(b.patient(b.asked(), b.finding(), progress=rebooted))
    assert isinstance(act, Act)
    assert (act.action, act.cause) == (HARD, "Sick")
    worse = b.finding(CYCLE, since=1, tolerance=300, signal="Worse")
    wait = b.decide(b.patient(b.asked(), worse, progress=b.progress(SOFT, started=50, acted=b.ago(40))))
    assert isinstance(wait, Wait)


def test_a_named_step_is_not_served_by_a_milder_one() -> None:
    act = b.decide(b.patient(b.asked(HARD), progress=b.progress(SOFT, started=601, acted=b.ago(500))))
    assert isinstance(act, Act)
    assert act.action is HARD


def test_a_named_restart_of_the_plugin_is_left_to_its_end() -> None:
    wait = b.decide(b.patient(b.asked(PLUGIN), progress=b.progress(PLUGIN, started=5)))
    assert isinstance(wait, Wait)
