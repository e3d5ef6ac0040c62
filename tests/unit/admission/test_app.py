"""The HTTP side: any request has its answer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from kaas.admission.app import LARGEST, Endpoint, State, Webhook, application, observation
from kaas.admission.metrics import Metrics
from tests import metrics as read

REVIEW = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "object": {}}}
Serve = Callable[[Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]], Awaitable[TestClient[Any, Any]]]


async def allowed(_: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("kaas_test", ("pods", "secrets"))


@pytest.fixture
def state() -> State:
    return State(lambda: True)


@pytest.fixture
async def serve(state: State, metrics: Metrics) -> AsyncIterator[Serve]:
    clients = []

    async def started(answer: Any) -> TestClient[Any, Any]:
        paths = {"/it": Webhook("pods", answer), "/first": Webhook("pods", answer, again=True)}
        app = application(paths, state, metrics, deadline=0.05)
        client = TestClient(TestServer(app))
        clients.append(client)
        await client.start_server()
        return client

    yield started
    for client in clients:
        await client.close()


def count(metrics: Metrics, **labels: str) -> float:
    return read.total(read.parse(metrics.text()[0].decode()), "kaas_test_requests_total", **labels)


@pytest.mark.parametrize(
    ("response", "result"),
    [
        ({"allowed": True}, "allowed"),
        ({"allowed": True, "patch": "W10="}, "patched"),
        ({"allowed": False, "status": {"code": 422}}, "denied"),
        ({"allowed": False, "status": {"code": 503}}, "failed"),
    ],
)
async def test_a_review_is_answered_and_counted(
    serve: Serve, metrics: Metrics, response: dict[str, Any], result: str
) -> None:
    async def answer(_: dict[str, Any]) -> dict[str, Any]:
        return response

    found = await (await serve(answer)).post("/it", json=REVIEW)
    body = await found.json()
    assert found.status == 200
    assert (body["apiVersion"], body["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert body["response"] == {"uid": "u", **response}
    assert count(metrics, webhook="pods", result=result) == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"1", b"{}", b'{"request": 1}', b'{"request": {"uid": 1}}', b"\xff", b"[" * 100_000]
)
async def test_what_is_no_review_is_a_bad_request(serve: Serve, metrics: Metrics, body: bytes) -> None:
    found = await (await serve(allowed)).post("/it", data=body)
    assert found.status == 400
    assert count(metrics, result="malformed") == 1


async def test_more_than_an_api_server_takes_is_refused(serve: Serve) -> None:
    assert (await (await serve(allowed)).post("/it", data=b" " * (LARGEST + 1))).status == 413


async def test_what_takes_too_long_is_refused_with_the_way_out(serve: Serve) -> None:
    async def never(_: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    body = await (await (await serve(never)).post("/it", json=REVIEW)).json()
    assert body["response"]["status"]["code"] == 503
    assert "try again" in body["response"]["status"]["message"]


@pytest.mark.parametrize("code", [503, 500])
async def test_what_fails_at_the_first_try_is_no_refusal_yet(serve: Serve, metrics: Metrics, code: int) -> None:
    async def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"allowed": False, "status": {"code": code, "message": "no luck"}}

    found = await (await serve(answer)).post("/first", json=REVIEW)
    assert (found.status, await found.text()) == (503, "no luck\n")
    assert count(metrics, result="failed") == 1


async def test_what_is_wrong_is_refused_at_the_first_try(serve: Serve) -> None:
    async def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"allowed": False, "status": {"code": 422, "message": "wrong"}}

    found = await (await serve(answer)).post("/first", json=REVIEW)
    assert (await found.json())["response"]["allowed"] is False


@pytest.mark.parametrize(
    ("query", "seconds"), [("timeout=2s", 1.5), ("timeout=30s", 4.0), ("timeout=1m0s", 4.0), ("", 4.0)]
)
def test_who_asks_says_how_long_it_waits(metrics: Metrics, state: State, query: str, seconds: float) -> None:
    endpoint = Endpoint(Webhook("pods", allowed), state, metrics, 4.0)
    assert endpoint.patience(make_mocked_request("POST", f"/it?{query}")) == seconds


async def test_an_error_says_where_and_never_what(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def wrong(_: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("the value s3cr3t is wrong")

    with caplog.at_level(logging.DEBUG):
        text = await (await (await serve(wrong)).post("/it", json=REVIEW)).text()
    assert json.loads(text)["response"]["allowed"] is False
    assert "s3cr3t" not in text + caplog.text
    assert "test_app.py" in caplog.text


async def test_a_replica_that_leaves_serves_on_and_sends_its_callers_away(serve: Serve, state: State) -> None:
    client = await serve(allowed)
    assert (await client.post("/it", json=REVIEW)).headers.get("Connection") != "close"
    state.draining = True
    found = await client.post("/it", json=REVIEW)
    assert found.status == 200
    assert found.headers["Connection"] == "close"
    assert (await client.get("/readyz")).status == 503
    assert (await client.get("/healthz")).status == 200


async def test_it_is_not_ready_without_a_certificate(metrics: Metrics) -> None:
    state = State(lambda: False)
    async with TestClient(TestServer(observation(state, metrics))) as client:
        found = await client.get("/readyz")
        assert (found.status, await found.text()) == (503, "no certificate yet\n")
        page = await client.get("/metrics")
        assert "kaas_test_requests_total" in await page.text()
