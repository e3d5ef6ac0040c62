"""Claims with a DataSource beside the controller of loads: what one feature writes, the other hears of at once.

No time passes in these stories: nothing waits for a look that would come anyway.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from kaas.kube.objects import Object
from kaas.loader.report import Exit, Reason
from kaas.volumes import terms
from kaas.volumes.claim import SELECTED_NODE
from kaas.volumes.populator import watched
from kaas.volumes.populator.reconciler import PopulatorReconciler
from kaas.volumes.populator.terms import SOURCE, prime_name
from kaas.volumes.reconciler import QueueKey
from kaas.volumes.watched import Interest
from tests.unit.volumes.virtual_cluster import NAMESPACE, VirtualCluster

PVC = "PersistentVolumeClaim"
GPU = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


class Populated(VirtualCluster):
    """A cluster with both features, a volume binder, and a claim that a DataSource fills."""

    def start(self) -> None:
        super().start()
        self.populator = PopulatorReconciler(self.index, self.api, self.api, self.clock)

    def interests(self) -> Sequence[Interest]:
        return (*super().interests(), *watched.interests(self.index))

    async def reconcile(self, key: QueueKey) -> float | None:
        return await (self.populator if key[0] == "populate" else self.reconciler).reconcile(key)

    def source(self, **spec: Any) -> None:
        """Make or change it."""
        meta = {"name": "llama", "namespace": NAMESPACE}
        self.api.store({"apiVersion": SOURCE.api_version, "kind": SOURCE.kind, "metadata": meta, "spec": spec})

    def target(self, mode: str = "Immediate") -> None:
        """A claim, and its class."""
        kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
        self.api.store({**kind, "provisioner": "csi", "volumeBindingMode": mode})
        reference = {"apiGroup": "kaas.internal", "kind": "DataSource", "name": "llama"}
        self.claim(phase="Pending", storageClassName="fast", dataSourceRef=reference)

    def at(self, name: str) -> Object | None:
        return copy.deepcopy(self.api.objects.get((PVC, NAMESPACE, name)))

    @property
    def prime(self) -> Object | None:
        target = self.at("data")
        return self.at(prime_name(target["metadata"]["uid"])) if target else None

    def bind(self) -> None:
        """As driver and binder: a volume for a claim that has none, and a claim for a volume that names it."""
        prime, target = self.prime, self.at("data")
        if prime and prime["status"].get("phase") in {None, "Pending"}:
            meta, reference = {"name": "pv-made"}, {"uid": prime["metadata"]["uid"]}
            volume: Object = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta}
            self.api.store({**volume, "spec": {"claimRef": reference, "nodeAffinity": {"required": {}}}})
            spec = {**prime["spec"], "volumeName": "pv-made"}
            self.api.store({**prime, "spec": spec, "status": {**prime["status"], "phase": "Bound"}})
        made = self.api.objects.get(("PersistentVolume", "", "pv-made"))
        if target and made and made["spec"]["claimRef"]["uid"] == target["metadata"]["uid"]:
            spec = {**target["spec"], "volumeName": "pv-made"}
            self.api.store({**target, "spec": spec, "status": {**target["status"], "phase": "Bound"}})

    async def until_it_runs(self) -> Object:
        """The loader of the prime."""
        for _ in range(4):
            await self.settle()
            self.bind()
            self.kubernetes()
        (pod,) = self.open_loaders()
        self.running(pod)
        await self.settle()
        return pod

    async def until_handed_over(self) -> None:
        for _ in range(4):
            await self.settle()
            self.bind()
            self.kubernetes()


@pytest.fixture(name="cluster")
def with_a_populator() -> Populated:
    return Populated()


async def test_a_claim_is_filled(cluster: Populated) -> None:
    cluster.source(source="s3://models/llama/")
    cluster.target()
    pod = await cluster.until_it_runs()
    assert cluster.told()[1] == "Listing"
    cluster.end(pod)
    await cluster.until_handed_over()
    assert cluster.told()[:2] == ("True", "Loaded")
    assert cluster.prime is None


async def test_a_source_that_is_corrected_is_loaded(cluster: Populated) -> None:
    cluster.source(source="s3://models/nothing/")
    cluster.target()
    cluster.end(await cluster.until_it_runs(), Exit.PERMANENT, Reason.SOURCE_NOT_FOUND, "nothing is there")
    for _ in range(3):  # until nothing of the load is left whose end would have anybody look again
        cluster.kubernetes()
        await cluster.settle()
    assert not cluster.loaders()
    status, reason, message = cluster.told()
    assert (status, reason) == ("False", "SourceNotFound")
    assert "spec.id of DataSource llama" in message
    cluster.source(source="s3://models/llama/")
    cluster.end(await cluster.until_it_runs())
    await cluster.until_handed_over()
    assert cluster.told()[:2] == ("True", "Loaded")
    assert cluster.prime is None


async def test_the_first_pod_says_which_nodes_are_tolerated(cluster: Populated) -> None:
    """It has no gate and no label of ours: it waits for its volume."""
    cluster.source(source="s3://models/llama/")
    cluster.target("WaitForFirstConsumer")
    await cluster.settle()
    assert cluster.told()[1] == "WaitingForConsumer"
    cluster.pod("other", "another", label=False, tolerations=[{"key": "other"}])
    cluster.pod("app", "data", label=False, nodeSelector={"zone": "a"}, tolerations=[GPU], schedulingGates=[])
    target = cluster.at("data")
    assert target is not None
    target["metadata"]["annotations"] = {SELECTED_NODE: "n1"}
    cluster.api.store(target)
    pod = await cluster.until_it_runs()
    assert pod["spec"]["tolerations"] == [GPU]
    assert pod["spec"]["nodeSelector"] == {"zone": "a"}
    cluster.end(pod)
    await cluster.until_handed_over()
    assert cluster.told()[:2] == ("True", "Loaded")
    assert terms.GATE not in str(cluster.api.objects["Pod", NAMESPACE, "app"])
