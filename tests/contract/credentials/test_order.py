"""Deployments that come before their ServiceAccount, with Kubernetes' own controllers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.management import Management

from tests.contract.credentials.cluster import Cluster, Object, connected, manifest, pod, variables
from tests.contract.credentials.controllers import usual_ways
from tests.contract.credentials.installation import Webhook, api_port
from tests.contract.credentials.replica import until

KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
ASKS = {"kaas.internal/aws-credentials": "s3"}


@pytest.fixture(scope="module")
def kubeconfig(management: Management) -> Iterator[Path]:
    with usual_ways(management, api_port(management)) as found:
        yield found


@pytest.fixture
async def usual(kubeconfig: Path, webhook: Webhook) -> AsyncIterator[Cluster]:
    async with connected(kubeconfig) as found:
        yield found


def deployment(namespace: str) -> Object:
    labels = {"app": "job"}
    template = {"metadata": {"labels": labels}, "spec": pod(namespace, "job")["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {**manifest("Deployment", "job", namespace), "apiVersion": "apps/v1", "spec": spec}


async def pods(cluster: Cluster, namespace: str) -> list[Any]:
    found = await cluster.call("GET", f"/api/v1/namespaces/{namespace}/pods")
    return sorted(found.body["items"], key=lambda item: str(item["metadata"]["creationTimestamp"]))


async def test_an_account_that_is_made_after_its_deployment_gives_the_first_pod_its_credentials(usual: Cluster) -> None:
    namespace = await usual.namespace(inject="enabled")
    await usual.apply(deployment(namespace))

    async def problem() -> str:
        conditions = (await usual.get(deployment(namespace))).body.get("status", {}).get("conditions") or ()
        return next((c["message"] for c in conditions if c["type"] == "ReplicaFailure"), "")

    assert 'serviceaccount "job" not found' in await until(problem)
    await usual.create(manifest("ServiceAccount", "job", namespace, annotations=ASKS))
    (first,) = await until(lambda: pods(usual, namespace))
    assert variables(first) >= KEYS


async def test_an_annotation_that_is_added_later_counts_for_new_pods_only(usual: Cluster) -> None:
    namespace = await usual.namespace(inject="enabled")
    account = manifest("ServiceAccount", "job", namespace)
    await usual.create(account)
    await usual.apply(deployment(namespace))
    (old,) = await until(lambda: pods(usual, namespace))
    assert variables(old) == set()
    await usual.apply(manifest("ServiceAccount", "job", namespace, annotations=ASKS))
    await usual.apply({**deployment(namespace), "spec": {**deployment(namespace)["spec"], "replicas": 2}})

    async def two() -> list[Any]:
        found = await pods(usual, namespace)
        return found if len(found) > 1 else []

    found = {one["metadata"]["name"]: variables(one) for one in await until(two)}
    assert found.pop(old["metadata"]["name"]) == set()
    (new,) = found.values()
    assert new >= KEYS
