"""Certificates that live seconds: each change happens under load, and costs no Pod."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.contract.credentials.cluster import Cluster, manifest
from tests.contract.credentials.replica import until
from tests.contract.volumes_webhook.installation import NAMESPACE, Installed
from tests.contract.volumes_webhook.objects import held
from tests.contract.volumes_webhook.test_webhook_life import load, more

SECRET = manifest("Secret", "kaas-volumes-tls", NAMESPACE)


@pytest.fixture(scope="module")
def lives() -> dict[str, float]:
    """A leaf is renewed after 6 seconds, a CA after 20, and waits 3 until it signs."""
    return {"leaf": 9, "ca": 30, "settled": 3}


async def kept(cluster: Cluster, key: str) -> str:
    return str((await cluster.get(SECRET)).body["data"].get(key, ""))


def changed(cluster: Cluster, key: str, before: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        now = await kept(cluster, key)
        return bool(now) and now != before

    return check


async def test_no_pod_is_lost_while_leaf_and_authority_change(cluster: Cluster, webhook: Installed) -> None:
    authority = await kept(cluster, "ca.crt")
    async with load(cluster) as answers:
        await more(answers, 50)
        await until(changed(cluster, "tls.crt", await kept(cluster, "tls.crt")), "a new leaf")
        await until(changed(cluster, "ca.crt", authority), "a new CA")
        await until(changed(cluster, "tls.crt", await kept(cluster, "tls.crt")), "a leaf of the new CA")
        await more(answers, 100)
    assert not [a for a in answers if a.status != 201 or not held(a.body)]
