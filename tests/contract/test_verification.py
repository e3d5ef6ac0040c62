"""Verification and the probe on a real kube-apiserver: its own metrics, its own Jobs, and its restart.

No kubelet and no Job controller run: the test makes Nodes Ready and ends Jobs as these would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kaas_lab.management import Management

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION, LABEL_POOL
from kaas.api.site import Site
from kaas.api.versions import KubernetesVersion
from kaas.kube.client import KubeClient
from kaas.kube.errors import Invalid
from kaas.kube.objects import Object, ref_of
from kaas.kube.resources import CLUSTER_NAME_LABEL, JOB, NODE
from kaas.runtime.clock import SystemClock
from kaas.runtime.index import Index
from kaas.updates.facts import Aims, Change
from kaas.updates.run import Case, ClusterKey, Verdict
from kaas.updates.verify.counters import between, quantile
from kaas.updates.verify.probe import Probe
from kaas.updates.verify.scrape import scrape
from kaas.updates.verify.verifier import Verifier
from tests.contract.test_runtime import restart_api_server, until

KEY = ("tenants", "team")
STEP = "Pool/cpu"
START = datetime(2027, 1, 5, 22, tzinfo=UTC)
VERSION = "v1.36.3"
LOOKS = 20  # ten seconds apart each, by the time that the test moves


async def ask_for(client: KubeClient, times: int) -> None:
    for _ in range(times):
        await client.page(NODE, limit=1)


async def test_real_metrics(client: KubeClient) -> None:
    await ask_for(client, 5)
    first = await scrape(client)
    await ask_for(client, 120)
    second = await scrape(client)
    traffic = between(first, second)
    assert traffic is not None
    assert traffic.requests >= 120
    assert traffic.timed >= 120
    assert traffic.errors <= traffic.requests
    slow = quantile(0.99, traffic.buckets)
    assert slow is not None
    assert 0 < slow <= 60


class Bench:
    """The API server as the workload cluster of one Cluster; a time that the test moves."""

    def __init__(self, client: KubeClient, namespace: str, node: str) -> None:
        self.connected = client
        self.namespace = namespace
        self.time = START
        self.index = Index()
        meta = {"name": "m", "namespace": KEY[0], "uid": "m", "labels": {CLUSTER_NAME_LABEL: KEY[1], LABEL_POOL: "cpu"}}
        machine = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine", "metadata": meta}
        self.index.put({**machine, "status": {"nodeRef": {"name": node}}})
        self.start()

    def start(self) -> None:
        """A new controller."""
        self.verifier = Verifier(self, self.index, self.read_secret, self, patience=60.0)

    def now(self) -> datetime:
        return self.time

    async def client(self, _: ClusterKey) -> KubeClient:
        return self.connected

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        raise AssertionError(f"nobody asks for Secret {namespace}/{name}")

    def case(self) -> Case:
        check = {"name": "smoke", "job": {"namespace": self.namespace, "cronJob": "smoke"}, "timeoutSeconds": 300}
        spec = {
            "version": "1.36",
            "site": "north",
            "controlPlane": {"flavor": "cpu", "replicas": 1},
            "nodePools": [{"name": "cpu", "flavor": "cpu"}],
            "updates": {"verification": {"checks": [check]}},
        }
        step = {"name": STEP, "state": "Running", "since": START.isoformat()}
        cluster = {
            "metadata": {"namespace": KEY[0], "name": KEY[1]},
            "spec": spec,
            "status": {"update": {"steps": [step]}},
        }
        site = {"metadata": {"name": "north"}, "spec": {"provider": "dev", "flavors": [{"name": "cpu"}]}}
        aims = Aims(KubernetesVersion.parse(VERSION), (Change.PATCH,))
        return Case(
            KEY,
            Cluster.model_validate({"apiVersion": API_VERSION, **cluster}),
            Site.model_validate({"apiVersion": API_VERSION, **site}),
            aims,
            aims.version,
            began=START,
            pools=("cpu",),
        )

    async def verify(self) -> Verdict:
        """One look, ten seconds after the last, between which the API server is asked a lot."""
        found = await self.verifier.verify(self.case(), STEP, self.time)
        self.time += timedelta(seconds=10)
        await ask_for(self.connected, 110)
        return found

    async def jobs(self) -> list[Object]:
        return await self.connected.list(JOB, self.namespace)

    async def until(self, what: str, holds: Callable[[Verdict], Awaitable[bool]]) -> Verdict:
        """Look until something holds of a verdict; what was told meanwhile says why it never did."""
        told: list[str] = []
        for _ in range(LOOKS):
            found = await self.verify()
            if await holds(found):
                return found
            assert found.passed is None, found.message
            told.append(found.message)
        raise AssertionError(f"not in {LOOKS} looks: {what}: {told}")

    async def job(self) -> Object:
        """The Job, once all else holds."""

        async def is_there(found: Verdict) -> bool:
            assert found.passed is None
            return bool(await self.jobs())

        await self.until("a Job is begun", is_there)
        (made,) = await self.jobs()
        return made


@pytest.fixture
async def bench(client: KubeClient, namespace: str) -> AsyncIterator[Bench]:
    node = await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{namespace}"}})
    stamp = "2027-01-05T22:00:00Z"
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": stamp, "lastHeartbeatTime": stamp}
    status: dict[str, Any] = {"conditions": [ready], "nodeInfo": node_info()}
    await client.patch(ref_of(node), {"status": status}, subresource="status")
    made = Bench(client, namespace, node["metadata"]["name"])
    await client.create(cron_job(namespace))
    yield made
    made.verifier.forget(KEY)
    await client.delete(ref_of(node))


def node_info() -> dict[str, str]:
    empty = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion")
    told = {name: "" for name in (*empty, "kubeProxyVersion", "operatingSystem", "architecture")}
    return {**told, "kubeletVersion": VERSION}


def cron_job(namespace: str) -> Object:
    pods = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.example.com/smoke"}]}}
    job = {"metadata": {"labels": {"team": "a"}}, "spec": {"backoffLimit": 0, "template": pods}}
    spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": job}
    meta = {"name": "smoke", "namespace": namespace}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": spec}


async def end(client: KubeClient, job: Object, *kinds: str, **more: Any) -> None:
    """As the Job controller says that a Job has ended."""
    made = job["metadata"]["creationTimestamp"]
    conditions = [
        {"type": k, "status": "True", "reason": "Played", "message": "by the test", "lastTransitionTime": made}
        for k in kinds
    ]
    status = {"startTime": made, "conditions": conditions, **more}
    await client.patch(ref_of(job), {"status": status}, subresource="status")


async def test_a_job_that_ends_well(bench: Bench) -> None:
    job = await bench.job()
    assert job["metadata"]["name"].startswith("kaas-smoke-")
    assert job["metadata"]["labels"] == {"team": "a"}
    assert job["spec"]["template"]["metadata"]["annotations"]["kaas.internal/update-step"] == STEP
    assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["ttlSecondsAfterFinished"]) == (300, 86400)
    assert not job["spec"]["suspend"]
    bench.start()
    assert (await bench.verify()).passed is None
    assert len(await bench.jobs()) == 1, "a new controller finds the Job of the one before"
    made = job["metadata"]["creationTimestamp"]
    await end(bench.connected, job, "SuccessCriteriaMet", "Complete", completionTime=made, succeeded=1)

    async def has_passed(found: Verdict) -> bool:
        return found.passed is True

    found = await bench.until("it has passed", has_passed)
    assert f"Job {bench.namespace}/{job['metadata']['name']} has ended well" in found.message
    assert "1 nodes Ready at v1.36.3" in found.message


async def test_a_job_that_fails(bench: Bench) -> None:
    job = await bench.job()
    await end(bench.connected, job, "FailureTarget", "Failed")
    found = await bench.verify()
    assert (found.passed, found.unhealthy) == (False, ("smoke",))
    assert "has failed (Played: by the test)" in found.message


async def test_a_job_that_the_cluster_refuses(bench: Bench) -> None:
    """A quota for Jobs, which the admission of a real server enforces once its controller, played here, has counted."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": bench.namespace}}
    none = {"count/jobs.batch": "0"}
    await bench.connected.create({**quota, "spec": {"hard": none}})
    await bench.connected.apply_status({**quota, "status": {"hard": none, "used": none}})

    async def is_refused(found: Verdict) -> bool:
        return f"correct the CronJob {bench.namespace}/smoke" in found.message

    found = await bench.until("it is told that the Job is refused", is_refused)
    assert found.passed is None


