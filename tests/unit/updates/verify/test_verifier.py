"""A Cluster is looked at after a step, over HTTP: settles, fails, is away, is asked what its user wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import LABEL_POOL
from kaas.api.update_status import Baseline, PoolDevices
from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL
from kaas.runtime.index import Index
from kaas.updates.facts import Aims, Change
from kaas.updates.run import Case, Verdict
from kaas.updates.verify.course import CLUSTER
from kaas.updates.verify.verifier import Verifier
from tests.unit.updates.subjects import NOW, READY, raw_cluster, site, version
from tests.unit.updates.verify.cluster_server import KEY, ClusterServer, Ways, refusal
from tests.unit.updates.verify.test_promql import Metrics, answering, vector

STEP = "Pool/cpu"
VERSION = "v1.36.3"
SINCE = NOW - timedelta(seconds=30)


class Bench:
    """One Cluster with a control plane and a pool, the Verifier, and a time that the test moves."""

    def __init__(self, server: ClusterServer, ways: Ways) -> None:
        self.server = server
        self.time = NOW
        self.index = Index()
        self.secrets: dict[tuple[str, str], Mapping[str, bytes]] = {}
        self.secrets_fail = False
        self.baseline: Object | None = None
        self.checks: list[Object] = []
        self.said: Object = {}
        self.site: Object = {}
        self.since: datetime = SINCE
        self.ways = ways
        self.start()
        server.node("cp")
        server.node("n")
        self.machine("cp", node="cp", **{CONTROL_PLANE_LABEL: ""})
        self.machine("m", node="n", **{LABEL_POOL: "cpu"})

    def start(self) -> None:
        """A new controller."""
        self.verifier = Verifier(self.ways, self.index, self.read_secret, self, patience=10.0)

    def now(self) -> datetime:
        return self.time

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        if self.secrets_fail:
            raise Unavailable("get Secret", "no answer")
        return self.secrets.get((namespace, name))

    def machine(self, name: str, node: str | None, **labels: str) -> None:
        meta = {"name": name, "namespace": KEY[0], "labels": {CLUSTER_NAME_LABEL: KEY[1], **labels}, "uid": name}
        status = {"nodeRef": {"name": node}} if node else {}
        api = "cluster.x-k8s.io/v1beta2"
        self.index.put(
            {"apiVersion": api, "kind": "Machine", "metadata": meta, "spec": {"version": VERSION}, "status": status}
        )

    def case(self) -> Case:
        step = {"name": STEP, "state": "Running", "reason": "Verifying", "since": self.since.isoformat()}
        update: Object = {"steps": [step], **({"baseline": self.baseline} if self.baseline else {})}
        verification = {"checks": self.checks, **self.said}
        raw = raw_cluster(updates={"verification": verification}, status={"update": update})
        subject = Cluster.model_validate(raw)
        aims = Aims(version("v1.36.3"), (Change.PATCH,))
        return Case(KEY, subject, site(**self.site), aims, version("v1.36.1"), NOW - timedelta(hours=1), ("cpu",))

    async def verify(self, step: str = STEP) -> Verdict:
        return await self.verifier.verify(self.case(), step, self.time)

    async def verdict(self, step: str = STEP, *, requests: int = 50) -> Verdict:
        """Look every ten seconds until it is known; meanwhile the API servers are asked so much a second."""
        for _ in range(500):
            found = await self.verify(step)
            if found.passed is not None:
                return found
            self.time += timedelta(seconds=10)
            self.server.requests += requests * 10
        raise AssertionError(f"no verdict: {found.message}")


@pytest.fixture
async def bench(server: ClusterServer, ways: Ways) -> AsyncIterator[Bench]:
    made = Bench(server, ways)
    yield made
    made.verifier.forget(KEY)


async def test_a_cluster_that_is_well(bench: Bench) -> None:
    first = await bench.verify()
    assert first.passed is None
    assert "it is measured how the API server answers" in first.message
    found = await bench.verdict()
    assert (found.passed, found.unhealthy) == (True, ())
    assert found.message.startswith("1 nodes Ready at v1.36.3; kube-system is well; 0 of 500 requests failed in 10 s")
    assert bench.time == NOW + timedelta(seconds=10)
    scraped = bench.server.scraped
    assert await bench.verify() == found
    assert bench.server.scraped == scraped, "what has passed is not looked at again"


@pytest.mark.parametrize(("step", "nodes"), [("ControlPlane", 1), (STEP, 1), ("Verification", 2)])
async def test_machines_of_the_step_count(bench: Bench, step: str, nodes: int) -> None:
    bench.server.node("other", "v1.30.0", ready=False)
    bench.machine("other", node="other", **{LABEL_POOL: "other"})
    found = await bench.verdict(step)
    assert found.passed
    assert f"{nodes} nodes Ready" in found.message


async def test_one_that_settles(bench: Bench) -> None:
    bench.server.node("n", "v1.36.1", ready=False)
    bench.server.pod("a", ready=False, node="cp")
    for _ in range(20):
        assert (found := await bench.verify()).passed is None
        bench.time += timedelta(seconds=20)
    assert "m has node n, which is not Ready" in found.message
    assert "DaemonSet/agent: 1 Pods do not work (none before)" in found.message
    bench.server.node("n")
    bench.server.pod("a", node="cp")
    assert (await bench.verdict()).passed


async def test_one_that_does_not(bench: Bench) -> None:
    bench.server.node("n", ready=False)
    found = await bench.verdict()
    assert (found.passed, found.unhealthy) == (False, ("NodesReady",))
    assert bench.time == SINCE + timedelta(seconds=600)
    bench.since = bench.time
    bench.server.node("n")
    assert (await bench.verdict()).passed, "tried again, it is looked at anew"


async def test_settling_takes_as_long_as_the_owner_says(bench: Bench) -> None:
    bench.said = {"settleSeconds": 1200}
    bench.server.node("n", ready=False)
    assert not (await bench.verdict()).passed
    assert bench.time == SINCE + timedelta(seconds=1200)


async def test_errors_and_latency_against_before(bench: Bench) -> None:
    bench.server.slow = 5
    bench.server.errors = 0
    taken = NOW.isoformat()
    bench.baseline = {"taken": taken, "requests": 1000, "errors": 100, "latencyMilliseconds": 5000}
    assert (await bench.verdict()).passed
    bench.baseline = {"taken": taken, "requests": 1000, "errors": 100, "latencyMilliseconds": 300}
    bench.since = bench.time
    found = await bench.verdict()
    assert (found.passed, found.unhealthy) == (False, ("ApiServerLatency",))
    assert "(300 ms before); 1000 ms would pass" in found.message


async def test_three_api_servers_behind_one_address(bench: Bench) -> None:
    bench.server.processes = 3
    found = await bench.verdict()
    assert found.passed
    assert "0 of 1500 requests failed in 10 s" in found.message  # each of the three counts for itself


async def test_every_node_and_pod_is_looked_at(bench: Bench) -> None:
    for number in range(10):
        bench.server.node(f"n{number}")
        bench.machine(f"m{number}", node=f"n{number}", **{LABEL_POOL: "cpu"})
        bench.server.pod(f"p{number}", ready=number != 9)
    found = await bench.verdict()
    assert (found.passed, found.unhealthy) == (False, ("SystemPods",))


async def test_pods_on_nodes_that_others_care_for_do_not_count(bench: Bench) -> None:
    bench.server.node("sick", ready=False)
    bench.server.pod("a", ready=False, node="sick")
    assert (await bench.verdict()).passed


async def test_add_ons_of_kaas(bench: Bench) -> None:
    meta = {"name": "x", "namespace": "s", "labels": {"app.kubernetes.io/managed-by": "kaas"}}
    bench.server.put("/apis/apps/v1/deployments", {"metadata": meta, "spec": {"replicas": 1}})
    other = {"name": "y", "namespace": "s", "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    bench.server.put("/apis/apps/v1/daemonsets", {"metadata": other, "status": {"desiredNumberScheduled": 4}})
    found = await bench.verdict()
    assert found.unhealthy == ("AddOns",)
    assert "Deployment s/x: 0 of 1 Pods" in found.message


async def test_one_that_is_away_is_not_known_and_then_not_well(bench: Bench, ways: Ways) -> None:
    ways.add("http://127.0.0.1:9")  # discard: refused
    first = await bench.verify()
    assert first.passed is None
    assert "the Cluster cannot be looked at" in first.message
    found = await bench.verdict()
    assert (found.passed, found.unhealthy) == (False, (CLUSTER,))
    assert bench.time == SINCE + timedelta(seconds=600)


async def test_one_that_stalls_is_not_waited_for(bench: Bench) -> None:
    bench.verifier = Verifier(bench.ways, bench.index, bench.read_secret, bench, patience=0.01)
    bench.server.stall()
    found = await bench.verify()
    assert found.passed is None
    assert "it has not answered yet" in found.message
    bench.server.resume()
    bench.verifier.forget(KEY)
    bench.start()
    assert (await bench.verdict()).passed


async def test_one_without_a_kubeconfig(bench: Bench) -> None:
    bench.ways = Ways()
    bench.start()
    found = await bench.verify()
    assert found.passed is None
    assert "there is no Secret" in found.message


async def test_what_cannot_be_read_is_told(bench: Bench) -> None:
    bench.server.put("/api/v1/nodes", {"metadata": {"name": "odd"}, "status": {"capacity": ["cpu"]}})
    found = await bench.verify()
    assert found.passed is None
    assert "what it says cannot be read: AttributeError" in found.message


async def test_metrics_that_may_not_be_read(bench: Bench) -> None:
    bench.server.fault = lambda r: refusal(403, "Forbidden")
    assert "the Cluster cannot be looked at" in (await bench.verify()).message


async def test_a_simulated_cluster(bench: Bench) -> None:
    """Its nodes say only that they are Ready, and its API server has neither metrics nor a word on its readiness."""
    bench.server.simulated = True
    bench.server.put("/api/v1/nodes", {"metadata": {"name": "n"}, "status": {"conditions": [READY]}})
    bench.machine("m", node="n", **{LABEL_POOL: "cpu"})
    assert await bench.verifier.baseline(bench.case(), bench.time) == Baseline(taken=NOW)
    found = await bench.verify()
    assert found.passed
    assert "the API server has no metrics" in found.message


async def test_it_is_not_looked_at_more_often_than_every_five_seconds(bench: Bench) -> None:
    for _ in range(20):
        await bench.verify()
    assert bench.server.scraped == 3


async def test_a_restart_long_after_the_step_leaves_time_to_look(bench: Bench) -> None:
    bench.time = SINCE + timedelta(hours=9)
    assert (await bench.verdict()).passed
    bench.start()
    bench.server.node("n", ready=False)
    began = bench.time
    assert not (await bench.verdict()).passed
    assert bench.time == began + timedelta(seconds=120)


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


async def test_the_baseline(bench: Bench) -> None:
    bench.site = {"flavors": [{"name": "cpu-2"}, {"name": "cpu-4", "gpu": {"model": "A100", "count": 8}}]}
    bench.server.node("n", "v1.36.1", gpus=8)
    bench.server.pod("a", ready=False)
    found: Baseline | None = None
    looks = 0
    while found is None:
        found = await bench.verifier.baseline(bench.case(), bench.time)
        bench.time += timedelta(seconds=10)
        bench.server.requests += 150
        looks += 1
    assert looks == 2
    assert (found.taken, found.requests, found.latency_milliseconds) == (NOW + timedelta(seconds=10), 150, 99)
    assert found.pools == (PoolDevices(name="cpu", devices=8),)
    assert [w.name for w in found.unwell] == ["DaemonSet/agent"]
    bench.baseline = found.to_json()
    bench.server.node("n", gpus=8)
    assert (await bench.verdict()).passed, "what was unwell before is not held against the update"


async def test_the_baseline_of_one_that_is_away_is_empty(bench: Bench) -> None:
    bench.ways.add("http://127.0.0.1:9")
    while (found := await bench.verifier.baseline(bench.case(), bench.time)) is None:
        bench.time += timedelta(seconds=10)
    assert found == Baseline(taken=NOW + timedelta(seconds=120))


async def test_the_baseline_does_not_wait_for_what_is_left_out(bench: Bench) -> None:
    left_out: list[dict[str, Any]] = [
        {"check": c, "reason": "no metrics"} for c in ("ApiServerErrors", "ApiServerLatency")
    ]
    bench.said = {"ignored": left_out}
    assert await bench.verifier.baseline(bench.case(), bench.time) == Baseline(taken=NOW)
    found = await bench.verify()
    assert found.passed
    assert "ApiServerErrors left out: no metrics" in found.message
    assert bench.server.scraped == 0
