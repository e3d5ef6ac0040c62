"""A kubelet against an API server that refuses, forgets and comes back."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kaas_lab.machines import deviceplugin
from kaas_lab.machines import kubelet as kubelets
from kaas_lab.machines.faults import Fault, NodeFaults
from kaas_lab.machines.kubelet import Kubelet
from kaas_lab.machines.nodeobject import NodeFacts
from kaas_lab.machines.nova import Flavor

from tests.unit.lab.machines.api_stub import Stub, serving, until

FACTS = NodeFacts("a", "server-id", "10.6.0.5", "v1.36.1", "boot-1", Flavor("m1.small", 2, 4096, 20), {"x": "y"})
NODE = "/api/v1/nodes/a"
LEASE = f"{kubelets.LEASES}/a"
ETCD = f"{kubelets.PODS}/etcd-a"


class Running:
    """A kubelet at work, and what surrounds it."""

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self.faults = NodeFaults()
        self.components: dict[str, bool] = {}
        self.said: list[str] = []
        self.plugins = 0

    def plugin_restarted(self) -> None:
        self.plugins += 1

    async def readiness(self) -> Mapping[str, bool]:
        return dict(self.components)

    def conditions(self) -> dict[str, str]:
        listed = self.stub.objects.get(NODE, {}).get("status", {}).get("conditions", [])
        return {c["type"]: c["status"] for c in listed}


@asynccontextmanager
async def running(stub: Stub, *, starting: bool = False) -> AsyncIterator[Running]:
    around = Running(stub)
    async with serving(stub) as api:
        kubelet = Kubelet(
            api,
            FACTS,
            faults=lambda: around.faults,
            components=around.readiness,
            annotations={"etcd": {"a": "b"}},
            say=around.said.append,
            starting=starting,
        )
        kubelet.plugin_restarted = around.plugin_restarted
        task = asyncio.create_task(kubelet.run())
        try:
            yield around
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_it_registers_and_keeps_a_lease() -> None:
    async with running(stub := Stub()) as around:
        await until(lambda: LEASE in stub.objects and around.conditions().get("Ready") == "True")
    node = stub.objects[NODE]
    assert node["metadata"]["labels"]["x"] == "y"
    assert node["status"]["nodeInfo"]["bootID"] == "boot-1"
    owner = stub.objects[LEASE]["metadata"]["ownerReferences"][0]
    assert owner["uid"] == node["metadata"]["uid"]


async def test_after_a_boot_it_is_not_ready_for_a_moment() -> None:
    async with running(Stub(), starting=True) as around:
        await until(lambda: around.conditions().get("Ready") == "False")
        await until(lambda: around.conditions().get("Ready") == "True")


async def test_a_refused_label_is_told_once_and_tried_again() -> None:
    stub = Stub()
    stub.refuse["POST", "/api/v1/nodes"] = (403, "is not allowed to set the following labels")
    async with running(stub) as around:
        await until(lambda: len(stub.calls) > 1)
        assert len([line for line in around.said if "not allowed to set" in line]) == 1
        stub.refuse.clear()
        await until(lambda: NODE in stub.objects)


async def test_a_node_that_is_there_is_adopted() -> None:
    stub = Stub()
    stub.objects[NODE] = {"metadata": {"name": "a", "uid": "old", "labels": {"kept": "1"}}, "spec": {}}
    async with running(stub) as around:
        await until(lambda: around.conditions().get("Ready") == "True")
    assert stub.objects[NODE]["metadata"]["uid"] == "old"
    assert stub.objects[NODE]["metadata"]["labels"]["kept"] == "1"


async def test_a_deleted_node_stays_deleted() -> None:
    async with running(stub := Stub()) as around:
        await until(lambda: around.conditions().get("Ready") == "True")
        del stub.objects[NODE]
        around.faults = NodeFaults(missing_gpus=1)
        await until(lambda: any("not found" in line for line in around.said))
        assert NODE not in stub.objects


async def test_faults_reach_the_node_and_leave_it() -> None:
    async with running(Stub()) as around:
        around.faults = NodeFaults(conditions=(Fault("condition", "a", condition="GPUHealthy", status="False"),))
        await until(lambda: around.conditions().get("GPUHealthy") == "False")
        around.faults = NodeFaults(conditions=(Fault("condition", "a", condition="GPUHealthy", status="True"),))
        await until(lambda: around.conditions().get("GPUHealthy") == "True")


async def test_static_pods_are_shown_and_follow_their_process() -> None:
    def ready() -> str:
        listed = stub.objects.get(ETCD, {}).get("status", {}).get("conditions", [])
        return str({c["type"]: c["status"] for c in listed}.get("Ready"))

    async with running(stub := Stub()) as around:
        around.components = {"etcd": True}
        await until(lambda: ready() == "True")
        assert stub.objects[ETCD]["metadata"]["annotations"]["a"] == "b"
        around.components = {"etcd": False}
        await until(lambda: ready() == "False")


async def test_a_mirror_pod_of_an_earlier_boot_is_replaced() -> None:
    stub = Stub()
    stub.objects[ETCD] = {"metadata": {"name": "etcd-a", "uid": "old", "annotations": {}}}
    async with running(stub) as around:
        around.components = {"etcd": True}
        await until(lambda: stub.objects.get(ETCD, {}).get("metadata", {}).get("uid") not in (None, "old"))


async def test_after_a_failure_everything_is_posted_again() -> None:
    """Meanwhile the node life-cycle controller has called the Node unknown and its Pods not ready."""
    async with running(stub := Stub()) as around:
        around.components = {"etcd": True}
        await until(lambda: stub.objects.get(ETCD, {}).get("status"))
        stub.refuse["PATCH", LEASE] = (500, "etcd has no leader")
        stub.refuse["GET", NODE] = (500, "etcd has no leader")
        around.faults = NodeFaults(missing_gpus=1)
        await until(lambda: any("no leader" in line for line in around.said))
        stub.objects[NODE]["status"]["conditions"] = []
        stub.objects[ETCD]["status"] = {}
        stub.refuse.clear()
        await until(lambda: around.conditions().get("Ready") == "True" and stub.objects[ETCD]["status"])


def plugin(made: str, phase: str = "Running", **metadata: str) -> dict[str, Any]:
    meta = {"name": "p", "labels": dict(deviceplugin.LABELS), "creationTimestamp": made, **metadata}
    return {"metadata": meta, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("pods", "restarted"),
    [
        ([], False),
        ([plugin("2026-01-01T11:00:00Z")], False),
        ([plugin("2026-01-01T12:00:05Z")], True),
        ([plugin("2026-01-01T12:00:05Z", "Pending")], False),
        ([plugin("2026-01-01T12:00:05Z"), plugin("2026-01-01T11:00:00Z", deletionTimestamp="now")], False),
    ],
)
async def test_the_device_plugin_was_restarted(pods: list[dict[str, Any]], *, restarted: bool) -> None:
    stub = Stub()
    stub.objects[kubelets.PODS] = {"items": [*pods, {"metadata": {"name": "of another kind"}}]}
    async with running(stub) as around:
        around.faults = NodeFaults(plugin=dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp())
        await until(lambda: stub.calls.count(("GET", kubelets.PODS)) >= 2)
        assert bool(around.plugins) is restarted
