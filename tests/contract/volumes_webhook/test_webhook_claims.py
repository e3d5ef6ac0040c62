"""What is wrong with a claim is said when it is written, and nothing else about it is ever refused."""

from __future__ import annotations

import pytest

from kaas.volumes import terms
from tests.contract.credentials.cluster import Cluster
from tests.contract.volumes_webhook.objects import SOURCE, claim, made

pytestmark = pytest.mark.usefixtures("webhook")
MERGE = "application/merge-patch+json"


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({"source": "bucket/a"}, f"{terms.SOURCE}: "),
        ({"source": SOURCE, "path": "../etc"}, f"{terms.PATH}: "),
        ({"source": SOURCE, "wiat": "false"}, f"{terms.PREFIX}wiat: is not known: did you mean {terms.WAIT}?"),
        ({"source": SOURCE, "max-rate": "50MB/s"}, f"{terms.MAX_RATE}: '50MB/s' is no rate"),
        ({"source": SOURCE, "shards": "4"}, f"{terms.SHARDS}: "),
        (
            {"source": SOURCE, "endpoint": "https://user:pass@s3.example.com"},
            f"{terms.ENDPOINT}: has a user",
        ),
        ({"source": SOURCE, "credentials": "team-b/bucket"}, f"{terms.CREDENTIALS}: 'team-b/bucket' is no name"),
    ],
)
async def test_faults_are_said_at_creation(cluster: Cluster, namespace: str, notes: dict[str, str], said: str) -> None:
    refused = await cluster.create(claim(namespace, **notes))
    assert refused.status == 422
    assert said in refused.message
    assert "user:pass" not in refused.message


async def test_all_faults_are_said_at_once(cluster: Cluster, namespace: str) -> None:
    wrong = claim(namespace, source="nowhere", delete="yes", id="a b")
    wrong["spec"]["volumeMode"] = "Block"
    refused = await cluster.create(wrong)
    for name in (terms.SOURCE, terms.DELETE, terms.ID, "spec.volumeMode"):
        assert f"{name}: " in refused.message


async def test_a_volume_that_cannot_be_written_is_refused(cluster: Cluster, namespace: str) -> None:
    refused = await cluster.create(claim(namespace, mode="ReadOnlyMany", source=SOURCE))
    assert (refused.status, "spec.accessModes" in refused.message) == (422, True), refused


async def test_claims_without_our_annotations_are_never_sent(cluster: Cluster, namespace: str) -> None:
    await made(cluster, claim(namespace, "plain", mode="ReadOnlyMany"))


async def test_a_fault_that_an_update_brings_is_refused_and_one_that_was_there_is_not(
    cluster: Cluster, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data"
    await made(cluster, claim(namespace, source=SOURCE))
    refused = await cluster.call("PATCH", path, {"metadata": {"annotations": {terms.VERIFY: "maybe"}}}, MERGE)
    assert (refused.status, terms.VERIFY in refused.message) == (422, True)

    # It is as if it had been made while nobody checked: the label says that its namespace is left alone.
    place = f"/api/v1/namespaces/{namespace}"
    await cluster.call("PATCH", place, {"metadata": {"labels": {"kaas.internal/load": "disabled"}}}, MERGE)
    wrong = {"metadata": {"annotations": {terms.VERIFY: "maybe"}}}
    assert (await cluster.call("PATCH", path, wrong, MERGE)).status == 200
    await cluster.call("PATCH", place, {"metadata": {"labels": {"kaas.internal/load": None}}}, MERGE)
    assert (await cluster.call("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, MERGE)).status == 200
    finalizers = {"metadata": {"finalizers": ["example.com/x"]}}
    assert (await cluster.call("PATCH", path, finalizers, MERGE)).status == 200
    assert (await cluster.call("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)).status == 200
    corrected = {"metadata": {"annotations": {terms.VERIFY: "size"}}}
    assert (await cluster.call("PATCH", path, corrected, MERGE)).status == 200
