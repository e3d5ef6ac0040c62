"""Replicas that come and go, none at all, and what one costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kaas.volumes import terms
from tests.contract.credentials.cluster import Answer, Cluster, manifest
from tests.contract.credentials.replica import FAILED, Replica, stop, until
from tests.contract.volumes_webhook.conftest import furnished
from tests.contract.volumes_webhook.installation import Installed
from tests.contract.volumes_webhook.objects import SOURCE, claim, held, made, pod

AT_ONCE = 8
BURST = 40


@asynccontextmanager
async def load(cluster: Cluster) -> AsyncIterator[list[Answer]]:
    """Create Pods that have to wait until the end of the block, nothing is stored; gives all answers so far."""
    namespace, answers = await furnished(cluster), list[Answer]()
    await made(cluster, claim(namespace, source=SOURCE))

    async def create() -> None:
        while True:
            answers.append(await cluster.create(pod(namespace, "data"), dryRun="All"))

    tasks = [asyncio.create_task(create()) for _ in range(AT_ONCE)]
    try:
        yield answers
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [e for e in ended if isinstance(e, Exception)]


async def more(answers: list[Answer], count: int) -> None:
    """Return after so many more answers."""
    end = len(answers) + count

    async def reached() -> bool:
        return len(answers) >= end

    await until(reached)


async def come(webhook: Installed) -> None:
    """One more replica, which the Service leads to."""
    webhook.start()
    await until(webhook.service.leads_to_all_that_stay)


async def left(webhook: Installed) -> Replica:
    """A replica that was told to end when another was there for it, and that the Service leads to no more."""
    leaving = webhook.service.endpoints[0]
    await come(webhook)
    leaving.terminate()
    await until(webhook.service.leads_to_none_that_leaves)
    return leaving


async def test_a_replica_that_is_stopped_under_load_costs_no_pod_and_has_little_memory(
    cluster: Cluster, webhook: Installed
) -> None:
    async with load(cluster) as answers:
        await more(answers, 50)
        leaving = [await left(webhook) for _ in range(2)]
        await more(answers, 500)
        assert [await replica.ended() for replica in leaving] == [0, 0]
    assert not [a for a in answers if a.status != 201 or not held(a.body)]
    assert all(replica.memory <= 60 for replica in webhook.service.endpoints)


async def test_connections_of_a_burst_lead_to_a_replica_that_was_told_to_end_and_cost_no_pod(
    cluster: Cluster, webhook: Installed
) -> None:
    """The API server keeps more of them than it needs, and no replica may close them: it would lose what comes then."""
    namespace = await furnished(cluster)

    async def burst() -> set[int]:
        pods = (cluster.create(pod(namespace, "data"), dryRun="All") for _ in range(BURST))
        return {answer.status for answer in await asyncio.gather(*pods)}

    assert await burst() == {201}
    leaving = await left(webhook)

    async def is_drained() -> bool:
        return "connections are left to who holds them" in await asyncio.to_thread(leaving.log.read_text)

    await until(is_drained)
    assert await burst() == {201}
    stop(leaving, hurry=True)


@pytest.fixture
async def nobody(webhook: Installed) -> AsyncIterator[None]:
    """No replica runs."""
    await asyncio.to_thread(stop, *webhook.replicas, hurry=True)
    yield
    await come(webhook)


async def attempts(cluster: Cluster) -> list[int]:
    """What a cluster without a webhook has to do, and the answer to each: the first five must always be taken."""
    namespace, disabled = await furnished(cluster), await furnished(cluster, load="disabled")
    await cluster.apply(manifest("Namespace", "kube-system"))
    await cluster.apply(manifest("ServiceAccount", "default", "kube-system"))
    wanted = [
        pod(namespace),
        claim(namespace, "plain"),
        pod("kube-system", "data"),
        pod(disabled, "data"),
        pod(namespace, "data", annotations={terms.WAIT: "false"}),
        claim(namespace, source=SOURCE),
        pod(namespace, "data"),
    ]
    return [(await cluster.create(obj, dryRun="All")).status for obj in wanted]


async def test_without_any_replica_only_what_may_have_to_wait_is_refused(
    cluster: Cluster, webhook: Installed, nobody: None
) -> None:
    assert await attempts(cluster) == [201, 201, 201, 201, 201, 500, 500]
    refused = await cluster.create(pod(await furnished(cluster), "data"), dryRun="All")
    assert 'failed calling webhook "pods.volumes.kaas.internal"' in refused.message
    await webhook.install(cluster, "failurePolicy=Ignore")

    async def is_ignored() -> bool:
        return set(await attempts(cluster)) == {201}

    await until(is_ignored)
    await webhook.install(cluster)


async def test_without_any_replica_a_claim_is_changed_in_all_but_what_it_asks_for(
    cluster: Cluster, webhook: Installed, nobody: None
) -> None:
    """As whoever binds, resizes or deletes it changes it."""
    namespace = await furnished(cluster, load="disabled")
    await made(cluster, claim(namespace, source=SOURCE))
    place, merge = f"/api/v1/namespaces/{namespace}", "application/merge-patch+json"
    await cluster.call("PATCH", place, {"metadata": {"labels": {"kaas.internal/load": None}}}, merge)

    async def changed(**metadata: dict[str, str | None]) -> int:
        path = f"{place}/persistentvolumeclaims/data"
        return (await cluster.call("PATCH", path, {"metadata": metadata}, merge, dryRun="All")).status

    async def is_asked() -> bool:
        return await changed(annotations={terms.ID: "2"}) == FAILED

    await until(is_asked)
    assert await changed(annotations={terms.SOURCE: None, terms.WAIT: "false"}) == FAILED
    assert await changed(annotations={"pv.kubernetes.io/bind-completed": "yes"}) == 200
    assert await changed(labels={"a": "b"}) == 200


async def test_what_the_webhook_may_not_read_refuses_the_pod_and_not_its_wait(
    cluster: Cluster, webhook: Installed
) -> None:
    """Its rights are gone for a while: a Pod whose claims are unknown is not let through."""
    namespace, role = await furnished(cluster), manifest("ClusterRoleBinding", "kaas-volumes-webhook")
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kaas-volumes-webhook"
    assert (await cluster.call("DELETE", path)).status == 200, role

    async def is_refused() -> Answer | None:
        answer = await cluster.create(pod(namespace, "data"), dryRun="All")
        return answer if answer.status != 201 else None

    refused = await until(is_refused)
    assert refused is not None
    assert refused.status == 503, refused
    assert "claims of the Pod could not be read (Forbidden); try again" in refused.message
    await webhook.install(cluster)

    async def is_taken() -> bool:
        return (await cluster.create(pod(namespace, "data"), dryRun="All")).status == 201

    await until(is_taken)
