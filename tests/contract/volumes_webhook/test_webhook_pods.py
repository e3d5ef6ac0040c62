"""Which Pods wait, at the real API server: whoever makes them, and whatever they mount."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.kube import resources
from kaas.volumes import terms
from tests.contract.credentials.cluster import Cluster, Object, manifest
from tests.contract.volumes.stage import Stage, until
from tests.contract.volumes_webhook.conftest import furnished
from tests.contract.volumes_webhook.installation import Installed
from tests.contract.volumes_webhook.objects import (
    ROOM,
    SOURCE,
    claim,
    gates,
    held,
    loaded,
    made,
    pod,
    template,
    waits,
)

pytestmark = pytest.mark.usefixtures("webhook")
TO_LOAD = {terms.SOURCE: SOURCE}


async def test_a_pod_waits_for_a_claim_that_is_to_be_loaded_until_it_is(cluster: Cluster, namespace: str) -> None:
    found = await made(cluster, claim(namespace, source=SOURCE))
    assert waits(await cluster.create(pod(namespace, "data")))
    await loaded(cluster, found)
    assert not waits(await cluster.create(pod(namespace, "data")))


async def test_another_load_id_is_waited_for_anew(cluster: Cluster, namespace: str) -> None:
    await loaded(cluster, await made(cluster, claim(namespace, source=SOURCE, id="1")))
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data"
    change = {"metadata": {"annotations": {terms.ID: "2"}}}
    assert (await cluster.call("PATCH", path, change, "application/merge-patch+json")).status == 200
    assert waits(await cluster.create(pod(namespace, "data")))


async def test_a_pod_waits_for_a_claim_that_comes_later_and_for_none_that_is_plain(
    cluster: Cluster, namespace: str
) -> None:
    await made(cluster, claim(namespace, "plain"))
    assert waits(await cluster.create(pod(namespace, "later")))
    assert not waits(await cluster.create(pod(namespace, "plain")))
    assert not waits(await cluster.create(pod(namespace)))


def brings(namespace: str, **annotations: str) -> Object:
    """A Pod with a generic ephemeral volume."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": ROOM}
    wanted = {"metadata": {"annotations": annotations}, "spec": spec}
    return pod(namespace, volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": wanted}}])


async def test_of_ephemeral_volumes_those_that_are_loaded_are_waited_for(cluster: Cluster, stage: Stage) -> None:
    assert not waits(await cluster.create(brings(stage.namespace)))
    answer = await cluster.create(brings(stage.namespace, **TO_LOAD))
    assert waits(answer)
    name = f"{answer.body['metadata']['name']}-scratch"

    async def made_by_its_controller() -> Object | None:
        return await stage.get("PersistentVolumeClaim", name)

    found = await until("the claim of the volume", made_by_its_controller)
    assert found is not None
    assert found["metadata"]["annotations"][terms.SOURCE] == SOURCE


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job"])
async def test_pods_of_controllers_wait_too(cluster: Cluster, stage: Stage, kind: str) -> None:
    spec: dict[str, Any] = {"template": template("data")}
    if kind == "Job":
        spec["template"]["spec"]["restartPolicy"] = "Never"
    else:
        spec |= {"selector": {"matchLabels": {"app": "x"}}, "replicas": 1}
    if kind == "StatefulSet":
        # It makes the claim, which has its annotations, and then the Pod.
        wanted = {"accessModes": ["ReadWriteOnce"], "resources": ROOM}
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "v0", "annotations": TO_LOAD}, "spec": wanted}]
    else:
        await made(cluster, claim(stage.namespace, source=SOURCE))
    obj = manifest(kind, "app", stage.namespace, spec=spec)
    await made(cluster, {**obj, "apiVersion": "batch/v1" if kind == "Job" else "apps/v1"})

    async def pods() -> list[Object]:
        return await stage.client.list(resources.POD, stage.namespace)

    (found,) = await until(f"the Pod of the {kind}", pods)
    assert held(found)


async def test_who_opts_out_does_not_wait(cluster: Cluster, namespace: str) -> None:
    await made(cluster, claim(namespace, source=SOURCE))
    await made(cluster, claim(namespace, "nobody-waits", source=SOURCE, wait="false"))
    assert not waits(await cluster.create(pod(namespace, "data", annotations={terms.WAIT: "false"})))
    assert waits(await cluster.create(pod(namespace, "data", annotations={terms.WAIT: "true"})))
    assert not waits(await cluster.create(pod(namespace, "nobody-waits")))
    disabled = await furnished(cluster, load="disabled")
    await made(cluster, claim(disabled, source=SOURCE))
    assert not waits(await cluster.create(pod(disabled, "data")))


async def test_a_pod_that_names_its_node_is_refused(cluster: Cluster, namespace: str) -> None:
    await made(cluster, claim(namespace, source=SOURCE))
    refused = await cluster.create(pod(namespace, "data", nodeName="n1"))
    assert refused.status == 422
    assert "volume data: spec.nodeName: a Pod that names its node cannot wait for the data of data" in refused.message
    assert f'{terms.WAIT}: "false" on the Pod' in refused.message
    out = {terms.WAIT: "false"}
    assert not waits(await cluster.create(pod(namespace, "data", nodeName="n1", annotations=out)))


async def test_gates_of_others_stay_and_ours_is_there_once(cluster: Cluster, namespace: str) -> None:
    await made(cluster, claim(namespace, source=SOURCE))
    given = [{"name": "example.com/quota"}, {"name": terms.GATE}]
    answer = await cluster.create(pod(namespace, "data", schedulingGates=given))
    assert waits(answer)
    assert gates(answer.body) == ["example.com/quota", terms.GATE]
    answer = await cluster.create(pod(namespace, "data", schedulingGates=given[:1]))
    assert gates(answer.body) == ["example.com/quota", terms.GATE]


async def test_a_dry_run_shows_what_would_be(cluster: Cluster, namespace: str, webhook: Installed) -> None:
    await made(cluster, claim(namespace, source=SOURCE))
    assert waits(await cluster.create(pod(namespace, "data"), dryRun="All"))


async def test_loaders_of_our_own_are_not_sent(cluster: Cluster, namespace: str, webhook: Installed) -> None:
    await made(cluster, claim(namespace, source=SOURCE))
    before = webhook.total("kaas_volume_webhook_requests_total", webhook="pods")
    loader = pod(namespace, "data")
    loader["metadata"]["labels"] = {terms.LOADER_LABEL: "uid"}
    answer = await cluster.create(loader)
    assert answer.status == 201
    assert not gates(answer.body)
    assert webhook.total("kaas_volume_webhook_requests_total", webhook="pods") == before
    assert waits(await cluster.create(pod(namespace, "data")))
    assert webhook.total("kaas_volume_webhook_requests_total", webhook="pods") > before
