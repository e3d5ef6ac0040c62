"""Sick nodes on real CAPO machines: each healed by the mildest means that works, the others untouched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from kaas_lab.machines import faults
from kaas_lab.machines.faults import Fault
from kaas_lab.openstack import connect, load
from kaas_lab.openstack import faults as cloud_faults

from tests.e2e.hospital import GPUS, METAL, NAME, REPAIRS, VM, Hospital, cluster
from tests.e2e.platform import Platform, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def made(openstack: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    openstack.apply(VM, METAL, cluster())
    until("it is Ready", lambda: openstack.phase(NAME) == "Ready")
    kubeconfig = tmp_path_factory.mktemp("heal") / "kubeconfig"
    kubeconfig.write_text(openstack.kaas("kubeconfig", NAME).stdout)
    yield Hospital(openstack, kubeconfig, connect(load(openstack.layout, "lab"), "admin"))
    openstack.kaas("delete", NAME, "--wait", "--yes", "--timeout", "30m")


@pytest.fixture
def hospital(made: Hospital) -> Iterator[Hospital]:
    """Everybody well before and after, and nobody touched who was not ill: tests say who was."""
    made.is_well_again()
    made.forget()
    yield made
    faults.heal_all(made.site_state)
    cloud_faults.heal(made.platform.layout, "lab")


def others(before: dict[str, str], *sick: str) -> dict[str, str]:
    return {node: boot for node, boot in before.items() if node not in sick}


def test_a_dead_kubelet_is_healed_by_a_reboot(hospital: Hospital) -> None:
    before, uids, node = hospital.boots(), hospital.uids(), hospital.node
    server, acts = hospital.server(node), hospital.acts(node)
    hospital.break_(Fault("kubelet", node, until="reboot"))
    until("the repair has begun", lambda: hospital.repair(node))
    hospital.is_well_again()
    assert hospital.boots()[node] != before[node]
    assert hospital.server(node) == server
    assert hospital.acts(node) == [*acts, "reboot"]
    assert hospital.uids() == uids
    assert others(hospital.boots(), node) == others(before, node)
    assert hospital.tried(node)[-2:] == [("Drain", "Succeeded"), ("SoftReboot", "Succeeded")]


def test_three_at_once_are_healed_one_at_a_time(hospital: Hospital) -> None:
    before, uids = hospital.boots(), hospital.uids()
    sick = list(hospital.nodes("cpu"))
    most = Counter[str]()
    for node in sick:
        hospital.break_(Fault("condition", node, "KernelDeadlock", until="reboot"))

    def all_rebooted() -> bool:
        most["busy"] = max(most["busy"], hospital.busy())
        now = hospital.boots()
        return all(now[node] != before[node] for node in sick)

    until("all three were rebooted", all_rebooted)
    hospital.is_well_again()
    assert most["busy"] == 1
    assert hospital.uids() == uids
    assert others(hospital.boots(), *sick) == others(before, *sick)


def test_xid_79_is_healed_by_a_power_cycle(hospital: Hospital) -> None:
    before, uids = hospital.boots(), hospital.uids()
    (box,) = hospital.nodes("dgx")
    acts = hospital.acts(box)
    hospital.break_(faults.xid(box, 79, until="power-cycle"))
    until("the repair has begun", lambda: hospital.repair(box))
    hospital.is_well_again()
    assert hospital.acts(box) == [*acts, "stop", "start"]
    assert hospital.nodes("dgx")[box]["status"]["allocatable"]["nvidia.com/gpu"] == str(GPUS)
    assert not hospital.nodes("dgx")[box]["spec"].get("unschedulable")
    assert hospital.uids() == uids
    assert others(hospital.boots(), box) == others(before, box)


def test_missing_gpus_are_healed_by_the_device_plugin(hospital: Hospital) -> None:
    before = hospital.boots()
    (box,) = hospital.nodes("dgx")
    hospital.break_(Fault("gpu", box, missing=2, until="plugin"))
    until("the repair has begun", lambda: hospital.repair(box))
    hospital.is_well_again()
    assert hospital.boots() == before
    assert hospital.nodes("dgx")[box]["status"]["allocatable"]["nvidia.com/gpu"] == str(GPUS)
    assert hospital.tried(box)[-1] == ("RestartDevicePlugin", "Succeeded")


@pytest.mark.slow
def test_what_nova_refuses_is_followed_by_the_next_step(hospital: Hospital) -> None:
    before, node = hospital.boots(), hospital.node
    cloud_faults.break_servers(hospital.platform.layout, "lab", cloud_faults.Action.SOFT_REBOOT)
    hospital.break_(Fault("kubelet", node, until="hard-reboot"))
    until("it is rebooted hard", lambda: hospital.repair(node).get("action") == "HardReboot")
    hospital.is_well_again()
    assert hospital.boots()[node] != before[node]
    assert hospital.tried(node)[-1] == ("HardReboot", "Succeeded")


@pytest.mark.slow
@pytest.mark.parametrize("action", ["Drain", "HardReboot"])
def test_a_killed_controller_goes_on(hospital: Hospital, action: str) -> None:
    before, node = hospital.boots(), hospital.node
    acts = hospital.acts(node)
    hospital.run_pod("in-the-way", node, {"kaas.internal/do-not-disrupt": "true"})  # or a drain is over at once
    hospital.break_(Fault("condition", node, "KernelDeadlock", until="reboot"))
    until(f"{action} has begun", lambda: hospital.repair(node).get("action") == action)
    hospital.platform.stop_controller(hard=True)
    hospital.platform.start_controller()
    hospital.is_well_again()
    assert hospital.acts(node) == [*acts, "reboot"]
    assert hospital.boots()[node] != before[node]
    hospital.remove_pod("in-the-way")


def test_a_controller_killed_in_a_power_cycle_switches_on_again(hospital: Hospital) -> None:
    (box,) = hospital.nodes("dgx")
    acts = hospital.acts(box)
    hospital.break_(faults.xid(box, 79, until="power-cycle"))
    until("it is switched off", lambda: hospital.acts(box) == [*acts, "stop"])
    hospital.platform.stop_controller(hard=True)
    hospital.platform.start_controller()
    hospital.is_well_again()
    assert hospital.acts(box) == [*acts, "stop", "start"]
    assert hospital.nodes("dgx")[box]["status"]["allocatable"]["nvidia.com/gpu"] == str(GPUS)


def test_a_server_in_error_comes_back(hospital: Hospital) -> None:
    """Also for Cluster API: CAPO by itself never looks again at a server that it has seen in ERROR."""
    uids, node = hospital.uids(), hospital.node
    hospital.cloud.compute.reset_server_state(hospital.server(node), "error")
    until("the repair has begun", lambda: hospital.repair(node))
    hospital.is_well_again()
    assert hospital.uids() == uids
    assert hospital.cloud.compute.get_server(hospital.server(node)).status == "ACTIVE"
    states = "apis/infrastructure.cluster.x-k8s.io/v1alpha1/namespaces/default/openstackservers"
    until("CAPO knows", lambda: {o["status"]["instanceState"] for o in hospital.platform.items(states)} == {"ACTIVE"})


def test_what_a_person_asks_for_is_done(hospital: Hospital) -> None:
    before, node = hospital.boots(), hospital.node
    acts = hospital.acts(node)
    hospital.platform.kaas("repair", node, "--step", "HardReboot", "--reason", "to see")
    until("it is rebooted", lambda: hospital.boots()[node] != before[node])
    hospital.is_well_again()
    assert hospital.acts(node) == [*acts, "reboot"]
    assert others(hospital.boots(), node) == others(before, node)


@pytest.mark.slow
def test_paused_repairs_wait_and_say_so(hospital: Hospital) -> None:
    before, node = hospital.boots(), hospital.node
    hospital.platform.kaas("repair", "pause", NAME, "--reason", "we look at it")
    hospital.break_(Fault("condition", node, "KernelDeadlock", until="reboot"))
    until("it is held", lambda: hospital.platform.condition(NAME, "RepairsAllowed").get("reason") == "Paused")
    assert "we look at it" in hospital.platform.kaas("repair", "status").stdout
    assert hospital.boots() == before
    hospital.platform.kaas("repair", "resume", NAME)
    until("it is rebooted", lambda: hospital.boots()[node] != before[node])
    hospital.is_well_again()


@pytest.mark.slow
def test_nothing_is_touched_while_nothing_can_be_seen(hospital: Hospital) -> None:
    before, node = hospital.boots(), hospital.node
    acts = {n: hospital.acts(n) for n in before}
    hospital.break_(Fault("api", NAME, mode="hang"))
    hospital.break_(Fault("condition", node, "KernelDeadlock", until="reboot"))
    until("it is blind", lambda: "Blind" in str(hospital.platform.condition(NAME, "RepairsAllowed").get("reason")))
    assert {n: hospital.acts(n) for n in before} == acts
    faults.heal_machine(hospital.site_state, "api", NAME)
    until("the sick one is healed", lambda: hospital.boots()[node] != before[node])
    hospital.is_well_again()
    assert others(hospital.boots(), node) == others(before, node)


@pytest.mark.slow
def test_a_machine_that_never_joins_is_replaced(hospital: Hospital) -> None:
    before = hospital.uids()
    hospital.break_(Fault("join", f"{NAME}-cpu"))
    hospital.platform.apply(cluster(cpu=4))
    until("it is being replaced", lambda: _replacing(hospital))
    faults.heal_all(hospital.site_state)
    until("there are four", lambda: len(hospital.nodes("cpu")) == 4)
    hospital.platform.apply(cluster())
    hospital.is_well_again()
    assert len(before & hospital.uids()) >= len(before) - 1  # one goes with the pool's size


def _replacing(hospital: Hospital) -> bool:
    repairs = hospital.platform.items(REPAIRS)
    return any((r.get("status") or {}).get("action") == "Replace" and r["status"].get("acted") for r in repairs)


@pytest.mark.slow
def test_update_and_repair_share_one_budget(hospital: Hospital) -> None:
    """While a node is under repair no update takes another out, and while an update goes on no repair begins."""
    before, node = hospital.boots(), hospital.node
    hospital.break_(Fault("condition", node, "KernelDeadlock"))
    until("the repair has begun", lambda: hospital.summary().get("inFlight") == 1)
    hospital.platform.apply(cluster(tier="new"))
    until("the update waits", lambda: _waits_for_repair(hospital))
    assert set(hospital.nodes("cpu")) == {n for n in before if "-cpu-" in n}
    faults.heal_all(hospital.site_state)
    until("the update went through", lambda: _all_have_label(hospital))
    hospital.is_well_again()


def _waits_for_repair(hospital: Hospital) -> bool:
    steps = hospital.platform.cluster(NAME)["status"].get("plan") or []
    return any("repair" in (s.get("waitsFor") or "") for s in steps)


def _all_have_label(hospital: Hospital) -> bool:
    nodes = hospital.nodes("cpu").values()
    return len(nodes) == 3 and all(n["metadata"]["labels"].get("tier") == "new" for n in nodes)