async def test_the_baseline_of_a_real_cluster(bench: Bench) -> None:
    found = None
    for _ in range(13):
        found = await bench.verifier.baseline(bench.case(), bench.time)
        if found is not None:
            break
        bench.time += timedelta(seconds=10)
        await ask_for(bench.connected, 110)
    assert found is not None
    assert found.requests >= 110
    assert found.latency_milliseconds is not None
    before = found.to_json()
    api, meta = {"apiVersion": API_VERSION, "kind": "Cluster"}, {"name": "base", "namespace": bench.namespace}
    spec = bench.case().cluster.spec.to_json()
    await bench.connected.create({**api, "metadata": meta, "spec": spec})
    stored = await bench.connected.apply_status({**api, "metadata": meta, "status": {"update": {"baseline": before}}})
    assert stored["status"]["update"]["baseline"] == before, "as it was written"
    wrong = {"update": {"baseline": {**before, "errors": -1}}}
    with pytest.raises(Invalid):
        await bench.connected.apply_status({**api, "metadata": meta, "status": wrong})


class Way:
    """The way to the one server."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def client(self, _: ClusterKey) -> KubeClient:
        return self._client


async def test_the_probe_sees_a_restart(management: Management, client: KubeClient) -> None:
    probe = Probe(Way(client), SystemClock())
    probe.watch(KEY)

    def told() -> tuple[int, int]:
        found = probe.availability(KEY)
        assert found is not None
        return found.probes - found.failed, found.failed

    try:
        await until("it answers", lambda: told()[0] >= 2)
        assert told()[1] == 0
        await asyncio.to_thread(restart_api_server, management)
        await until("it was away", lambda: told()[1] >= 1)
        good = told()[0]
        await until("it answers again", lambda: told()[0] > good)
        found = probe.availability(KEY)
        assert found is not None
        assert found.longest_gap_milliseconds > 0
        assert found.longest_gap_began is not None
    finally:
        await probe.close()
