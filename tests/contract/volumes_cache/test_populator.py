"""Claims that a DataSource fills before they are bound, with the real binder, scheduler and loader."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.kube.objects import Object, condition, ref_of
from kaas.volumes import terms
from kaas.volumes.populator.terms import SOURCE, prime_name
from tests.contract.volumes.stage import until
from tests.contract.volumes_cache.born import Namespace
from tests.contract.volumes_cache.conftest import BUCKET, Bucket
from tests.contract.workloads import WorkloadLab

REFERENCE = {"apiGroup": "kaas.internal", "kind": "DataSource", "name": "llama"}
pytestmark = pytest.mark.usefixtures("controller")


def source(namespace: Namespace, **spec: Any) -> Object:
    meta = {"name": "llama", "namespace": namespace.name}
    return {"apiVersion": SOURCE.api_version, "kind": SOURCE.kind, "metadata": meta, "spec": spec}


def of_bucket(namespace: Namespace, bucket: Bucket, prefix: str, **more: Any) -> Object:
    where = {"source": f"s3://{BUCKET}/{prefix}/", "endpoint": bucket.url, "region": "us-east-1"}
    return source(namespace, **where, **more)


async def bound(namespace: Namespace, name: str = "data") -> Object:
    async def found() -> Object | None:
        claim = await namespace.stage.get("PersistentVolumeClaim", name)
        return claim if claim and (claim.get("status") or {}).get("phase") == "Bound" else None

    claim = await until(f"{name} is bound", found)
    assert claim is not None
    return claim


async def no_primes(namespace: Namespace) -> None:
    async def none() -> bool:
        found = await namespace.stage.client.read(f"/api/v1/namespaces/{namespace.name}/persistentvolumeclaims")
        return not any(c["metadata"]["name"].startswith("prime-") for c in found["items"])

    await until("no prime is left", none)


async def test_a_claim_is_filled_before_it_is_bound(team: Namespace, bucket: Bucket, workload_lab: WorkloadLab) -> None:
    bucket.put("filled/file", b"data")
    await team.stage.client.create(of_bucket(team, bucket, "filled", path="/models"))
    await team.claim("data", {}, dataSourceRef=REFERENCE)
    claim = await bound(team)
    assert (workload_lab.volume(team.name, "data") / "models" / "file").read_bytes() == b"data"
    message = await team.stage.until_told("Loaded")
    assert message.startswith("4B in 1 file")
    volume = await team.stage.client.read(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
    assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    await no_primes(team)
    assert volume["status"]["phase"] == "Bound"
    assert not await team.stage.jobs()


async def test_the_first_pod_decides_where(team: Namespace, bucket: Bucket, workload_lab: WorkloadLab) -> None:
    bucket.put("waits/file", b"data")
    await team.stage.client.create(of_bucket(team, bucket, "waits"))
    await team.claim("data", {}, "lab-wait", dataSourceRef=REFERENCE)
    await team.stage.until_told("WaitingForConsumer")
    await team.stage.pod("app", "data", gate=False, nodeSelector={"topology.kubernetes.io/zone": "zone-2"})
    claim = await bound(team)
    assert (workload_lab.volume(team.name, "data") / "file").read_bytes() == b"data"
    volume = await team.stage.client.read(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
    assert "zone-2" in str(volume["spec"]["nodeAffinity"])

    async def runs() -> bool:
        pod = await team.stage.get("Pod", "app")
        return bool(pod and pod["status"].get("phase") == "Running")

    await until("the Pod runs", runs)
    await no_primes(team)


async def test_what_fails_is_said_and_begins_again_when_it_is_corrected(team: Namespace, bucket: Bucket) -> None:
    bucket.put("late/file", b"data")
    wrong = await team.stage.client.create(of_bucket(team, bucket, "nothing"))
    await team.claim("data", {}, dataSourceRef=REFERENCE)
    message = await team.stage.until_told("SourceNotFound")
    assert "spec.id of DataSource llama" in message
    right = {"spec": {"source": f"s3://{BUCKET}/late/"}}
    await team.stage.client.patch(ref_of(wrong), right)
    await bound(team)
    await team.stage.until_told("Loaded")


async def test_a_claim_that_goes_takes_all_with_it(team: Namespace, bucket: Bucket) -> None:
    bucket.put("goes/file", b"data")
    await team.claim("data", {}, dataSourceRef=REFERENCE)
    await team.stage.until_told("Pending", words="DataSource llama is not there")
    claim = await team.stage.get("PersistentVolumeClaim", "data")
    assert claim is not None
    await team.stage.client.create(of_bucket(team, bucket, "goes"))

    async def prime() -> Object | None:
        return await team.stage.get("PersistentVolumeClaim", prime_name(claim["metadata"]["uid"]))

    await until("a prime is there", prime)
    await team.stage.client.delete(ref_of(claim))
    await no_primes(team)
    assert condition(claim, terms.CONDITION) is not None
