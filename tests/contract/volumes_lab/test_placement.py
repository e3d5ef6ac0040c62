"""Where loaders run, by the real scheduler: two nodes, each in a zone that its volumes do not leave."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.kube.objects import Object, Ref
from kaas.volumes import terms
from tests.contract.volumes.stage import Stage, until
from tests.contract.volumes_lab.conftest import Bucket
from tests.contract.volumes_lab.test_for_real import notes

pytestmark = pytest.mark.usefixtures("running")
SLEEPS: dict[str, Any] = {"containers": [{"name": "app", "image": "app", "command": ["sleep", "1000"]}]}
ZONE = "topology.kubernetes.io/zone"


async def until_it_runs(stage: Stage, name: str) -> str:
    """The Pod's node."""

    async def runs() -> str:
        pod = await stage.get("Pod", name) or {"status": {}}
        return str(pod["spec"]["nodeName"]) if pod["status"].get("phase") == "Running" else ""

    return await until(f"{name} runs", runs)


async def loaders_node(stage: Stage) -> str:
    """The node of a loader, once one has some."""

    async def placed() -> str:
        return next((str(p["spec"]["nodeName"]) for p in await stage.loaders() if p["spec"].get("nodeName")), "")

    return await until("a loader has a node", placed)


async def volume_of(stage: Stage, claim: str) -> Object:
    found = await stage.get("PersistentVolumeClaim", claim)
    assert found is not None
    return await stage.client.read(f"/api/v1/persistentvolumes/{found['spec']['volumeName']}")


async def test_a_pod_with_two_volumes_that_are_loaded_runs(stage: Stage, bucket: Bucket) -> None:
    """Also beside one that was there, in a zone that nobody else asks for."""
    bucket.put("llama/config.json", b"{}")
    await stage.claim("old", bound=False, storageClassName="lab-wait")
    await stage.pod("first", "old", gate=False, nodeSelector={ZONE: "zone-2"}, **SLEEPS)
    assert await until_it_runs(stage, "first") == "node-2"
    for name in ("a", "b", "c"):
        await stage.claim(name, bound=False, storageClassName="lab-wait", **notes(bucket, "llama"))
    await stage.pod("app", "a", "old", "b", "c", **SLEEPS)
    for name in ("a", "b", "c"):
        await stage.until_told("Loaded", name)
    assert await until_it_runs(stage, "app") == "node-2"


async def test_a_volume_that_a_pod_uses_is_loaded_anew_while_it_runs(stage: Stage, bucket: Bucket) -> None:
    bucket.put("used/one", b"1")
    claim = await stage.claim(bound=False, storageClassName="lab-immediate", **notes(bucket, "used"))
    await stage.pod("app", "data", nodeSelector={"kubernetes.io/hostname": "node-2"}, **SLEEPS)
    assert await until_it_runs(stage, "app") == "node-2"
    bucket.put("used/two", b"2")
    ref = Ref("v1", "PersistentVolumeClaim", stage.namespace, claim["metadata"]["name"])
    await stage.client.patch(ref, {"metadata": {"annotations": {terms.ID: "2"}}})
    await stage.pod("next", "data", nodeSelector={"kubernetes.io/hostname": "node-2"}, **SLEEPS)
    assert await loaders_node(stage) == "node-2"
    await stage.until_free("next")
    assert (await stage.told() or ("",))[0] == "True"
    assert await until_it_runs(stage, "app") == await until_it_runs(stage, "next")


async def test_a_volume_for_a_pod_with_gpus_is_made_where_gpus_are(stage: Stage, bucket: Bucket) -> None:
    bucket.put("llama/config.json", b"{}")
    node = Ref("v1", "Node", None, "node-2")
    await stage.client.patch(node, {"metadata": {"labels": {"nvidia.com/gpu.present": "true"}}})
    try:
        await stage.claim(bound=False, storageClassName="lab-wait", **notes(bucket, "llama"))
        asks = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
        await stage.pod("app", "data", containers=[{**SLEEPS["containers"][0], **asks}])
        await stage.until_told("Loaded")
    finally:
        await stage.client.patch(node, {"metadata": {"labels": {"nvidia.com/gpu.present": None}}})
    (term,) = (await volume_of(stage, "data"))["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": ZONE, "operator": "In", "values": ["zone-2"]}]


async def test_where_all_nodes_have_gpus_a_volume_is_loaded_too(stage: Stage, bucket: Bucket) -> None:
    """They are tainted as such nodes are: what the Pod that waits tolerates, its loader does."""
    bucket.put("llama/config.json", b"{}")
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    nodes = [Ref("v1", "Node", None, f"node-{number}") for number in (1, 2)]
    for node in nodes:
        labels = {"labels": {"nvidia.com/gpu.present": "true"}}
        await stage.client.patch(node, {"metadata": labels, "spec": {"taints": [taint]}})
    try:
        await stage.claim(bound=False, storageClassName="lab-immediate", **notes(bucket, "llama"))
        await stage.pod("app", "data", tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}], **SLEEPS)
        await stage.until_told("Loaded")
        await until_it_runs(stage, "app")
    finally:
        for node in nodes:
            bare = {"labels": {"nvidia.com/gpu.present": None}}
            await stage.client.patch(node, {"metadata": bare, "spec": {"taints": None}})


async def test_a_loader_whose_node_is_cordoned_follows_the_pods(stage: Stage, bucket: Bucket) -> None:
    """The Pod that used the volume is driven from its node before the loader has begun there."""
    bucket.put("used/one", b"1")
    claim = await stage.claim(bound=False, storageClassName="lab-immediate", **notes(bucket, "used"))
    await stage.pod("app", "data", nodeSelector={"kubernetes.io/hostname": "node-2"}, **SLEEPS)
    await until_it_runs(stage, "app")
    node = Ref("v1", "Node", None, "node-2")
    await stage.client.patch(node, {"spec": {"unschedulable": True}})
    try:
        ref = Ref("v1", "PersistentVolumeClaim", stage.namespace, claim["metadata"]["name"])
        await stage.client.patch(ref, {"metadata": {"annotations": {terms.ID: "2"}}})
        await stage.until_told("Pending", words="its Pod does not start: ")
        await stage.client.delete(Ref("v1", "Pod", stage.namespace, "app"))
        assert await loaders_node(stage) == "node-1"
        await stage.until_told("Loaded")
    finally:
        await stage.client.patch(node, {"spec": {"unschedulable": None}})
