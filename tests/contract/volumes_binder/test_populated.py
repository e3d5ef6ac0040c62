"""A volume that was filled is handed over, by the real binder: whose it is then, and what becomes of the prime."""

from __future__ import annotations

import pytest

from kaas.kube.objects import Object, ref_of
from kaas.volumes.claim import SELECTED_NODE
from kaas.volumes.populator.terms import SOURCE, prime_name
from tests.contract.volumes.stage import Stage, until

pytestmark = pytest.mark.usefixtures("controller")
PROVISIONER = "volume.kubernetes.io/storage-provisioner"


async def made(stage: Stage, storage_class: str) -> Object:
    """A claim and its DataSource."""
    meta = {"name": "llama", "namespace": stage.namespace}
    spec = {"source": "s3://models/llama/"}
    await stage.client.create({"apiVersion": SOURCE.api_version, "kind": SOURCE.kind, "metadata": meta, "spec": spec})
    reference = {"apiGroup": "kaas.internal", "kind": "DataSource", "name": "llama"}
    wanted = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": storage_class,
        "dataSourceRef": reference,
    }
    meta = {"name": "data", "namespace": stage.namespace}
    return await stage.client.create(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": wanted}
    )


async def prime_of(stage: Stage, claim: Object) -> Object:
    """The prime of a claim, once the binder has asked the driver for its volume."""

    async def asked() -> Object | None:
        found = await stage.get("PersistentVolumeClaim", prime_name(claim["metadata"]["uid"]))
        return found if found and PROVISIONER in found["metadata"].get("annotations", {}) else None

    found = await until("the driver is asked for the prime's volume", asked)
    assert found is not None
    return found


async def provisioned(stage: Stage, prime: Object) -> str:
    """As external-provisioner makes a volume; its name."""
    name = f"pvc-{prime['metadata']['uid']}"
    keys = ("name", "namespace", "uid", "resourceVersion")
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **{k: prime["metadata"][k] for k in keys}}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": prime["spec"]["storageClassName"],
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": "csi.example.com", "volumeHandle": name},
        "claimRef": claim,
    }
    await stage.client.create(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    )
    return name


async def until_handed_over(stage: Stage, claim: Object, volume: str) -> None:
    """The claim is bound to the volume, says so, and nothing else is left."""

    async def bound() -> bool:
        found = await stage.get("PersistentVolumeClaim", "data")
        return bool(found and found["status"].get("phase") == "Bound" and found["spec"].get("volumeName") == volume)

    await until("the claim is bound to the volume", bound)
    assert (await stage.until_told("Loaded")).startswith("1.0GiB in 3 files")

    async def gone() -> bool:
        return await stage.get("PersistentVolumeClaim", prime_name(claim["metadata"]["uid"])) is None

    await until("the prime is gone", gone)
    found = await stage.client.read(f"/api/v1/persistentvolumes/{volume}")
    assert found["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    assert found["status"]["phase"] == "Bound"
    assert not await stage.jobs()


async def test_it_is_bound_when_all_is_there(stage: Stage) -> None:
    claim = await made(stage, "now")
    prime = await prime_of(stage, claim)
    volume = await provisioned(stage, prime)
    await stage.runs(await stage.loader(prime))
    found = await stage.get("PersistentVolumeClaim", "data")
    assert found is not None
    assert found["status"]["phase"] == "Pending"
    await stage.loads(prime)
    await until_handed_over(stage, claim, volume)


async def test_the_scheduler_says_where(stage: Stage) -> None:
    claim = await made(stage, "later")
    await stage.until_told("WaitingForConsumer")
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    await stage.pod("app", "data", gate=False, tolerations=[gpu])
    await stage.client.patch(ref_of(claim), {"metadata": {"annotations": {SELECTED_NODE: "node-1"}}})
    prime = await prime_of(stage, claim)
    assert prime["metadata"]["annotations"][SELECTED_NODE] == "node-1"
    volume = await provisioned(stage, prime)
    assert gpu in (await stage.loader(prime))["spec"]["tolerations"], (
        "nodes that the Pod tolerates are the loader's too"
    )
    await stage.loads(prime)
    await until_handed_over(stage, claim, volume)


async def test_a_claim_that_goes_in_the_middle_leaves_nothing(stage: Stage) -> None:
    claim = await made(stage, "now")
    prime = await prime_of(stage, claim)
    await provisioned(stage, prime)
    await stage.runs(await stage.loader(prime))
    await stage.client.delete(ref_of(claim))

    async def gone() -> bool:
        names = ("data", prime["metadata"]["name"])
        return not any([await stage.get("PersistentVolumeClaim", name) for name in names])

    await until("claim and prime are gone", gone)
    assert not await stage.jobs()
