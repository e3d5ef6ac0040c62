"""Claims are loaded by real Jobs at the real API server, and Pods that wait are freed."""

from __future__ import annotations

import pytest

from kaas.kube.objects import Ref, ref_of
from kaas.loader.report import Exit, Reason, Result
from kaas.volumes import terms
from kaas.volumes.job import POLICY, network_policy
from tests.contract.volumes.stage import SETTINGS, SOURCE, Stage, until

pytestmark = pytest.mark.usefixtures("running")


async def test_a_claim_is_loaded_and_its_pod_freed(stage: Stage) -> None:
    claim = await stage.claim(load_source=SOURCE)
    await stage.pod("app", "data", schedulingGates=[{"name": "example.com/other"}])
    await stage.until_told("Listing")
    pod = await stage.loader(claim)
    await stage.runs(pod)
    assert "kaas.internal/data-load" in await stage.gates("app")
    await stage.loads(claim)
    message = await stage.until_told("Loaded")
    assert message.startswith("1.0GiB in 3 files, 2s (load ")
    await stage.until_free("app")
    assert await stage.gates("app") == ["example.com/other"]
    app = await stage.get("Pod", "app")
    assert app is not None
    assert "kaas.internal/data-load" not in (app["metadata"].get("labels") or {})

    async def gone() -> bool:
        return not await stage.jobs()

    await until("the Job is gone", gone)
    assert await stage.events("data") == ["Loaded"]
    fence = await stage.client.get(Ref("networking.k8s.io/v1", "NetworkPolicy", stage.namespace, POLICY))
    assert fence is not None
    assert fence["spec"] == network_policy(stage.namespace, SETTINGS)["spec"], "it would be written for each load"


async def test_a_claim_can_be_deleted_while_it_is_loaded(stage: Stage) -> None:
    """A Job's Pod keeps a claim from going, whose Job is collected when it is gone: somebody has to end the Job."""
    claim = await stage.claim(load_source=SOURCE)
    await stage.runs(await stage.loader(claim))
    await stage.client.delete(ref_of(claim))

    async def gone() -> bool:
        return await stage.get("PersistentVolumeClaim", "data") is None

    await until("the claim is gone", gone)
    assert not await stage.jobs()


async def test_what_keeps_a_loader_from_starting_is_told(stage: Stage) -> None:
    claim = await stage.claim(load_source=SOURCE)
    pod = await stage.loader(claim)
    await stage.waits(pod, "ImagePullBackOff", 'Back-off pulling image "registry.example.com/kaas:1"')
    message = await stage.until_told("Pending", words="ImagePullBackOff: Back-off pulling image")
    assert "; it is given up at " in message


async def test_a_quota_that_has_no_room_is_told(stage: Stage) -> None:
    """The Job is there, but no Pod is made: only an Event says why."""
    quota = {"hard": {"requests.cpu": "100m"}}
    meta = {"name": "small", "namespace": stage.namespace}
    made = await stage.client.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": quota})
    status = {"status": {**quota, "used": {"requests.cpu": "0"}}}
    await stage.client.patch(ref_of(made), status, subresource="status")
    await stage.claim(load_source=SOURCE)
    await stage.until_told("Pending", words="exceeded quota: small")


async def test_a_permanent_failure_ends_the_job(stage: Stage) -> None:
    claim = await stage.claim(load_source=SOURCE)
    await stage.pod("app", "data")
    pod = await stage.loader(claim)
    await stage.runs(pod)
    await stage.ends(pod, Result(Reason.ACCESS_DENIED, "s3://models: Access Denied"), Exit.PERMANENT)
    message = await stage.until_told("AccessDenied")
    assert "s3://models: Access Denied. Correct it and set another kaas.internal/load-id" in message

    async def told() -> bool:
        return "DataNotLoaded" in await stage.events("app")

    await until("the Pod is told", told)
    assert await stage.gates("app") == [terms.GATE]


async def test_a_pod_that_was_driven_away_costs_no_try(stage: Stage) -> None:
    claim = await stage.claim(load_source=SOURCE)
    pod = await stage.loader(claim)
    await stage.runs(pod)
    await stage.evicted(pod)
    await stage.ends(pod, Result(Reason.INTERRUPTED, "told to stop"), Exit.RETRY)

    async def another() -> bool:
        return any(p["metadata"]["uid"] != pod["metadata"]["uid"] for p in await stage.loaders())

    await until("another Pod", another)
    (job,) = await stage.jobs()
    assert not job["status"].get("failed")
    await stage.loads(claim)
    await stage.until_told("Loaded")


async def test_several_pods_load_one_claim(stage: Stage) -> None:
    claim = await stage.claim(load_source=SOURCE, load_shards="3", accessModes=["ReadWriteMany"])

    async def three() -> bool:
        return len(await stage.loaders()) == 3

    await until("three loaders", three)
    for pod in await stage.loaders():
        await stage.runs(pod)
        await stage.ends(pod, Result(Reason.LOADED, "", bytes=1 << 30, files=2), 0)
    message = await stage.until_told("Loaded")
    assert message.startswith("3.0GiB in 6 files")
    assert claim["metadata"]["uid"] not in {p["metadata"]["uid"] for p in await stage.loaders()}


async def test_a_pod_without_the_label_and_one_that_comes_first_are_freed(stage: Stage) -> None:
    await stage.pod("early", "data")
    assert await stage.gates("early") == [terms.GATE]
    await stage.claim()
    await stage.until_free("early")
