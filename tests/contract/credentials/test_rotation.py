"""Certificates that live seconds: each change happens under load, and costs no Pod."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.contract.credentials.cluster import Cluster, manifest
from tests.contract.credentials.installation import NAMESPACE, Webhook
from tests.contract.credentials.load import load
from tests.contract.credentials.replica import until

SECRET = manifest("Secret", "kaas-credentials-tls", NAMESPACE)
KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@pytest.fixture(scope="module")
def options() -> dict[str, Any]:
    """A leaf is renewed after 6 seconds, a CA after 20, and waits 3 until it signs."""
    return {"leaf": 9, "ca": 30, "settled": 3}


async def kept(cluster: Cluster, key: str) -> str:
    return str((await cluster.get(SECRET)).body["data"].get(key, ""))


async def bundles(cluster: Cluster) -> set[str]:
    """What API servers are to trust, over all webhooks."""
    found = [(await cluster.get(manifest(kind, "kaas-credentials"))).body["webhooks"] for kind in KINDS]
    return {webhook["clientConfig"].get("caBundle", "") for webhooks in found for webhook in webhooks}


def changed(cluster: Cluster, key: str, before: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        now = await kept(cluster, key)
        return bool(now) and now != before

    return check


async def test_no_pod_is_lost_while_leaf_and_authority_change(cluster: Cluster, webhook: Webhook) -> None:
    authority = await kept(cluster, "ca.crt")
    async with load(cluster) as found:
        await found.more(50)
        for _ in range(2):
            await until(changed(cluster, "tls.crt", await kept(cluster, "tls.crt")), "a new leaf")
            await found.more(50)
        await until(changed(cluster, "ca.crt", authority), "a new CA")
        await until(changed(cluster, "tls.crt", await kept(cluster, "tls.crt")), "a leaf of the new CA")
        await found.more(100)
    assert found.bad == []


async def test_a_deleted_secret_is_made_anew_and_no_pod_is_lost(cluster: Cluster, webhook: Webhook) -> None:
    authority = await kept(cluster, "ca.crt")
    async with load(cluster) as found:
        await found.more(50)
        assert (await cluster.delete(SECRET)).status == 200

        async def made_anew() -> bool:
            answer = await cluster.get(SECRET)
            return answer.status == 200 and answer.body["data"]["ca.crt"] != authority

        await until(made_anew)
        await until(changed(cluster, "tls.crt", await kept(cluster, "tls.crt")), "the leaf after it")
        await found.more(100)
    assert found.bad == []


async def test_a_trust_that_is_taken_away_is_given_back(cluster: Cluster, webhook: Webhook) -> None:
    """As by somebody who replaces the configurations with what is in the manifests."""
    for kind in KINDS:
        configuration = (await cluster.get(manifest(kind, "kaas-credentials"))).body
        for entry in configuration["webhooks"]:
            del entry["clientConfig"]["caBundle"]
        path = f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}s/kaas-credentials"
        assert (await cluster.call("PUT", path, configuration)).status == 200

    async def trusted() -> bool:
        found = await bundles(cluster)
        return len(found) == 1 and base64.b64decode(found.pop()).startswith(b"-----BEGIN CERTIFICATE")

    await until(trusted)
