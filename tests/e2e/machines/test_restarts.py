"""Faults that end with the right restart and no milder one, and what Nova and Cluster API make of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kaas_lab import openstack
from kaas_lab.api_server import Document
from kaas_lab.layout import Layout
from kaas_lab.machines import deviceplugin, faults, power
from kaas_lab.machines.faults import Fault, Until
from kaas_lab.openstack import faults as cloud_faults

from kaas.api.repair import Action, Step
from kaas.kube.client import KubeClient
from kaas.kube.objects import ref_of
from kaas.kube.resources import Resource
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import Credentials
from kaas.openstack.facts import ServerAction, ServerFacts
from kaas.repairs.acts.power import PowerCycle, Reboot
from kaas.repairs.acts.rebuild import Rebuild
from kaas.repairs.acts.server_state import revive
from kaas.repairs.acts.task import Act, Task
from kaas.repairs.facts import ClusterKey, MachineView, NodeView, Patient, ServerView
from tests.e2e.machines.by_hand import NAMESPACE, SITE, ByHand, condition, eventually, is_ready
from tests.e2e.machines.conftest import MakeCluster

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

VERSION = "v1.36.1"
GPU = "nvidia.com/gpu"
SERVERS = f"apis/infrastructure.cluster.x-k8s.io/v1alpha1/namespaces/{NAMESPACE}/openstackservers"
MACHINES = f"apis/infrastructure.cluster.x-k8s.io/v1beta1/namespaces/{NAMESPACE}/openstackmachines"
LOOK = {"metadata": {"annotations": {"example.com/look": "now"}}}
UNHEALTHY = "GPUUnhealthy"


@dataclass
class Ward:
    """A cluster with one CPU and one DGX machine, its cloud, and what is done to them."""

    cluster: ByHand
    layout: Layout
    cloud: Any

    @property
    def state(self) -> Path:
        return self.layout.site_state(SITE)

    def node(self, pool: str) -> Document:
        return self.cluster.nodes()[pool]

    def name(self, pool: str) -> str:
        return str(self.node(pool)["metadata"]["name"])

    def server(self, pool: str) -> Any:
        return self.cloud.compute.get_server(self.node(pool)["spec"]["providerID"].rpartition("/")[2])

    def boot(self, pool: str) -> str:
        return str(self.node(pool)["status"]["nodeInfo"]["bootID"])

    def actions(self, pool: str) -> list[str]:
        """What was begun with a server, the oldest first."""
        found = sorted(self.cloud.compute.server_actions(self.server(pool)), key=lambda a: str(a.start_time))
        return [a.action for a in found]

    def gpus(self) -> str:
        return str(self.node("gpu")["status"]["allocatable"][GPU])

    def broken(self) -> list[str]:
        return [f.kind for f in faults.in_force(self.state)]

    def tell(self, what: Callable[[KubeClient], Awaitable[object]]) -> None:
        """Do something in the management cluster."""

        async def send() -> None:
            async with await KubeClient.connect(self.layout.kubeconfig) as client:
                await what(client)

        asyncio.run(send())

    def poke(self, path: str) -> None:
        """Have a controller look at an object now, and not only at its next resync."""
        found = ref_of(self.cluster.api.request("GET", path))
        self.tell(lambda client: client.patch(found, LOOK))

    def restart(self, pool: str, how: Until) -> None:
        """Restart a machine in that way, and wait until its Node is Ready with a new boot ID, or its kubelet dead."""
        name, before, server = self.name(pool), self.boot(pool), self.server(pool)
        if how == "power-cycle":
            self.cloud.compute.stop_server(server)
            self.cloud.compute.wait_for_server(server, "SHUTOFF", interval=0.2, wait=60)
            self.cloud.compute.start_server(server)
        elif how == "rebuild":
            # kubeadm joins under no name that a Ready Node has
            self.cluster.workload().request("DELETE", f"api/v1/nodes/{name}")
            self.cloud.compute.rebuild_server(server, image=server.image.id)
        else:
            self.cloud.compute.reboot_server(server, "SOFT" if how == "reboot" else "HARD")
        if not faults.of_node(faults.load(self.state), name).kubelet_dead:
            eventually("a new boot ID, and Ready", lambda: self.is_new(pool, before), 180)

    def is_new(self, pool: str, before: str) -> bool:
        """Whether its Node is Ready with another boot ID."""
        found = self.cluster.nodes().get(pool)
        return found is not None and is_ready(found) and found["status"]["nodeInfo"]["bootID"] != before


@pytest.fixture(scope="module")
def ward(by_hand: MakeCluster, layout: Layout) -> Ward:
    made = by_hand("ward")
    made.apply(VERSION, 1, cpu=1, gpu=1)
    made.wait_available()
    return Ward(made, layout, openstack.connect(openstack.load(layout, SITE)))


@pytest.fixture(autouse=True)
def _well(ward: Ward) -> Any:
    yield
    cloud_faults.heal(ward.layout, SITE)


def test_a_dead_kubelet_lives_after_a_reboot_of_the_same_server(ward: Ward) -> None:
    name, boot, server = ward.name("cpu"), ward.boot("cpu"), ward.server("cpu").id
    faults.break_machine(ward.state, Fault("kubelet", name, until="reboot"))
    eventually("it is Unknown", lambda: condition(ward.node("cpu"), "Ready")["status"] == "Unknown", 120)
    ward.cloud.compute.reboot_server(server, "SOFT")
    eventually("it is Ready", lambda: is_ready(ward.node("cpu")), 120)
    assert (ward.server("cpu").id, ward.broken()) == (server, [])
    assert ward.boot("cpu") != boot


def test_the_milder_restart_does_not_help(ward: Ward) -> None:
    """Nova's list of actions says `reboot` of both kinds; the machine knows which it was."""
    faults.break_machine(ward.state, faults.xid(ward.name("gpu"), 79, until="power-cycle"))
    eventually("an XID", lambda: condition(ward.node("gpu"), UNHEALTHY).get("reason") == "NvidiaXID79", 60)
    found = condition(ward.node("gpu"), UNHEALTHY)
    assert (found["status"], ward.gpus()) == ("True", "7")
    assert found["message"] == "NVRM: Xid (PCI:0000:07:00): 79, GPU has fallen off the bus."
    for how in ("reboot", "hard-reboot"):
        ward.restart("gpu", how)
        assert (ward.broken(), ward.gpus()) == (["xid"], "7")
    ward.restart("gpu", "power-cycle")
    eventually("all GPUs", lambda: ward.gpus() == "8", 60)
    assert condition(ward.node("gpu"), UNHEALTHY)["status"] == "False"
    assert ward.broken() == []


