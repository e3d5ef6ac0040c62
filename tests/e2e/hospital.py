"""A Cluster whose nodes fall ill, and how its repairs are looked at: for tests and for figures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaas_lab.machines import faults
from kaas_lab.machines.faults import Fault
from kaas_lab.openstack import load

from kaas.api.constants import ANNOTATION_HISTORY
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Ref, ref_of
from tests.e2e.platform import Object, Platform, until

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

    def run_pod(self, name: str, node: str, annotations: dict[str, str]) -> None:
        """A Pod of nobody on a node."""
        meta = {"name": name, "namespace": "default", "annotations": annotations}
        spec = {
            "nodeName": node,
            "containers": [{"name": "app", "image": "app"}],
            "tolerations": [{"operator": "Exists"}],
        }
        pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}

        async def create() -> None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                await client.apply(pod, manager="test")

        asyncio.run(create())

    def forget(self) -> None:
        """Take from the Machines what they remember: the same XID again within a day would be another story."""

        async def patch() -> None:
            async with await KubeClient.connect(self.platform.kubeconfig) as client:
                for machine in self.machines():
                    await client.patch(ref_of(machine), {"metadata": {"annotations": {ANNOTATION_HISTORY: None}}})

        asyncio.run(patch())

    def remove_pod(self, name: str) -> None:
        async def delete() -> None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                await client.delete(Ref("v1", "Pod", "default", name))

        asyncio.run(delete())

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
        (machine,) = (m for m in self.machines() if (m.get("status") or {}).get("nodeRef", {}).get("name") == node)
        return str(machine["spec"]["providerID"].rpartition("/")[2])

    def machines(self) -> list[Object]:
        named = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine"}
        return [m | named for m in self.platform.items(OURS)]

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
        """Nothing sick, under repair or on its way out; Nodes of machines that are gone have gone too."""
        if self.platform.items(REPAIRS) or self.summary() or self.platform.phase(NAME) != "Ready":
            return False
        machines = [m for m in self.machines() if "cluster.x-k8s.io/control-plane" not in m["metadata"]["labels"]]
        leaving = any("deletionTimestamp" in m["metadata"] for m in machines)
        return not leaving and len(self.boots()) == len(machines)

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
