"""The Node that a machine registers and keeps."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from kaas_lab.machines import nodeobject
from kaas_lab.machines.faults import Fault, NodeFaults
from kaas_lab.machines.nodeobject import GPU, UNINITIALIZED, NodeFacts
from kaas_lab.machines.nova import Flavor

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
DGX = Flavor("g1.a100x8", 128, 1048576, 1000, gpus=8)
FACTS = NodeFacts("gpu-1", "11111111-2222-3333-4444-555555555555", "10.6.0.5", "v1.36.1", "boot", DGX, {"a": "b"})
WELL = NodeFaults()


def test_a_plain_registration() -> None:
    node = nodeobject.registration(FACTS)
    assert node["metadata"]["labels"]["a"] == "b"
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "gpu-1"
    assert node["spec"] == {}


def test_taints_and_provider_id() -> None:
    taint = {"key": "x", "effect": "NoSchedule"}
    spec = nodeobject.registration(replace(FACTS, taints=(taint,), provider_id="openstack:///1", external_cloud=True))[
        "spec"
    ]
    assert spec["providerID"] == "openstack:///1"
    assert [t["key"] for t in spec["taints"]] == ["x", UNINITIALIZED]


def test_capacity_is_the_flavors() -> None:
    assert nodeobject.status(FACTS, WELL, NOW, ready=True)["status"]["capacity"] == {
        "cpu": "128",
        "memory": "1048576Mi",
        "ephemeral-storage": "1000Gi",
        "pods": "110",
        GPU: "8",
    }
    small = replace(FACTS, flavor=Flavor("m1.small", 2, 4096, 20))
    assert GPU not in nodeobject.status(small, WELL, NOW, ready=True)["status"]["capacity"]


def test_missing_gpus_are_missing_from_allocatable_alone() -> None:
    body = nodeobject.status(FACTS, NodeFaults(missing_gpus=2), NOW, ready=True)["status"]
    assert (body["capacity"][GPU], body["allocatable"][GPU]) == ("8", "6")
    assert nodeobject.allocatable(FACTS, NodeFaults(missing_gpus=20), {GPU: (8, 8)})[GPU] == "0"


def test_slices_are_missing_as_gpus_are() -> None:
    slices = {GPU: (8, 0), "nvidia.com/mig-1g.5gb": (56, 56)}
    body = nodeobject.status(FACTS, NodeFaults(missing_gpus=2), NOW, ready=True, devices=slices)["status"]
    assert (body["capacity"][GPU], body["allocatable"][GPU]) == ("8", "0")
    assert (body["capacity"]["nvidia.com/mig-1g.5gb"], body["allocatable"]["nvidia.com/mig-1g.5gb"]) == ("56", "54")


def test_devices_that_are_no_more_are_told_to_be_none() -> None:
    """A patch alone would leave them on the Node."""
    found = {"status": {"capacity": {"cpu": "1", GPU: "8", "nvidia.com/mig-1g.5gb": "56"}}}
    assert nodeobject.forgotten(found, {GPU: (8, 8)}) == {"nvidia.com/mig-1g.5gb": (0, 0)}
    assert nodeobject.forgotten({}, {}) == {}


def states(faults: NodeFaults, *, ready: bool = True) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in nodeobject.conditions(faults, NOW, ready=ready)}


def test_conditions() -> None:
    assert states(WELL)["Ready"] == ("True", "KubeletReady")
    assert states(WELL, ready=False)["Ready"] == ("False", "KubeletNotReady")
    broken = NodeFaults(
        conditions=(Fault("condition", "gpu-1", condition="GPUHealthy", status="False", reason="XID79"),)
    )
    assert states(broken)["GPUHealthy"] == ("False", "XID79")
    assert states(broken)["Ready"] == ("True", "KubeletReady")
    sick = NodeFaults(conditions=(Fault("condition", "gpu-1", condition="Ready", status="False", reason="Runtime"),))
    assert states(sick)["Ready"] == ("False", "Runtime")


def test_a_transition_time_moves_with_the_status_alone() -> None:
    wanted = nodeobject.conditions(WELL, NOW, ready=True)
    earlier = "2025-01-01T00:00:00Z"
    found = [
        {"type": "Ready", "status": "True", "lastTransitionTime": earlier},
        {"type": "DiskPressure", "status": "Unknown", "lastTransitionTime": earlier},
    ]
    times = {c["type"]: c["lastTransitionTime"] for c in nodeobject.transitions(wanted, found, NOW)}
    assert times["Ready"] == earlier
    assert times["DiskPressure"] == times["PIDPressure"] == "2026-01-01T12:00:00Z"


def test_a_mirror_pod_is_one_that_a_kubelet_may_create() -> None:
    pod = nodeobject.mirror_pod(FACTS, "etcd", "uid", {"x": "y"})
    assert pod["spec"]["nodeName"] == "gpu-1"
    assert "kubernetes.io/config.mirror" in pod["metadata"]["annotations"]
    assert pod["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": "gpu-1", "uid": "uid", "controller": True}
    ]
    again = nodeobject.mirror_pod(replace(FACTS, boot_id="another"), "etcd", "uid", {})
    assert again["metadata"]["annotations"] != pod["metadata"]["annotations"]


def test_times() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    assert nodeobject.timestamp(dt.datetime(2026, 1, 1, 14, tzinfo=zone)) == "2026-01-01T12:00:00Z"
    assert nodeobject.microtime(NOW) == "2026-01-01T12:00:00.000000Z"