def test_a_hard_reboot_heals_what_a_soft_one_does_not(ward: Ward) -> None:
    faults.break_machine(ward.state, Fault("gpu", ward.name("gpu"), missing=3, until="hard-reboot"))
    eventually("GPUs are missing", lambda: ward.gpus() == "5", 60)
    ward.restart("gpu", "reboot")
    assert ward.gpus() == "5"
    ward.restart("gpu", "hard-reboot")
    eventually("all GPUs", lambda: ward.gpus() == "8", 60)


def test_a_rebuild_heals_what_nothing_else_does(ward: Ward) -> None:
    name, server = ward.name("cpu"), ward.server("cpu").id
    kernel = Fault("condition", name, condition="KernelDeadlock", reason="DockerHung", until="rebuild")
    faults.break_machine(ward.state, kernel)
    eventually("a deadlock", lambda: condition(ward.node("cpu"), "KernelDeadlock").get("status") == "True", 60)
    ward.restart("cpu", "power-cycle")
    assert ward.broken() == ["condition"]
    ward.restart("cpu", "rebuild")
    eventually("no deadlock", lambda: condition(ward.node("cpu"), "KernelDeadlock").get("status") == "False", 60)
    assert ward.server("cpu").id == server


def test_the_device_plugin_is_restarted(ward: Ward) -> None:
    api, name = ward.cluster.workload(), ward.name("gpu")

    def plugin() -> Document | None:
        pods = api.request("GET", f"api/v1/namespaces/kube-system/pods?fieldSelector=spec.nodeName={name}")["items"]
        return next((p for p in pods if deviceplugin.is_plugin(p) and deviceplugin.is_running(p)), None)

    before = eventually("it runs", plugin, 60) or {}
    faults.break_machine(ward.state, Fault("gpu", name, missing=1, until="plugin"))
    eventually("a GPU is missing", lambda: ward.gpus() == "7", 60)
    api.request("DELETE", f"api/v1/namespaces/kube-system/pods/{before['metadata']['name']}")
    eventually("all GPUs", lambda: ward.gpus() == "8", 60)
    after = eventually("it runs again", plugin, 60) or {}
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


