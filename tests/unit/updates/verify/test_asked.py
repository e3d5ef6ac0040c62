"""What its user asks of a Cluster after a step: metrics of the Site, and Jobs in the Cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from kaas.kube.objects import Object
from kaas.updates.verify.course import CLUSTER
from tests.unit.updates.verify.bench import SINCE, STEP, Bench
from tests.unit.updates.verify.test_promql import Metrics, answering, vector


@pytest.fixture
async def metrics(bench: Bench) -> AsyncIterator[Metrics]:
    async with answering() as fake:
        bench.site = {"metrics": {"url": fake.url, "secret": {"name": "metrics"}}}
        bench.secrets[("kaas-system", "metrics")] = {"token": b"t0k\n"}
        bench.checks = [{"name": "rate", "promQL": {"query": 'r{c="$(cluster)"}', "atMost": 1}, "timeoutSeconds": 900}]
        yield fake


async def test_a_query_is_asked_until_its_answer_is_good(bench: Bench, metrics: Metrics) -> None:
    metrics.body = vector("5")
    for _ in range(20):
        assert (found := await bench.verify()).passed is None
        bench.time += timedelta(seconds=30)
        bench.server.requests += 1000
    assert 'rate: r{c="team"} is 5, and not at most 1' in found.message
    metrics.body = vector("0.5")
    assert (await bench.verdict()).passed
    assert metrics.asked[0][2] == "Bearer t0k"


async def test_a_query_has_a_time_of_its_own(bench: Bench, metrics: Metrics) -> None:
    metrics.body = vector()
    found = await bench.verdict()
    assert (found.passed, found.unhealthy) == (False, ("rate",))
    assert bench.time == SINCE + timedelta(seconds=900)
    assert "or vector(0)" in found.message


async def test_a_query_that_cannot_be_asked(bench: Bench, metrics: Metrics) -> None:
    bench.secrets_fail = True
    assert "rate: Secret kaas-system/metrics of the metrics could not be read" in (await bench.verify()).message
    bench.secrets_fail = False
    bench.time += timedelta(seconds=10)
    bench.secrets.clear()
    assert "there is no Secret kaas-system/metrics: make it" in (await bench.verify()).message
    bench.site = {}
    bench.time += timedelta(seconds=10)
    assert "Site north has no spec.metrics: set it, or take the check rate out" in (await bench.verify()).message
    assert metrics.asked == []


@pytest.fixture
def smoke(bench: Bench) -> Object:
    bench.checks = [{"name": "smoke", "job": {"namespace": "tests", "cronJob": "smoke"}}]
    return bench.server.cron_job()


def end(bench: Bench, kind: str) -> None:
    (job,) = bench.server.jobs().values()
    job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": "R", "message": "words"}]}


async def running(bench: Bench) -> None:
    while not bench.server.created:
        assert (await bench.verify()).passed is None
        bench.time += timedelta(seconds=10)
        bench.server.requests += 1000


@pytest.mark.usefixtures("smoke")
async def test_a_job_is_begun_when_all_else_holds_and_followed_over_a_restart(bench: Bench) -> None:
    bench.server.node("n", ready=False)
    for _ in range(5):
        await bench.verify()
        bench.time += timedelta(seconds=10)
        bench.server.requests += 1000
    assert bench.server.created == []
    bench.server.node("n")
    await running(bench)
    notes = {"kaas.internal/update-step": STEP, "kaas.internal/update-version": "v1.36.3"}
    assert bench.server.created[0]["spec"]["template"]["metadata"]["annotations"] == notes
    bench.start()
    await bench.verify()
    bench.time += timedelta(seconds=10)
    bench.server.requests += 1000
    assert "runs since" in (await bench.verify()).message
    end(bench, "Complete")
    found = await bench.verdict()
    assert found.passed
    assert "has ended well" in found.message
    assert len(bench.server.created) == 1


@pytest.mark.usefixtures("smoke")
async def test_a_job_that_fails_fails_at_once(bench: Bench) -> None:
    await running(bench)
    end(bench, "Failed")
    bench.time += timedelta(seconds=10)
    found = await bench.verify()
    assert (found.passed, found.unhealthy) == (False, ("smoke",))
    assert "has failed (R: words)" in found.message
    bench.server.created.clear()
    bench.since = bench.time
    await running(bench)
    assert len(bench.server.jobs()) == 2, "tried again, there is another Job"


@pytest.mark.usefixtures("smoke")
async def test_a_cluster_that_is_away_while_its_job_runs_has_as_long_again(bench: Bench) -> None:
    bench.checks[0]["timeoutSeconds"] = 86400
    await running(bench)
    for _ in range(80):
        bench.time += timedelta(seconds=30)
        assert (await bench.verify()).passed is None
    bench.ways.add("http://127.0.0.1:9")
    away = bench.time
    found = await bench.verdict()
    assert (found.passed, found.unhealthy) == (False, (CLUSTER,))
    assert bench.time == away + timedelta(seconds=600)


async def test_a_job_without_its_cron_job(bench: Bench, smoke: Object) -> None:
    bench.server.objects.clear()
    bench.server.node("n")
    found = await bench.verdict()
    assert (found.passed, found.unhealthy) == (False, ("smoke",))
    assert "the Cluster has no CronJob tests/smoke: make it" in found.message
    assert smoke
