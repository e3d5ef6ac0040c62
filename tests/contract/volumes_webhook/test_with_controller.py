"""Pods that the real webhook holds are freed by the real controller, whatever comes first and whoever was away."""

from __future__ import annotations

from kaas.kube.objects import Object
from kaas.volumes import terms
from tests.contract.credentials.cluster import Cluster
from tests.contract.volumes.stage import PATIENCE, SOURCE, Stage, until
from tests.contract.volumes_webhook.installation import Installed
from tests.contract.volumes_webhook.objects import ROOM, held, made, pod

MERGE = "application/merge-patch+json"


async def is_held(stage: Stage, name: str) -> bool:
    found = await stage.get("Pod", name)
    assert found is not None
    return held(found)


async def until_freed(stage: Stage, name: str, patience: float = PATIENCE) -> None:
    """Neither gate nor label is left, and nothing else of the Pod has changed."""

    async def freed() -> bool:
        return not await is_held(stage, name)

    await until(f"{name} is free", freed, patience)


async def annotate(cluster: Cluster, stage: Stage, **annotations: str | None) -> None:
    path = f"/api/v1/namespaces/{stage.namespace}/persistentvolumeclaims/data"
    change = {"metadata": {"annotations": {terms.PREFIX + key: value for key, value in annotations.items()}}}
    assert (await cluster.call("PATCH", path, change, MERGE)).status == 200


async def test_a_pod_waits_until_its_data_is_there_and_whoever_comes_later_does_not(
    webhook: Installed, stage: Stage
) -> None:
    async with webhook.controller():
        claim = await stage.claim(load_source=SOURCE)
        await stage.pod("first", "data", gate=False, schedulingGates=[{"name": "example.com/other"}])
        await stage.runs(await stage.loader(claim))
        assert await is_held(stage, "first")
        await stage.loads(claim)
        await stage.until_told("Loaded")
        await until_freed(stage, "first")
        assert await stage.gates("first") == ["example.com/other"]
        await stage.pod("later", "data", gate=False)
        assert not await is_held(stage, "later")


async def test_a_claim_may_come_later_than_its_pod(webhook: Installed, stage: Stage) -> None:
    async with webhook.controller():
        await stage.pod("plain", "plain", gate=False)
        await stage.pod("app", "data", gate=False)
        assert await is_held(stage, "plain")
        await stage.claim("plain")
        await until_freed(stage, "plain")
        claim = await stage.claim(load_source=SOURCE)
        await stage.runs(await stage.loader(claim))
        assert await is_held(stage, "app")
        await stage.loads(claim)
        await until_freed(stage, "app")


async def test_a_gate_of_its_own_manifest_holds_no_pod_that_need_not_wait(webhook: Installed, stage: Stage) -> None:
    """The sweep, which finds Pods without our label, comes once a minute: nobody waits for that."""
    async with webhook.controller():
        await stage.claim("plain")
        await stage.pod("other", "other", gate=False)
        await stage.claim("other")
        await until_freed(stage, "other")  # so the controller's first sweep is over
        await stage.pod("own", "plain", label=False)
        await until_freed(stage, "own", patience=30.0)


async def test_what_happens_while_the_controller_is_away_is_made_up_for(
    webhook: Installed, stage: Stage, cluster: Cluster
) -> None:
    async with webhook.controller():
        claim = await stage.claim(load_source=SOURCE)
        await stage.pod("app", "data", gate=False)
        await stage.runs(await stage.loader(claim))
    await stage.loads(claim)
    await stage.pod("other", "other", gate=False)
    await stage.claim("other")
    assert await is_held(stage, "app")
    async with webhook.controller():
        await until_freed(stage, "app")
        await until_freed(stage, "other")


async def test_without_its_annotation_a_claim_holds_nobody(webhook: Installed, stage: Stage, cluster: Cluster) -> None:
    async with webhook.controller():
        claim = await stage.claim(load_source=SOURCE)
        await stage.pod("app", "data", gate=False)
        await stage.runs(await stage.loader(claim))
        assert await is_held(stage, "app")
        await annotate(cluster, stage, source=None)
        await until_freed(stage, "app")
        await annotate(cluster, stage, source=SOURCE, id="again")
        await stage.pod("next", "data", gate=False)
        assert await is_held(stage, "next")
        await annotate(cluster, stage, wait="false")
        await until_freed(stage, "next")


async def test_the_volume_that_a_pod_brings_is_loaded_first(webhook: Installed, stage: Stage, cluster: Cluster) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": ROOM, "volumeName": f"pv-{stage.namespace}"}
    template = {"metadata": {"annotations": {terms.SOURCE: SOURCE}}, "spec": spec}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    async with webhook.controller():
        found = await made(cluster, pod(stage.namespace, volumes=volumes))
        name = found["metadata"]["name"]

        async def brought() -> Object | None:
            return await stage.get("PersistentVolumeClaim", f"{name}-scratch")

        claim = await until("the claim of the volume", brought)
        assert claim is not None
        await stage.bind(claim)
        await stage.loads(claim)
        await until_freed(stage, name)
