"""A Cluster is looked at after a step, over HTTP: settles, fails, is away; and before an update."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.constants import LABEL_POOL
from kaas.api.update_status import Baseline, PoolDevices
from kaas.updates.facts import AddOn
from kaas.updates.verify.course import CLUSTER
from kaas.updates.verify.verifier import Verifier
from tests.unit.updates.subjects import NOW, READY
from tests.unit.updates.verify.bench import SINCE, STEP, Bench
from tests.unit.updates.verify.cluster_server import KEY, Ways
from tests.unit.web_server import refusal


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


async def test_pods_of_add_ons_may_lack_on_nodes_that_are_not_ready(bench: Bench) -> None:
    bench.server.node("sick", ready=False)
    meta = {"name": "x", "namespace": "s", "labels": {"app.kubernetes.io/managed-by": "kaas"}}
    status = {"desiredNumberScheduled": 3, "updatedNumberScheduled": 2, "numberAvailable": 1}
    daemon_set = bench.server.put("/apis/apps/v1/daemonsets", {"metadata": meta, "status": status})
    assert "DaemonSet s/x: 1 of 2 Pods work" in (await bench.verdict()).message
    daemon_set["status"] = status | {"numberAvailable": 2}
    assert (await bench.verdict()).passed


@pytest.mark.parametrize(
    ("step", "brings", "passed"),
    [
        ("ControlPlane", "other", True),
        ("ControlPlane", "agent", True),  # what does not work now may with what the update brings
        ("AddOns", "agent", False),
        ("Verification", "agent", False),
        ("Verification", "other", True),
    ],
)
async def test_add_ons_that_did_not_work_before(bench: Bench, step: str, brings: str, passed: bool) -> None:
    labels = {"app.kubernetes.io/managed-by": "kaas", "kaas.internal/add-on": "agent"}
    meta = {"name": "x", "namespace": "s", "labels": labels}
    bench.server.put("/apis/apps/v1/deployments", {"metadata": meta, "spec": {"replicas": 1}})
    taken = await bench.taken()
    assert [a.name for a in taken.add_ons] == ["Deployment s/x"]
    bench.baseline, bench.add_ons = taken.to_json(), (AddOn(brings, "1.0.0", "1.1.0", None),)
    assert (await bench.verdict(step)).passed is passed


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


@pytest.mark.parametrize(("provider", "passed"), [("dev", True), ("openstack", None)])
async def test_a_simulated_node_offers_no_gpus(bench: Bench, provider: str, *, passed: bool | None) -> None:
    """It tells its version, as Cluster API's in-memory provider has it, and not one device."""
    gpu = {"model": "A100-SXM4-40GB", "count": 8}
    bench.site = {"provider": provider, "flavors": [{"name": "cpu-4", "gpu": gpu}]}
    bench.server.simulated = True
    found = await bench.verify()
    assert found.passed is passed
    assert ("which offers 0 devices" in found.message) is (passed is None)


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


async def test_the_baseline(bench: Bench) -> None:
    bench.site = {
        "provider": "openstack",
        "flavors": [{"name": "cpu-2"}, {"name": "cpu-4", "gpu": {"model": "A100", "count": 8}}],
    }
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