@pytest.mark.parametrize("how", [("soft-reboot", "reboot"), ("hard-reboot", "hard-reboot")])
def test_a_reboot_that_fails_changes_nothing(ward: Ward, how: tuple[str, Until]) -> None:
    """The server stays ACTIVE, as behind a hypervisor that gives up; the other kind of reboot works."""
    fault, kind = how
    cloud_faults.break_servers(ward.layout, SITE, cloud_faults.Action(fault))
    server, boot = ward.server("cpu"), ward.boot("cpu")
    done = len(list(ward.cloud.compute.server_actions(server)))
    ward.cloud.compute.reboot_server(server, "SOFT" if kind == "reboot" else "HARD")

    def over() -> bool:
        begun = len(list(ward.cloud.compute.server_actions(server))) > done
        return begun and ward.server("cpu").task_state is None

    eventually("Nova is done", over, 60)
    assert (ward.server("cpu").status, ward.boot("cpu")) == ("ACTIVE", boot)
    ward.restart("cpu", "hard-reboot" if kind == "reboot" else "reboot")


def test_a_host_without_power(ward: Ward) -> None:
    """Nova tells the project, and the machines of that host alone are off."""
    tenant = openstack.connect(openstack.load(ward.layout, SITE), "kaas")
    server = ward.server("cpu")
    cloud_faults.break_host(ward.layout, SITE, server.compute_host)
    assert tenant.compute.get_server(server.id).host_status == "DOWN"
    eventually("it is Unknown", lambda: condition(ward.node("cpu"), "Ready")["status"] == "Unknown", 120)
    assert is_ready(ward.node("gpu"))
    cloud_faults.heal(ward.layout, SITE)
    assert tenant.compute.get_server(server.id).host_status == "UP"
    eventually("it is Ready", lambda: is_ready(ward.node("cpu")), 120)


def test_servers_of_one_host_have_the_same_host_id(ward: Ward) -> None:
    tenant = openstack.connect(openstack.load(ward.layout, SITE), "kaas")
    by_host: dict[str, set[str]] = {}
    for pool in ("cpu", "gpu", "control-plane"):
        by_host.setdefault(ward.server(pool).compute_host, set()).add(
            tenant.compute.get_server(ward.server(pool).id).host_id
        )
    assert all(len(ids) == 1 for ids in by_host.values())
    assert len(set.union(*by_host.values())) == len(by_host)
    assert len(by_host) >= 2


def test_capo_goes_on_after_a_server_was_in_error(ward: Ward) -> None:
    """CAPO 0.14 never looks at a server again that it has seen in ERROR: it has to be told."""
    name = ward.name("cpu")
    server, path = ward.server("cpu"), f"{SERVERS}/{name}"
    api = ward.cluster.api

    def state() -> str:
        return str(api.request("GET", path)["status"]["instanceState"])

    def ready() -> str:
        (machine,) = (m for m in ward.cluster.machines() if m["metadata"]["name"] == name)
        return str(condition(machine, "InfrastructureReady")["status"])

    power.break_server(ward.layout, SITE, name, power.What.ERROR)
    ward.poke(path)
    eventually("CAPO has seen it", lambda: state() == "ERROR", 120)
    ward.poke(f"{MACHINES}/{name}")
    eventually("Cluster API has heard of it", lambda: ready() == "False", 120)
    assert is_ready(ward.node("cpu"))
    ward.restart("cpu", "hard-reboot")
    assert ward.server("cpu").status == "ACTIVE"
    assert state() == "ERROR"
    ward.tell(lambda client: revive(client, api.request("GET", path), ServerView(server.id, "ACTIVE")))
    eventually("CAPO goes on", lambda: state() == "ACTIVE" and ready() == "True", 120)


