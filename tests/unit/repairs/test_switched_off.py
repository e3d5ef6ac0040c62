"""Repairs are switched off in the middle of one: what has begun is ended, and the node is given back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaas.api.repair import Action, Mode, Step
from kaas.kube.objects import Object, annotation
from kaas.repairs.decisions import Act, Decision, Finish, Hold, Wait
from kaas.repairs.facts import Patient, Progress, ServerView
from kaas.repairs.planner import plan
from tests.unit.clusters.builders import pool
from tests.unit.repairs import builders as b
from tests.unit.repairs.fake_fleet import Fleet
from tests.unit.repairs.test_carry import CYCLE, is_clean, tries


def off(progress: Progress, *, well: bool = False, **more: Any) -> Decision:
    """What is decided in a pool whose mode is Off."""
    steps = tuple(Step(action=a, retries=1) for a in b.LADDER)
    sick = b.patient(progress=progress, **more)
    if well:
        sick = Patient(sick.machine, (), progress, well_since=b.ago(99), boot_id="boot-2", ready=True)
    return b.decide(sick, policy=b.policy(steps=steps, mode=Mode.OFF))


def test_nothing_is_said_of_a_node_for_which_nothing_has_begun() -> None:
    assert plan(b.fleet(b.patient(), mode=Mode.OFF), b.NOW).decisions == ()


@pytest.mark.parametrize("where", ["mode", "site_mode"])
def test_a_repair_ends_whoever_has_switched_it_off(where: str) -> None:
    sick = b.patient(progress=b.progress(Action.DRAIN, started=5))
    assert isinstance(b.decide(sick, **{where: Mode.OFF}), Finish)


@pytest.mark.parametrize("acted", [None, b.ago(4)])
@pytest.mark.parametrize("action", [Action.WAIT, Action.RESTART_DEVICE_PLUGIN, Action.DRAIN])
def test_what_can_be_left_is_left_at_once(action: Action, acted: Any) -> None:
    finish = off(b.progress(action, started=5, acted=acted))
    assert isinstance(finish, Finish)
    assert not finish.healed
    assert "switched off" in finish.message


@pytest.mark.parametrize("started", [5, 90000])
@pytest.mark.parametrize("action", [Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.REPLACE, Action.QUARANTINE])
def test_what_cannot_be_taken_back_is_ended_however_long_that_takes(action: Action, started: float) -> None:
    for well in (False, True):
        wait = off(b.progress(action, started=started), well=well)
        assert isinstance(wait, Wait)
        assert wait.until > b.NOW


def test_a_reboot_is_over_when_it_shows_or_its_time_is() -> None:
    rebooted = b.progress(Action.SOFT_REBOOT, started=100, acted=b.ago(50))
    assert isinstance(off(rebooted), Wait)
    assert isinstance(off(rebooted, boot_id="boot-2"), Finish)
    assert isinstance(off(b.progress(Action.SOFT_REBOOT, started=601, acted=b.ago(50))), Finish)


def test_a_node_that_is_well_counts_as_healed() -> None:
    finish = off(b.progress(Action.SOFT_REBOOT, started=100, acted=b.ago(90)), well=True)
    assert isinstance(finish, Finish)
    assert finish.healed


def test_a_step_that_failed_is_told() -> None:
    finish = off(b.progress(Action.SOFT_REBOOT, started=100, failed="HTTP 409"))
    assert isinstance(finish, Finish)
    assert "HTTP 409" in finish.message


def test_a_server_that_a_power_cycle_left_off_is_switched_on_as_often_as_the_ladder_says() -> None:
    ladder = (Action.DRAIN, Action.POWER_CYCLE)
    steps = tuple(Step(action=a, retries=1) for a in ladder)
    policy = b.policy(steps=steps, mode=Mode.OFF)
    dark = ServerView("server-m-1", "SHUTOFF")

    def then(**more: Any) -> Decision:
        failed = b.progress(Action.POWER_CYCLE, ladder=ladder, started=100, failed="HTTP 500", **more)
        return b.decide(replace(b.patient(progress=failed), server=dark), policy=policy)

    wait = then(not_before=b.ago(10))
    assert isinstance(wait, Wait)
    assert wait.until == b.later(50)
    act = then(not_before=b.ago(60))
    assert isinstance(act, Act)
    assert (act.action, act.number, act.step) == (Action.POWER_CYCLE, 2, 1)
    assert isinstance(then(not_before=b.ago(60), number=2), Finish)


def test_a_quarantined_node_is_kept() -> None:
    kept = b.progress(Action.QUARANTINE, started=9000, acted=b.ago(8000), quarantined=b.ago(8000))
    hold = off(kept)
    assert isinstance(hold, Hold)
    assert hold.reason == "Quarantined"


def test_a_machine_that_is_being_replaced_or_deleted_is_not_given_back() -> None:
    replaced = b.progress(Action.REPLACE, started=5, acted=b.ago(4))
    assert isinstance(off(replaced, deleting=True), Wait)
    assert isinstance(off(b.progress(Action.DRAIN, started=5), deleting=True), Hold)


# -- in the world in memory -------------------------------------------------------------------------------------------


def switch_pool(fleet: Fleet, mode: str = "Off") -> None:
    steps = {"template": "own"} if fleet.steps else {}
    fleet.api.change(fleet.cluster(), {"spec": {"nodePools": [pool(repair={**steps, "mode": mode})]}})


def switch_site(fleet: Fleet) -> None:
    site: Object = fleet.api.objects["Site.kaas.internal", "", "north"]
    fleet.api.change(site, {"spec": {"repair": {"mode": "Off"}}})
    fleet._add(("cluster", "tenants", "team"))


def switch_fleet(fleet: Fleet) -> None:
    """The controller begins anew with another option."""
    fleet.settings = type(fleet.settings)(mode=Mode.OFF)
    fleet.start()


SWITCHES = [switch_pool, switch_site, switch_fleet]


async def until(fleet: Fleet, action: str) -> None:
    """Let time pass until the repair of m-1 has come to a step."""
    for _ in range(300):
        await fleet.run(2)
        repair = fleet.repair("m-1")
        if repair is not None and (repair.get("status") or {}).get("action") == action:
            return
    raise AssertionError(f"{action} never began")


def hold_pods(fleet: Fleet) -> None:
    """A Pod that the drain has to wait for."""
    meta = {"name": "mine", "namespace": "default", "annotations": {}}
    spec = {"nodeName": "m-1", "containers": []}
    fleet.workload.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {}})


@pytest.mark.parametrize("switch", SWITCHES)
async def test_in_the_middle_of_a_drain_the_node_is_given_back(switch: Any) -> None:
    fleet = Fleet()
    hold_pods(fleet)
    fleet.kubelet("m-1", "False")
    await until(fleet, "Drain")
    await fleet.run(10)
    assert fleet.node("m-1")["spec"]["unschedulable"]
    switch(fleet)
    await fleet.run(120)
    assert is_clean(fleet)
    assert tries(fleet) == [("Drain", "CalledOff")]
    assert "switched off" in (annotation(fleet.machine("m-1"), "kaas.internal/repair-history") or "")
    assert "NodeRepairEnded" in fleet.events.said
    assert "repair" not in fleet.cluster()["status"]
    written = len(fleet.api.writes)
    await fleet.run(7200)
    assert len(fleet.api.writes) == written
    assert fleet.nova.actions == {}


@pytest.mark.parametrize("switch", SWITCHES)
async def test_a_server_that_is_off_is_switched_on_before_its_node_is_given_back(switch: Any) -> None:
    fleet = Fleet(helps="start", steps=CYCLE)
    fleet.kubelet("m-1", "Unknown")
    await until(fleet, "PowerCycle")
    assert fleet.nova.asked("s-1") == ["stop"]
    switch(fleet)
    await fleet.run(300)
    assert fleet.nova.asked("s-1") == ["stop", "start"]
    assert fleet.nova.facts["s-1"].status == "ACTIVE"
    assert is_clean(fleet)


@pytest.mark.parametrize("switch", SWITCHES)
async def test_a_node_in_quarantine_stays_there_until_a_person_releases_it(switch: Any) -> None:
    fleet = Fleet(steps=("Quarantine",))
    fleet.kubelet("m-1", "False")
    await fleet.run(900)
    switch(fleet)
    await fleet.run(900)
    assert fleet.node("m-1")["spec"]["unschedulable"]
    fleet.annotate(fleet.machine("m-1"), repair_released="now")
    await fleet.run(60)
    assert is_clean(fleet)


async def test_switched_off_and_killed_anywhere_it_ends_the_same() -> None:
    moment, done = 0, False
    while not done:
        moment += 1
        fleet = Fleet(helps="start", steps=CYCLE)
        fleet.kubelet("m-1", "Unknown")
        await until(fleet, "PowerCycle")
        fleet.fate.kill_at = fleet.fate.moments + moment
        switch_pool(fleet)
        await fleet.run(600)
        assert fleet.nova.asked("s-1") == ["stop", "start"], moment
        assert is_clean(fleet), moment
        done = fleet.fate.kill_at is not None
