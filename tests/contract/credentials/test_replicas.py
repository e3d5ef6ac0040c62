"""Replicas that come and go, and none at all."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from tests import metrics
from tests.contract.credentials.cluster import AWS, Cluster, Object, aws_secret, manifest, pod, variables
from tests.contract.credentials.installation import Webhook, api_port
from tests.contract.credentials.load import load
from tests.contract.credentials.replica import Replica, stop, until
from tests.contract.credentials.sidecar import SIDECAR_PORT, sidecar


async def left(webhook: Webhook) -> Replica:
    """A replica that was told to end when another was there for it, and that its Service leads to no more."""
    service = webhook.services[0]
    leaving = service.endpoints[0]
    webhook.start()
    await until(service.leads_to_all_that_stay)
    leaving.terminate()
    await until(service.leads_to_none_that_leaves)
    return leaving


async def test_a_replica_that_is_stopped_under_load_costs_no_pod(cluster: Cluster, webhook: Webhook) -> None:
    async with load(cluster) as found:
        await found.more(50)
        leaving = [await left(webhook) for _ in range(2)]
        await found.more(100)
        assert [await replica.ended() for replica in leaving] == [0, 0]
    assert found.bad == []


def failed_open(webhook: Webhook) -> float:
    """Calls that the API server has lost, and went on without an answer."""
    api = webhook.management
    found = metrics.scrape_api_server(api.api.url, api.kubeconfig.parent / "certs")
    return metrics.total(found, "apiserver_admission_webhook_fail_open_count")


@pytest.mark.parametrize("account", [False, True], ids=["annotated Pods", "annotated ServiceAccount"])
async def test_a_replica_that_is_killed_under_load_costs_no_pod(
    cluster: Cluster, webhook: Webhook, account: bool
) -> None:
    """What it had taken dies with it, and the API server asks the other."""
    before = failed_open(webhook)
    async with load(cluster, account=account) as found:
        await found.more(50)
        for service in (*webhook.services, *webhook.services):
            service.endpoints[0].kill()
            await found.more(100)
            await until(webhook.start().is_ready)
            await found.more(50)
    assert found.bad == []
    assert failed_open(webhook) > before, "no call was lost, so nothing was tried"


@pytest.mark.parametrize("account", [False, True], ids=["annotated Pods", "annotated ServiceAccount"])
async def test_a_replica_that_hangs_costs_no_pod(cluster: Cluster, webhook: Webhook, account: bool) -> None:
    """As one whose node is gone: nobody says that the connection is dead, and the first try ends by its time-out."""
    before = failed_open(webhook)
    async with load(cluster, account=account) as found:
        await found.more(50)
        for service in webhook.services:
            (hanging,) = service.endpoints
            hanging.process.send_signal(signal.SIGSTOP)
            await found.more(50)
            hanging.process.send_signal(signal.SIGCONT)
            await until(hanging.is_ready)
            await found.more(50)
    assert found.bad == []
    assert failed_open(webhook) > before


async def test_a_pod_is_not_taken_when_nobody_answers_for_what_was_added_to_it(
    cluster: Cluster, webhook: Webhook
) -> None:
    """All replicas die after they have answered, and before they are asked about another webhook's container."""
    namespace, dying = await cluster.namespace(), asyncio.Event()

    def before() -> None:
        for replica in webhook.replicas if dying.is_set() else ():
            replica.kill()

    async def has_sidecar() -> bool:
        answer = await cluster.create(pod(namespace, aws_credentials="s3"), dryRun="All")
        return len(answer.body["spec"]["containers"]) > 1

    async with sidecar(cluster, namespace, api_port(webhook.management) + SIDECAR_PORT, before):
        await until(has_sidecar)
        dying.set()
        refused = await cluster.create(pod(namespace, aws_credentials="s3"), dryRun="All")
        dying.clear()
    assert refused.status == 403
    assert "containers were added, and the webhook did not answer for them; try again" in refused.message
    for _ in webhook.services:
        await until(webhook.start().is_ready)


async def test_a_replica_takes_little_memory(cluster: Cluster, webhook: Webhook) -> None:
    async with load(cluster) as found:
        await found.more(500)
    assert all(replica.memory <= 60 for replica in webhook.ready)


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
    await asyncio.to_thread(stop, *webhook.replicas, hurry=True)
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
