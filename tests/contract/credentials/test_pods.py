"""Pods through the real API server: what they have when they are stored."""

from __future__ import annotations

import asyncio

from tests.contract.credentials.cluster import Answer, Cluster, aws_secret, manifest, pod, variables
from tests.contract.credentials.installation import Webhook, api_port
from tests.contract.credentials.replica import until
from tests.contract.credentials.sidecar import SIDECAR_PORT, sidecar

KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


async def test_a_pods_own_annotation_counts_in_any_namespace(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await cluster.namespace()
    assert (await cluster.create(aws_secret(namespace))).status == 201
    answer = await cluster.create(pod(namespace, containers=3, aws_credentials="s3"))
    assert answer.status == 201
    assert all(variables(answer.body, n) >= KEYS for n in range(3))
    assert answer.body["metadata"]["annotations"]["kaas.internal/injected"] == "aws=s3"
    assert answer.warnings == []


async def test_a_missing_secret_is_a_warning(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await cluster.namespace()
    answer = await cluster.create(pod(namespace, aws_credentials="later"))
    assert answer.status == 201
    assert variables(answer.body) >= KEYS
    assert [w for w in answer.warnings if "later" in w]


async def test_a_secret_of_a_moment_ago_is_known(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await cluster.namespace()
    assert (await cluster.create(pod(namespace, aws_credentials="s3"))).warnings
    await cluster.create(aws_secret(namespace))
    assert (await cluster.create(pod(namespace, aws_credentials="s3"))).warnings == []


async def test_a_service_account_counts_where_its_namespace_has_opted_in(cluster: Cluster, webhook: Webhook) -> None:
    opted_in, other = await cluster.namespace(inject="enabled"), await cluster.namespace()
    found = []
    for namespace in (opted_in, other):
        annotations = {"kaas.internal/aws-credentials": "s3"}
        await cluster.create(manifest("ServiceAccount", "job", namespace, annotations=annotations))
        found.append((await cluster.create(pod(namespace, "job"))).body)
    assert variables(found[0]) >= KEYS
    assert variables(found[1]) == set()


async def test_a_pods_word_counts_more_than_its_accounts(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await cluster.namespace(inject="enabled")
    annotations = {"kaas.internal/aws-credentials": "s3"}
    await cluster.create(manifest("ServiceAccount", "job", namespace, annotations=annotations))
    own = await cluster.create(pod(namespace, "job", aws_credentials="mine"))
    off = await cluster.create(pod(namespace, "job", aws_credentials="none"))
    assert own.body["metadata"]["annotations"]["kaas.internal/injected"] == "aws=mine"
    assert variables(off.body) == set()


async def test_an_account_annotated_after_its_deployment_counts_for_the_next_pod(
    cluster: Cluster, webhook: Webhook
) -> None:
    """The account is read anew for each Pod: there is nothing that has to catch up."""
    namespace = await cluster.namespace(inject="enabled")
    for number in range(20):
        account = manifest("ServiceAccount", f"job-{number}", namespace)
        assert variables((await cluster.create(pod(namespace, f"job-{number}"))).body) == set()
        account["metadata"]["annotations"] = {"kaas.internal/aws-credentials": "s3"}
        await cluster.create(account)
        assert variables((await cluster.create(pod(namespace, f"job-{number}"))).body) >= KEYS


async def test_what_is_wrong_is_refused_with_the_way_out(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await cluster.namespace()
    answer = await cluster.create(pod(namespace, aws_credentials="Not A Name"))
    assert answer.status == 422
    assert "kaas.internal/aws-credentials" in answer.message


async def test_dry_run_shows_what_would_be_stored_and_stores_nothing(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await cluster.namespace()
    named = pod(namespace, aws_credentials="s3")
    named["metadata"] = {**named["metadata"], "name": "tried"}
    answer = await cluster.create(named, dryRun="All")
    assert variables(answer.body) >= KEYS
    assert (await cluster.get(named)).status == 404


async def test_system_namespaces_are_left_alone(cluster: Cluster, webhook: Webhook) -> None:
    before = webhook.total("kaas_credential_requests_total")
    await cluster.apply(manifest("Namespace", "kube-system", labels={"kaas.internal/inject": "enabled"}))
    for namespace in ("kube-system", "kaas-credentials"):
        answer = await cluster.create(pod(namespace, aws_credentials="s3"), dryRun="All")
        assert answer.status == 201
        assert variables(answer.body) == set()
    assert webhook.total("kaas_credential_requests_total") == before


async def test_pods_that_ask_for_nothing_are_not_sent(cluster: Cluster, webhook: Webhook) -> None:
    before = webhook.total("kaas_credential_requests_total")
    for labels in ({}, {"inject": "disabled"}):
        namespace = await cluster.namespace(**labels)
        assert (await cluster.create(pod(namespace, containers=2))).status == 201
    asking = pod(namespace, aws_credentials="s3")
    assert variables((await cluster.create(asking)).body) == set(), "the namespace is switched off"
    assert webhook.total("kaas_credential_requests_total") == before


async def test_two_hundred_pods_at_once(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await cluster.namespace(inject="enabled")
    annotations = {"kaas.internal/aws-credentials": "s3"}
    await cluster.create(manifest("ServiceAccount", "job", namespace, annotations=annotations))
    await cluster.create(aws_secret(namespace))
    before = webhook.total("kaas_credential_injected_total", provider="aws", source="ServiceAccount")
    answers = await asyncio.gather(*(cluster.create(pod(namespace, "job"), dryRun="All") for _ in range(200)))
    assert {answer.status for answer in answers} == {201}
    assert all(variables(answer.body) >= KEYS for answer in answers)
    after = webhook.total("kaas_credential_injected_total", provider="aws", source="ServiceAccount")
    assert after - before == 200


async def test_a_live_account_that_cannot_be_read_refuses_the_pod(cluster: Cluster, webhook: Webhook) -> None:
    """Whoever refuses says which object, and that it is worth another try."""
    namespace = await cluster.namespace(inject="enabled")
    refused = []

    async def is_refused() -> bool:
        refused.append(await cluster.create(pod(namespace, "job"), dryRun="All"))
        return refused[-1].status != 201

    await cluster.delete(manifest("ClusterRoleBinding", "kaas-credentials"))
    try:
        await until(is_refused)
    finally:
        await webhook.install(cluster)
    assert refused[-1].status == 503
    assert 'ServiceAccount "job" could not be read (Forbidden)' in refused[-1].message


async def test_containers_of_later_webhooks_are_given_them_too(cluster: Cluster, webhook: Webhook) -> None:
    """It is asked again after others have changed the Pod, and says the same of what it has seen."""
    namespace = await cluster.namespace()
    async with sidecar(cluster, namespace, api_port(webhook.management) + SIDECAR_PORT):

        async def has_sidecar() -> Answer | None:
            answer = await cluster.create(pod(namespace, aws_credentials="s3"))
            return answer if len(answer.body["spec"]["containers"]) > 1 else None

        found = await until(has_sidecar)
    assert found is not None
    assert [c["name"] for c in found.body["spec"]["containers"]] == ["c0", "sidecar"]
    assert all(variables(found.body, n) >= KEYS for n in range(2))
    names = [entry["name"] for entry in found.body["spec"]["containers"][0]["env"]]
    assert len(names) == len(set(names))
