"""Metrics, the probes' port, log lines, clock."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime

import aiohttp
import pytest

from kaas.runtime import logs
from kaas.runtime.clock import FakeClock, SystemClock
from kaas.runtime.metrics import Endpoint, Metrics
from kaas.runtime.queue import Outcome, Queue


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def test_requests_and_reconciles_are_counted() -> None:
    metrics = Metrics()
    metrics.request("apply", "Cluster", 200, 0.01)
    metrics.request("get", "Secret", 0, 5.0)
    observe = metrics.outcome("clusters")
    observe(Outcome("k", 0.2))
    observe(Outcome("k", 0.3, "Unavailable"))
    found = lines(metrics)
    assert 'kaas_api_requests_total{code="200",kind="Cluster",verb="apply"} 1.0' in found
    assert 'kaas_api_requests_total{code="none",kind="Secret",verb="get"} 1.0' in found
    assert 'kaas_reconciles_total{feature="clusters",outcome="ok"} 1.0' in found
    assert 'kaas_reconciles_total{feature="clusters",outcome="Unavailable"} 1.0' in found
    assert 'kaas_reconcile_seconds_sum{feature="clusters"} 0.5' in found


async def test_queue_is_read_when_asked() -> None:
    async def never(_: Hashable) -> None:
        await asyncio.Event().wait()

    metrics, clock = Metrics(), FakeClock()
    queue: Queue[Hashable] = Queue(never, clock=clock)
    metrics.watch_queue("clusters", queue)
    queue.add("a")
    clock.step(3)
    found = lines(metrics)
    assert 'kaas_queue_depth{feature="clusters"} 1.0' in found
    assert 'kaas_queue_oldest_seconds{feature="clusters"} 3.0' in found


async def test_endpoint() -> None:
    wrong = {"/healthz": "", "/readyz": "not yet"}
    endpoint = Endpoint(Metrics(), lambda: wrong["/healthz"], lambda: wrong["/readyz"])
    port = await endpoint.start(0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        async with session.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, "not yet\n")
        async with session.get("/metrics") as answer:
            assert answer.content_type == "application/openmetrics-text"
            assert (await answer.text()).endswith("# EOF\n")
    await endpoint.stop()


async def test_json_lines_carry_the_fields_of_their_task() -> None:
    stream = io.StringIO()
    logs.configure("json", stream=stream)

    async def work(cluster: str) -> None:
        with logs.fields(cluster=cluster, namespace="t"):
            await asyncio.sleep(0)
            logging.getLogger("x").info("step %d", 1, extra={"fields": {"step": "apply"}})

    await asyncio.gather(work("a"), work("b"))
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["cluster"], second["cluster"]) == ("a", "b")
    assert first["message"] == "step 1"
    assert first["level"] == "info"
    assert first["step"] == "apply"
    assert first["time"].endswith("+00:00")
    assert logs.current_fields() == {}


def test_errors_carry_their_traceback() -> None:
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "ValueError: broken" in json.loads(stream.getvalue())["error"]


def test_lines_for_people() -> None:
    stream = io.StringIO()
    logs.configure("human", "WARNING", stream)
    with logs.fields(cluster="a"):
        logging.getLogger("x").warning("careful")
        logging.getLogger("x").info("not shown")
    assert stream.getvalue()[8:] == " W careful  cluster=a\n"


async def test_fake_clock_wakes_sleepers_at_their_moments() -> None:
    clock, woken = FakeClock(datetime(2026, 1, 1, tzinfo=UTC)), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float, again: float = 0) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))
        if again:
            await sleeper(name, again)

    tasks = [asyncio.create_task(sleeper("a", 5)), asyncio.create_task(sleeper("b", 2, again=2))]
    await clock.advance(10)
    assert woken == [("b", 2), ("b", 4), ("a", 5)]
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
    await asyncio.gather(*tasks)


async def test_system_clock() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(-1)
    assert clock.monotonic() >= before
    assert clock.now().tzinfo is UTC
