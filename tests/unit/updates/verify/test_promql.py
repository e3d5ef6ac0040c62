"""Questions to an API as Prometheus has it, and everything else that may answer there."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from kaas.updates.verify.promql import QueryFailed, query
from tests.unit.web_server import serving


class Metrics:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body: Any = {}
        self.asked: list[tuple[str, dict[str, str], str | None]] = []
        self.url = ""
        self.stalled = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = {k: str(v) for k, v in (await request.post()).items()}
        self.asked.append((request.path, form, request.headers.get("Authorization")))
        if self.stalled:
            await asyncio.Event().wait()
        if isinstance(self.body, str):
            return web.Response(text=self.body, status=self.status, headers={"Location": "/login"})
        return web.json_response(self.body, status=self.status)


@asynccontextmanager
async def answering() -> AsyncIterator[Metrics]:
    fake = Metrics()
    async with serving(fake.answer) as fake.url:
        yield fake


@pytest.fixture
async def metrics() -> AsyncIterator[Metrics]:
    async with answering() as fake:
        yield fake


def success(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def vector(*values: str) -> dict[str, Any]:
    return success("vector", [{"metric": {}, "value": [1.0, v]} for v in values])


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (vector("0.25"), 0.25),
        (vector("+Inf"), math.inf),
        (vector(), None),
        (success("scalar", [1.0, "7"]), 7.0),
    ],
)
async def test_one_number(metrics: Metrics, body: Any, value: float | None) -> None:
    metrics.body = body
    assert await query(f"{metrics.url}/prometheus/", "sum(x)", 10.0) == value
    assert metrics.asked == [("/prometheus/api/v1/query", {"query": "sum(x)", "timeout": "10s"}, None)]


async def test_not_a_number_is_one(metrics: Metrics) -> None:
    metrics.body = vector("NaN")
    found = await query(metrics.url, "0/0", 10.0)
    assert found is not None
    assert math.isnan(found)


async def test_the_token_is_sent(metrics: Metrics) -> None:
    metrics.body = vector("1")
    await query(metrics.url, "x", 10.0, token="s3")
    assert metrics.asked[0][2] == "Bearer s3"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, vector("1", "2"), "gives 2 series and not one number: put sum"),
        (200, success("matrix", []), "gives a matrix and not one number"),
        (200, success("vector", [{"metric": {}, "histogram": [1, {}]}]), "has no number"),
        (200, success("vector", [{"metric": {}, "value": [1, "many"]}]), "has no number"),
        (200, {"status": "success"}, "has no number"),
        (
            400,
            {"status": "error", "errorType": "bad_data", "error": "parse error"},
            "refuse the query: bad_data: parse",
        ),
        (503, {"status": "error", "errorType": "timeout", "error": "late"}, "refuse the query: timeout: late"),
        (401, "who are you?", r"no Prometheus \(HTTP status 401\): who are you\?; see spec.metrics"),
        (302, "", r"no Prometheus \(HTTP status 302\)"),
        (200, "<html>", "no Prometheus"),
        (200, [1], "no Prometheus"),
        (200, "x" * 2_000_000, "far too long"),
    ],
)
async def test_no_number(metrics: Metrics, status: int, body: Any, words: str) -> None:
    metrics.status, metrics.body = status, body
    with pytest.raises(QueryFailed, match=words):
        await query(metrics.url, "x", 10.0)


async def test_no_answer(metrics: Metrics) -> None:
    metrics.stalled = True
    with pytest.raises(QueryFailed, match="could not be asked: no answer in time"):
        await query(metrics.url, "x", 0.05)


@pytest.mark.parametrize("authority", ["", "no certificate"])
async def test_nobody_there(authority: str) -> None:
    with pytest.raises(QueryFailed, match="could not be asked"):
        await query("https://127.0.0.1:9", "x", 5.0, authority=authority)


async def test_a_proxy_counts_as_for_kubectl(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", metrics.url)
    monkeypatch.setenv("no_proxy", "")
    metrics.body = vector("1")
    assert await query("http://metrics.example/base", "x", 10.0) == 1
    assert metrics.asked[0][0].endswith("/base/api/v1/query")
