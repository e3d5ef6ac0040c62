"""Replicas that come and go, and none at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.credentials.cluster import AWS, Cluster, Object, aws_secret, manifest, pod, variables
from tests.contract.credentials.installation import Webhook
from tests.contract.credentials.load import AT_ONCE, load
from tests.contract.credentials.replica import until


async def test_a_replica_that_is_stopped_under_load_costs_no_pod(cluster: Cluster, webhook: Webhook) -> None:
    async with load(cluster) as found:
        await found.more(50)
        for _ in range(2):
            leaving = webhook.service.endpoints[0]
            coming = webhook.start()
            await until(coming.is_ready)
            leaving.terminate()
            assert await leaving.ended() == 0
            await found.more(50)
    assert found.bad == []


async def test_a_replica_that_is_killed_loses_no_more_than_it_was_answering(cluster: Cluster, webhook: Webhook) -> None:
    """What it had taken dies with it, and the API server says so; from the next request on the others answer."""
    async with load(cluster) as found:
        await found.more(50)
        webhook.service.endpoints[0].kill()
        await found.more(200)
        lost = len(found.bad)
        await found.more(100)
    assert len(found.bad) == lost <= AT_ONCE
    await until(webhook.start().is_ready)


async def test_a_replica_takes_little_memory(cluster: Cluster, webhook: Webhook) -> None:
    async with load(cluster) as found:
        await found.more(500)
    assert all(replica.memory <= 60 for replica in webhook.service.endpoints)


async def test_no_value_of_a_secret_is_in_a_log(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await cluster.namespace()
    await cluster.create(aws_secret(namespace))
    await cluster.create(aws_secret(namespace, "wrong", AWS_ACCESS_KEY_ID="AROAIOSFODNN7EXAMPLE"))
    await cluster.create(pod(namespace, aws_credentials="s3"))
    for replica in webhook.replicas:
        log = replica.log.read_text()
        assert not [value for value in (*AWS.values(), "AROAIOSFODNN7EXAMPLE") if value in log]


@pytest.fixture
async def nobody(cluster: Cluster, webhook: Webhook) -> AsyncIterator[None]:
    """No replica runs."""
    for replica in webhook.replicas:
        replica.terminate()
    for replica in webhook.replicas:
        await replica.ended()
    yield
    await webhook.install(cluster)


async def attempts(cluster: Cluster) -> list[tuple[Object, int]]:
    """What a cluster without a webhook has to do, and the answer to each."""
    namespace = await cluster.namespace()
    await cluster.apply(manifest("Namespace", "kube-system"))
    wanted = [
        pod(namespace),
        pod("kube-system", aws_credentials="s3"),
        pod("kaas-credentials"),
        manifest("Secret", "other", namespace, stringData={"a": "b"}),
        pod(namespace, aws_credentials="s3"),
        aws_secret(namespace),
    ]
    return [(obj, (await cluster.create(obj, dryRun="All")).status) for obj in wanted]


async def test_without_any_replica_only_what_asks_for_credentials_waits(
    cluster: Cluster, webhook: Webhook, nobody: None
) -> None:
    assert [status for _, status in await attempts(cluster)] == [201, 201, 201, 201, 500, 500]
    await webhook.install(cluster, "failurePolicy=Ignore")

    async def is_ignored() -> bool:
        return {status for _, status in await attempts(cluster)} == {201}

    await until(is_ignored)
    answer = await cluster.create(pod(await cluster.namespace(), aws_credentials="s3"), dryRun="All")
    assert variables(answer.body) == set()
