"""Whole repairs in a world in memory: what is done, in which order it is written down, and what a kill leaves."""

from __future__ import annotations

import json

import pytest

from kaas.api.repair import Mode
from kaas.kube import resources
from kaas.kube.objects import annotation
from kaas.kube.resources import REMEDIATE_ANNOTATION, SKIP_REMEDIATION_ANNOTATION
from kaas.repairs import records
from kaas.repairs.facts import Sight
from tests.unit.repairs.fake_fleet import KEY, Fleet


def tries(fleet: Fleet, name: str = "m-1") -> list[tuple[str, str]]:
    told = json.loads(annotation(fleet.machine(name), "kaas.internal/repair-history") or "[]")
    return [(t["action"], t["outcome"]) for t in told]


def is_clean(fleet: Fleet, name: str = "m-1") -> bool:
    node = fleet.node(name)
    marks = [
        annotation(fleet.machine(name), note)
        for note in (REMEDIATE_ANNOTATION, SKIP_REMEDIATION_ANNOTATION, "kaas.internal/repair-released")
    ]
    return fleet.repair(name) is None and marks == [None] * 3 and not node["spec"].get("unschedulable")


async def test_a_dead_kubelet_is_healed_by_a_reboot() -> None:
    fleet = Fleet()
    await fleet.run(60)
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(1200)
    assert fleet.nova.asked("s-1") == ["reboot"]
    assert tries(fleet) == [("Drain", "Succeeded"), ("SoftReboot", "Succeeded")]
    assert is_clean(fleet)
    assert not fleet.failures


async def test_every_step_is_written_down_before_it_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet()
    fleet.kubelet("m-1", "Unknown")
    begun: list[str] = []
    ask = fleet.nova.reboot

    async def reboot(site: str, server: str, *, hard: bool) -> str:
        repair = fleet.repair("m-1")
        begun.append(repair["status"]["action"] if repair else "nothing")
        return await ask(site, server, hard=hard)

    monkeypatch.setattr(fleet.nova, "reboot", reboot)
    await fleet.run(1200)
    assert begun == ["SoftReboot"]
    kinds = [(verb, kind) for verb, kind, _ in fleet.api.writes if kind in ("Machine", "NodeRepair")]
    assert kinds[:3] == [("patch", "Machine"), ("create", "NodeRepair"), ("status", "NodeRepair")]
    assert kinds[-2:] == [("patch", "Machine"), ("delete", "NodeRepair")]


async def moments_of(helps: str) -> int:
    fleet = await sick_fleet(None, helps)
    await fleet.run(3000)
    assert is_clean(fleet)
    return fleet.fate.moments


async def sick_fleet(kill_at: int | None, helps: str = "reboot") -> Fleet:
    fleet = Fleet(kill_at=kill_at, helps=helps)
    fleet.kubelet("m-1", "Unknown")
    return fleet


async def test_killed_anywhere_it_ends_the_same() -> None:
    for moment in range(1, await moments_of("reboot") + 1):
        fleet = await sick_fleet(moment)
        await fleet.run(3000)
        assert fleet.fate.kill_at is None, moment
        assert fleet.nova.asked("s-1") == ["reboot"], moment
        assert tries(fleet) == [("Drain", "Succeeded"), ("SoftReboot", "Succeeded")], moment
        assert is_clean(fleet), moment


CYCLE = ("Drain", "PowerCycle", "Quarantine")


async def test_a_power_cycle_that_is_cut_off_is_ended_by_the_next_process() -> None:
    whole = Fleet(helps="start", steps=CYCLE)
    whole.kubelet("m-1", "Unknown")
    await whole.run(2000)
    for moment in range(1, whole.fate.moments + 1):
        fleet = Fleet(kill_at=moment, helps="start", steps=CYCLE)
        fleet.kubelet("m-1", "Unknown")
        await fleet.run(2000)
        assert fleet.nova.asked("s-1") == ["stop", "start"], moment
        assert fleet.nova.facts["s-1"].status == "ACTIVE", moment
        assert tries(fleet) == [("Drain", "Succeeded"), ("PowerCycle", "Succeeded")], moment
        assert is_clean(fleet), moment


async def test_a_cluster_that_is_away_is_asked_again_soon() -> None:
    fleet = Fleet()
    fleet.kubelet("m-1", "Unknown")
    fleet.cut_off(away=True)
    await fleet.run(600)
    repair = fleet.repair("m-1")
    assert repair is not None
    assert repair["status"]["action"] == "Drain"
    assert "it does not answer" in repair["status"]["message"]
    assert fleet.nova.asked("s-1") == []
    assert fleet.due["node", "tenants", "m-1"] - fleet.clock.monotonic() <= 15
    fleet.cut_off(away=False)
    await fleet.run(1200)
    assert fleet.nova.asked("s-1") == ["reboot"]
    assert is_clean(fleet)
    assert not fleet.failures


async def quarantined(kill_at: int | None = None) -> Fleet:
    fleet = Fleet(kill_at=kill_at, steps=("Quarantine",), ticket_url="https://tickets.test/")
    fleet.kubelet("m-1", "False")
    await fleet.run(900)
    return fleet