@dataclass
class OneSite:
    """Nova as acts have it, with the credentials of the lab's tenant; and the management cluster's Machines."""

    ward: Ward
    directory: CloudDirectory
    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        site = openstack.load(self.ward.layout, SITE)
        entry = yaml.safe_load(site.clouds_file.read_text())["clouds"]["kaas"]
        self.mine = Credentials(entry, region=site.region)

    async def server(self, _site: str, server: str) -> ServerFacts | None:
        return await self.directory.server(self.mine, server)

    async def server_actions(self, _site: str, server: str) -> tuple[ServerAction, ...]:
        return await self.directory.server_actions(self.mine, server)

    async def reboot(self, _site: str, server: str, *, hard: bool) -> str:
        return await self.directory.reboot(self.mine, server, hard=hard)

    async def stop(self, _site: str, server: str) -> str:
        return await self.directory.stop(self.mine, server)

    async def start(self, _site: str, server: str) -> str:
        return await self.directory.start(self.mine, server)

    async def rebuild(self, _site: str, server: str) -> str:
        return await self.directory.rebuild(self.mine, server)

    def get(self, _resource: Resource, _namespace: str | None, name: str) -> Document | None:
        return next(m for m in self.ward.cluster.machines() if m["metadata"]["name"] == name)


async def carried_out(ward: Ward, action: Action, pool: str, kubeconfig: Path) -> None:
    """Pass after pass of an act, until it is done."""
    name, server, now = ward.name(pool), ward.server(pool).id, datetime.now(UTC)
    key = (NAMESPACE, name)
    mine = MachineView(key, "u", (NAMESPACE, "ward"), (NAMESPACE, "ward", pool), SITE, "", now, name, server)
    task = Task(Patient(mine), NodeView(name), Step(action=action), now, "a test")
    directory = CloudDirectory()
    nova = OneSite(ward, directory)
    async with (
        await KubeClient.connect(ward.layout.kubeconfig) as management,
        await KubeClient.connect(kubeconfig) as workload,
    ):

        class Clients:
            async def client(self, _cluster: ClusterKey) -> KubeClient:
                return workload

        acts: dict[Action, Act] = {
            Action.REBUILD: Rebuild(nova, nova, management, Clients()),
            Action.POWER_CYCLE: PowerCycle(nova),
            Action.SOFT_REBOOT: Reboot(nova, hard=False),
        }
        async with asyncio.timeout(120):
            while not (await acts[action](task, datetime.now(UTC))).done:  # noqa: ASYNC110 - each pass asks Nova
                await asyncio.sleep(0.5)
    directory.close()


@pytest.mark.parametrize("action", [Action.SOFT_REBOOT, Action.POWER_CYCLE, Action.REBUILD])
def test_acts(ward: Ward, tmp_path: Path, action: Action) -> None:
    """Each begins one thing of its kind. A rebuilt machine joins although its token is gone and its Node Ready."""
    workload, kubeconfig = ward.cluster.workload(), tmp_path / "kubeconfig"
    secret = ward.cluster.api.request("GET", f"api/v1/namespaces/{NAMESPACE}/secrets/ward-kubeconfig")
    kubeconfig.write_bytes(base64.b64decode(secret["data"]["value"]))
    tokens = "api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io/token"
    for token in workload.request("GET", tokens)["items"]:
        workload.request("DELETE", f"api/v1/namespaces/kube-system/secrets/{token['metadata']['name']}")
    boot, before = ward.boot("cpu"), ward.actions("cpu")
    assert is_ready(ward.node("cpu"))
    asyncio.run(carried_out(ward, action, "cpu", kubeconfig))
    eventually("a new boot ID, and Ready", lambda: ward.is_new("cpu", boot), 120)
    begun = {Action.SOFT_REBOOT: ["reboot"], Action.POWER_CYCLE: ["stop", "start"], Action.REBUILD: ["rebuild"]}
    assert ward.actions("cpu")[len(before) :] == begun[action]
