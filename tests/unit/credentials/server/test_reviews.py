"""What each path answers, with an API server that answers, has nothing, or fails."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.credentials.secrets.policy import DEFAULT
from kaas.credentials.server.lookups import Lookups
from kaas.credentials.server.metrics import Metrics
from kaas.credentials.server.reviews import ANNOTATED_PODS, PODS, SECRETS, webhooks
from kaas.kube.errors import Forbidden, KubeError
from tests import metrics as read

AWS = {"kaas.internal/aws-credentials": "s3"}
KEYS = {"AWS_ACCESS_KEY_ID": "eA==", "AWS_SECRET_ACCESS_KEY": "eA=="}
SECRET = {"type": "kaas.internal/aws-credentials", "data": KEYS}


class Reader:
    def __init__(self, **found: Any) -> None:
        self._found = found
        self.asked: list[str] = []

    async def get(self, path: str) -> dict[str, Any] | None:
        kind = path.split("/")[-2]
        self.asked.append(kind)
        answer: dict[str, Any] | None = self._found.get(kind)
        if isinstance(answer, KubeError):
            raise answer
        return answer


def review(annotations: dict[str, str]) -> dict[str, Any]:
    pod = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "a"}]}}
    request = {"uid": "u", "kind": {"group": "", "kind": "Pod"}, "operation": "CREATE", "namespace": "n", "object": pod}
    return {"request": request}


async def answered(path: str, reader: Reader, asked: dict[str, Any], metrics: Metrics | None = None) -> dict[str, Any]:
    found = webhooks(Lookups(reader), metrics or Metrics(), DEFAULT)
    return await found[path].answer(asked)


@pytest.mark.parametrize(
    ("path", "annotations", "asked"),
    [
        (PODS, {}, ["serviceaccounts"]),
        (PODS, AWS, ["serviceaccounts", "secrets"]),
        (ANNOTATED_PODS, AWS, ["secrets"]),
        (ANNOTATED_PODS, {}, []),
        (PODS, {"kaas.internal/aws-credentials": "none", "kaas.internal/gcp-credentials": "none"}, []),
    ],
)
async def test_no_more_is_asked_than_can_matter(path: str, annotations: dict[str, str], asked: list[str]) -> None:
    reader = Reader(serviceaccounts={"metadata": {}}, secrets=SECRET)
    assert (await answered(path, reader, review(annotations)))["allowed"]
    assert reader.asked == asked


async def test_what_was_given_and_said_is_counted() -> None:
    metrics = Metrics()
    reader = Reader(serviceaccounts={"metadata": {"annotations": AWS}})
    response = await answered(PODS, reader, review({}), metrics)
    assert response["warnings"]
    page = read.parse(metrics.text()[0].decode())
    assert read.total(page, "kaas_credential_injected_total", provider="aws", source="ServiceAccount") == 1
    assert read.total(page, "kaas_credential_warnings_total", webhook="pods", reason="missing-secret") == 1
    assert read.total(page, "kaas_credential_lookups_total", kind="Secret", result="missing") == 1


@pytest.mark.parametrize("kind", ["serviceaccounts", "secrets"])
async def test_what_decides_and_cannot_be_read_refuses(kind: str) -> None:
    objects = {"serviceaccounts": {"metadata": {}}, "secrets": SECRET, kind: Forbidden("GET", "no", code=403)}
    response = await answered(PODS, Reader(**objects), review(AWS))
    assert response["status"]["code"] == 503
    assert "could not be read (Forbidden); try again" in response["status"]["message"]


async def test_secrets_are_checked_by_the_policy() -> None:
    bad = {"operation": "CREATE", "object": {**SECRET, "metadata": {}, "data": {"AWS_ACCESS_KEY_ID": "Cg=="}}}
    response = await answered(SECRETS, Reader(), {"request": bad})
    assert response["allowed"] is False
