"""Sick nodes on real CAPO machines: each healed by the mildest means that works, the others untouched."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.machines import faults
from kaas_lab.machines.faults import Fault
from kaas_lab.openstack import connect, load
from kaas_lab.openstack import faults as cloud_faults

from kaas.kube import resources
from kaas.kube.client import KubeClient
from tests.e2e.platform import Object, Platform, until

pytestmark = pytest.mark.e2e

NAME = "heal"
OURS = f"apis/cluster.x-k8s.io/v1beta2/namespaces/default/machines?labelSelector=cluster.x-k8s.io/cluster-name={NAME}"
REPAIRS = "apis/kaas.internal/v1alpha1/namespaces/default/noderepairs"
NOT_A_REPAIR = frozenset({"create"})
GPUS = 8


def template(name: str, steps: list[Object], tolerances: dict[str, int]) -> Object:
    """Ladders with short times: what a pool is given in production is tested where no time passes."""
    signals = [{"name": s, "toleranceSeconds": t} for s, t in tolerances.items()]
    limits = {"maxInFlight": 1, "maxUnhealthy": "100%"}
    memory = {"climbWithinSeconds": 0}  # every test begins with the mildest step
    policy = {"steps": steps, "signals": signals, "limits": limits, "settleSeconds": 3, "memory": memory}
    meta = {"name": name, "namespace": "default"}
    spec = {"template": {"spec": policy}}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "NodeRepairTemplate", "metadata": meta, "spec": spec}


def step(action: str, seconds: int) -> Object:
    return {"action": action, "timeoutSeconds": seconds}


VM = template(
    "quick",
    [
        step("Drain", 30),
        step("SoftReboot", 300),
        step("HardReboot", 300),
        step("Replace", 1800),
        step("Quarantine", 60),
    ],
    {"NodeSilent": 10, "NodeNotReady": 60, "KernelDeadlock": 5, "NeverJoined": 60, "ServerError": 5},
)
METAL = template(
    "box",
    [step("RestartDevicePlugin", 60), step("Drain", 30), step("SoftReboot", 300), step("PowerCycle", 600)],
    {"GpuFault": 5, "GpuMissing": 5, "NodeNotReady": 60, "NodeSilent": 60},
)


def cluster(cpu: int = 3, **labels: str) -> Object:
    pools = [
        {"name": "cpu", "flavor": "m1.small", "replicas": cpu, "repair": {"template": "quick"}, "labels": labels},
        {"name": "dgx", "flavor": "g1.a100x8", "replicas": 1, "repair": {"template": "box"}},
    ]
    control_plane = {"replicas": 1, "flavor": "m1.small"}
    spec = {"version": "v1.36.1", "site": "lab", "controlPlane": control_plane, "nodePools": pools}
    meta = {"name": NAME, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


@dataclass
class Hospital:
    """The Cluster, and what is known of its machines before they fall ill."""

    platform: Platform
    kubeconfig: Path
    cloud: Any = field(repr=False)

    @property
    def site_state(self) -> Path:
        return load(self.platform.layout, "lab").state

    def break_(self, fault: Fault) -> None:
        faults.break_machine(self.site_state, fault)

    def nodes(self, pool: str) -> dict[str, Object]:
        async def ask() -> list[Object]:
            async with await KubeClient.connect(self.kubeconfig) as client:
                return await client.list(resources.NODE, label_selector=f"kaas.internal/pool={pool}")

        return {n["metadata"]["name"]: n for n in asyncio.run(ask())}

    def boots(self) -> dict[str, str]:
        """Boot ID of every worker."""
        found = {**self.nodes("cpu"), **self.nodes("dgx")}
        return {name: node["status"]["nodeInfo"]["bootID"] for name, node in found.items()}

    def acts(self, node: str) -> list[str]:
        """What was ever begun with a machine's server, oldest first, beside its creation."""
        server = self.server(node)
        found = sorted(self.cloud.compute.server_actions(server), key=lambda a: a.start_time)
        return [a.action for a in found if a.action not in NOT_A_REPAIR]

    def server(self, node: str) -> str:
        (machine,) = (m for m in self.machines() if m["status"].get("nodeRef", {}).get("name") == node)
        return str(machine["spec"]["providerID"].rpartition("/")[2])

    def machines(self) -> list[Object]:
        return self.platform.items(OURS)

    def uids(self) -> set[str]:
        return {m["metadata"]["uid"] for m in self.machines()}

    def repair(self, machine: str) -> Object:
        found: Object = self.platform.get(f"{REPAIRS}/{machine}").get("status") or {}
        return found

    def summary(self) -> Object:
        found: Object = self.platform.cluster(NAME)["status"].get("repair") or {}
        return found

    def busy(self) -> int:
        """Nodes under repair, by their NodeRepairs."""
        return sum((r.get("status") or {}).get("action") is not None for r in self.platform.items(REPAIRS))

    def is_well(self) -> bool:
        return not self.platform.items(REPAIRS) and not self.summary() and self.platform.phase(NAME) == "Ready"

    def is_well_again(self) -> None:
        until("all is well again", self.is_well)

    def tried(self, machine: str) -> list[tuple[str, str]]:
        """What the Machine remembers, as `kaas repair status` tells it."""
        told = self.platform.kaas("repair", "status", machine).stdout
        lines = [line.split() for line in told.partition("history\n")[2].splitlines()]
        return [(words[2], words[5]) for words in lines if len(words) > 5]

    @property
    def node(self) -> str:
        return sorted(self.nodes("cpu"))[0]


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


def test_what_nova_refuses_is_followed_by_the_next_step(hospital: Hospital) -> None:
    before, node = hospital.boots(), hospital.node
    cloud_faults.break_servers(hospital.platform.layout, "lab", cloud_faults.Action.SOFT_REBOOT)
    hospital.break_(Fault("kubelet", node, until="hard-reboot"))
    until("it is rebooted hard", lambda: hospital.repair(node).get("action") == "HardReboot")
    hospital.is_well_again()
    assert hospital.boots()[node] != before[node]
    assert hospital.tried(node)[-1] == ("HardReboot", "Succeeded")


@pytest.mark.parametrize("action", ["Drain", "HardReboot"])
def test_a_killed_controller_goes_on(hospital: Hospital, action: str) -> None:
    before, node = hospital.boots(), hospital.node
    acts = hospital.acts(node)
    hospital.break_(Fault("condition", node, "KernelDeadlock", until="reboot"))
    until(f"{action} has begun", lambda: hospital.repair(node).get("action") == action)
    hospital.platform.stop_controller(hard=True)
    hospital.platform.start_controller()
    hospital.is_well_again()
    assert hospital.acts(node) == [*acts, "reboot"]
    assert hospital.boots()[node] != before[node]


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