async def test_a_quarantined_node_is_kept_until_a_person_releases_it() -> None:
    fleet = await quarantined()
    await fleet.run(1800)
    repair = fleet.repair("m-1")
    assert repair is not None
    assert repair["status"]["phase"] == "Quarantined"
    assert annotation(fleet.machine("m-1"), SKIP_REMEDIATION_ANNOTATION) == ""
    assert fleet.node("m-1")["spec"]["unschedulable"]
    assert len(fleet.tickets) == 1
    assert fleet.tickets[0]["release"] == "kaas repair release m-1 --namespace tenants"
    fleet.kubelet("m-1", "True")
    fleet.annotate(fleet.machine("m-1"), repair_released="now")
    await fleet.run(60)
    assert is_clean(fleet)
    assert not fleet.node("m-1")["spec"].get("taints")
    assert tries(fleet) == [("Quarantine", "CalledOff")]


async def test_a_release_that_is_cut_off_is_carried_out_by_the_next_process() -> None:
    before = (await quarantined()).fate.moments
    for moment in range(1, before + 40):
        fleet = await quarantined(moment)
        fleet.kubelet("m-1", "True")
        fleet.annotate(fleet.machine("m-1"), repair_released="now")
        await fleet.run(300)
        assert is_clean(fleet), moment
        assert len({json.dumps(t) for t in fleet.tickets}) == 1, moment
        if fleet.fate.kill_at is not None:
            return
    raise AssertionError("the repair has no end")


async def test_a_machine_that_was_replaced_is_done_with() -> None:
    fleet = Fleet(steps=("Replace",))
    fleet.kubelet("m-1", "False")
    await fleet.run(900)
    machine = fleet.machine("m-1")
    said = {c["type"]: c["status"] for c in machine["status"]["conditions"]}
    assert (said["HealthCheckSucceeded"], said["OwnerRemediated"]) == ("False", "False")
    deployment = fleet.index.get(resources.MACHINE_DEPLOYMENT, "tenants", "team-cpu")
    assert deployment is not None
    assert len(json.loads(annotation(deployment, "kaas.internal/repair-replaced") or "[]")) == 1
    gone = fleet.repair("m-1")
    assert gone is not None
    fleet.workload.remove(fleet.node("m-1"))
    fleet.api.objects.pop(("Machine.cluster.x-k8s.io", "tenants", "m-1"))  # the garbage collector comes later
    fleet._changed(machine, True)
    await fleet.run(60)
    assert fleet.ward.treatments == {}
    assert fleet.metrics_of("kaas_repairs_total") == 1
    fleet.api.remove(gone)
    await fleet.run(60)
    assert fleet.ward.closed == {}
    assert "repair" not in fleet.cluster()["status"]


async def test_what_a_machine_health_check_asks_for_is_told_why_it_waits() -> None:
    fleet = Fleet()
    fleet.api.change(fleet.cluster(), {"metadata": {"annotations": {"kaas.internal/repair-paused": "moving"}}})
    fleet.kubelet("m-1", "False")
    await fleet.run(900)
    assert fleet.repair("m-1") is None
    policy = fleet.ward._pools["tenants", "team", "cpu"].policy
    fleet.api.put(records.node_repair(fleet.machine("m-1"), policy))
    await fleet.run(60)
    repair = fleet.repair("m-1")
    assert repair is not None
    assert repair["status"]["phase"] == "Held"
    held = next(c for c in repair["status"]["conditions"] if c["type"] == "Held")
    assert (held["status"], held["reason"]) == ("True", "Paused")
    assert "moving" in repair["status"]["message"]


@pytest.mark.parametrize("mode", [Mode.DRY_RUN, Mode.OFF])
async def test_modes_that_do_nothing_write_nothing_but_status(mode: Mode) -> None:
    fleet = Fleet(mode=mode)
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(1800)
    wrote = {(verb, kind) for verb, kind, _ in fleet.api.writes if kind != "NodeRepairTemplate"}
    assert wrote == ({("status", "Cluster")} if mode is Mode.DRY_RUN else set())
    assert (fleet.workload.writes, fleet.nova.actions) == ([], {})
    if mode is Mode.DRY_RUN:
        assert fleet.cluster()["status"]["repair"]["nodes"][0]["state"] == "DryRun"


async def test_at_rest_nothing_is_written() -> None:
    fleet = Fleet()
    await fleet.run(60)
    fleet.api.writes.clear()
    fleet.start()
    await fleet.run(7200)
    assert fleet.api.writes == []
    fleet.kubelet("m-1", "Unknown")
    fleet.annotate(fleet.cluster(), repair_paused="moving")
    await fleet.run(900)
    written = len(fleet.api.writes)
    await fleet.run(7200)  # sick, and held back for two hours
    assert len(fleet.api.writes) == written


async def test_clocks_do_not_begin_anew_with_the_controller() -> None:
    fleet = Fleet()
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(120)
    first = fleet.ward.patients["tenants", "m-1"].findings[0].due
    fleet.nodes.known = None
    fleet.start()
    await fleet.run(20)
    assert fleet.repair("m-1") is None
    fleet.nodes.known = Sight(True, fleet.clock.now())
    fleet._add(("cluster", *KEY))
    await fleet.run(0)
    assert fleet.ward.patients["tenants", "m-1"].findings[0].due == first
    await fleet.run((first - fleet.clock.now()).total_seconds() + 1)
    assert fleet.repair("m-1") is not None


async def test_of_a_cloud_that_was_never_seen_no_server_is_gone() -> None:
    fleet = Fleet()
    fleet.nova.away = True
    fleet.start()
    fleet.nova.away = True
    await fleet.run(600)
    assert fleet.ward.patients == {}
