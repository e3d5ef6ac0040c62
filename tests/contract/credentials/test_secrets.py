"""Secrets through the real API server: what people are told."""

from __future__ import annotations

from tests.contract.credentials.cluster import AWS, Cluster, aws_secret, manifest
from tests.contract.credentials.installation import Webhook


async def test_a_right_secret_is_taken_without_a_word(cluster: Cluster, webhook: Webhook) -> None:
    answer = await cluster.create(aws_secret(await cluster.namespace()))
    assert (answer.status, answer.warnings) == (201, [])


async def test_a_wrong_secret_is_refused_and_its_value_is_not_said(cluster: Cluster, webhook: Webhook) -> None:
    wrong = AWS["AWS_SECRET_ACCESS_KEY"] + "\n"
    answer = await cluster.create(aws_secret(await cluster.namespace(), AWS_SECRET_ACCESS_KEY=wrong))
    assert answer.status in (400, 403, 422)
    assert "AWS_SECRET_ACCESS_KEY" in answer.message
    assert wrong.strip() not in str(answer)


async def test_a_doubtful_secret_is_taken_with_a_warning(cluster: Cluster, webhook: Webhook) -> None:
    before = webhook.total("kaas_credential_warnings_total", webhook="secrets")
    answer = await cluster.create(aws_secret(await cluster.namespace(), AWS_REGION="Frankfurt"))
    assert answer.status == 201
    assert [w for w in answer.warnings if "AWS_REGION" in w]
    assert webhook.total("kaas_credential_warnings_total", webhook="secrets") > before


async def test_a_change_is_checked_too(cluster: Cluster, webhook: Webhook) -> None:
    right = aws_secret(await cluster.namespace())
    await cluster.create(right)
    path = f"/api/v1/namespaces/{right['metadata']['namespace']}/secrets/s3"
    change = {"stringData": {"AWS_ACCESS_KEY_ID": "AROAIOSFODNN7EXAMPLE"}}
    answer = await cluster.call("PATCH", path, change, "application/merge-patch+json")
    assert answer.status in (400, 403, 422)
    assert "AWS_ACCESS_KEY_ID" in answer.message
    assert (await cluster.delete(right)).status == 200


async def test_no_other_secret_ever_leaves_the_api_server(cluster: Cluster, webhook: Webhook) -> None:
    before = webhook.total("kaas_credential_requests_total")
    namespace = await cluster.namespace(inject="enabled")
    for number, kind in enumerate(("Opaque", "kubernetes.io/basic-auth", "example.com/aws-credentials")):
        other = manifest("Secret", f"other-{number}", namespace, type=kind, stringData={"password": "x"})
        assert (await cluster.create(other)).status == 201
        assert (
            await cluster.call(
                "PATCH",
                f"/api/v1/namespaces/{namespace}/secrets/other-{number}",
                {"metadata": {"labels": {"a": "b"}}},
                "application/merge-patch+json",
            )
        ).status == 200
    assert webhook.total("kaas_credential_requests_total") == before
