"""The credential webhook as a process: reviews a second on one core, memory, and what it adds to creating a Pod."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kaas_lab import build, management, processes
from kaas_lab.management import Management
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot

from tests import metrics
from tests.bench import noop_webhook, raw_client
from tests.bench.bench import Bench
from tests.bench.controllers import processor_of
from tests.bench.figures import Figure, Limit
from tests.contract.credentials.cluster import Cluster, Object, aws_secret, connected, manifest, pod
from tests.contract.credentials.installation import Webhook, api_port, installed

AT_ONCE = 20
NOOP_PORT = 90  # from the API server's port on
OURS = {"plain": "annotated-pods.credentials.kaas.internal", "bench": "pods.credentials.kaas.internal"}
"""Our webhook's name by namespace."""
HISTOGRAM = "apiserver_admission_webhook_admission_duration_seconds"


def run(bench: Bench) -> Sequence[Figure]:
    """One replica, so that one process is what is measured."""
    with _bare(bench) as cluster, installed(cluster, bench.directory("webhook"), 1) as webhook:
        asyncio.run(_prepared(cluster))
        figures = [*_direct(bench, webhook), *_through(bench, cluster, webhook)]
        memory = Limit(60.0)
        return [*figures, Figure("memory after all that", webhook.replicas[0].memory, "MB", memory)]


@contextmanager
def _bare(bench: Bench) -> Iterator[Management]:
    state = bench.directory("lab")
    with free_slot(state) as layout:
        try:
            build.ensure(["bare"], layout, Reporter())
            bench.say("a bare API server starts")
            yield management.up(layout, ())
        finally:
            processes.stop_all(state, patience=2.0)


async def _prepared(found: Management) -> None:
    async with connected(found.kubeconfig) as cluster:
        await cluster.apply(manifest("Namespace", "bench", labels={"kaas.internal/inject": "enabled"}))
        await cluster.apply(manifest("Namespace", "plain"))
        for namespace in OURS:
            await cluster.create(aws_secret(namespace))
        annotations = {"kaas.internal/aws-credentials": "s3"}
        await cluster.create(manifest("ServiceAccount", "job", "bench", annotations=annotations))


def _direct(bench: Bench, webhook: Webhook) -> list[Figure]:
    """Reviews fed by hand."""
    annotated = pod("bench", "job", 3, aws_credentials="s3")
    return [
        _fed(bench, webhook, "annotation of the Pod", ("/mutate-annotated-pods", annotated), 1000),
        _fed(bench, webhook, "live ServiceAccount", ("/mutate-pods", pod("bench", "job", 3)), 300),
    ]


def _fed(bench: Bench, webhook: Webhook, what: str, sent: tuple[str, Object], least: int) -> Figure:
    """What counts is the processor time of the process: the client and the API server share the machine."""
    replica, count, body = webhook.replicas[0], bench.size(8000, 400), json.dumps(_review(sent[1])).encode()
    asyncio.run(raw_client.post(replica.port, sent[0], body, 200))
    used, start = processor_of(replica.process.pid), time.monotonic()
    answers = asyncio.run(raw_client.post(replica.port, sent[0], body, count))
    seconds, used = time.monotonic() - start, processor_of(replica.process.pid) - used
    assert all("patch" in json.loads(answer)["response"] for answer in answers)
    rates = f"{count / used:,.0f} a second on one core, of {least:,} wanted; {count / seconds:,.0f} beside all else"
    return Figure(f"processor time a review, {what}", used / count * 1e6, "µs", Limit(1e6 / least), rates)


def _review(obj: Object) -> Object:
    """As an API server sends it."""
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": obj["metadata"]["namespace"],
        "operation": "CREATE",
        "userInfo": {"username": "admin", "groups": ["system:masters"]},
        "object": obj,
        "oldObject": None,
        "dryRun": False,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def _through(bench: Bench, found: Management, webhook: Webhook) -> list[Figure]:
    """Each Pod is sent to both webhooks, one after the other: both are measured in the same moments."""
    with _noop(found) as noop:
        return [
            *_added(bench, found, noop, "annotation of the Pod", "plain", limited=True),
            *_added(bench, found, noop, "live ServiceAccount", "bench", limited=False),
        ]


def _added(bench: Bench, found: Management, noop: Object, what: str, where: str, *, limited: bool) -> list[Figure]:
    count = bench.size(4000, 200)
    bench.say(f"{count} Pods through both webhooks, {AT_ONCE} at once: {what}")
    grown = asyncio.run(_created(bench, found, count, noop, where))
    ours, other = _of(grown, OURS[where]), _of(grown, noop_webhook.NAME)
    figures = []
    for q, limit in ((0.5, Limit(3.0)), (0.99, Limit(15.0))):
        at = [metrics.quantile(samples, HISTOGRAM, q) * 1e3 for samples in (ours, other)]
        note = f"{at[0]:.2f} ms, the no-op {at[1]:.2f} ms; kube-apiserver counts in buckets of 5, 25, 100 ms"
        figures.append(Figure(f"added, {what}, p{q * 100:.0f}", at[0] - at[1], "ms", limit if limited else None, note))
    means = [_mean(samples) for samples in (ours, other)]
    note = f"{means[0]:.2f} ms, the no-op {means[1]:.2f} ms"
    return [*figures, Figure(f"added, {what}, mean", means[0] - means[1], "ms", note=note)]


def _of(grown: metrics.Metrics, name: str) -> metrics.Metrics:
    return {sample: value for sample, value in grown.items() if f'name="{name}"' in sample}


def _mean(samples: metrics.Metrics) -> float:
    return metrics.total(samples, f"{HISTOGRAM}_sum") / metrics.total(samples, f"{HISTOGRAM}_count") * 1e3


@contextmanager
def _noop(found: Management) -> Iterator[Object]:
    """The other webhook; gives its configuration."""
    port = api_port(found) + NOOP_PORT
    argv = [sys.executable, "-m", "tests.bench.noop_webhook", str(port)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield noop_webhook.configuration(port, process.stdout.readline().strip())
        finally:
            process.kill()


async def _created(bench: Bench, found: Management, count: int, noop: Object, where: str) -> metrics.Metrics:
    """What was added to the API server's histogram while Pods were created."""
    certificates = found.kubeconfig.parent / "certs"
    async with connected(found.kubeconfig) as cluster:
        await cluster.apply(noop)
        await _create(cluster, bench.size(400, 100), where)  # connections stand, caches are warm
        before = await asyncio.to_thread(metrics.scrape_api_server, found.api.url, certificates)
        await _create(cluster, count, where)
        after = await asyncio.to_thread(metrics.scrape_api_server, found.api.url, certificates)
        await cluster.delete(noop)
    return metrics.grown(before, after)


async def _create(cluster: Cluster, count: int, where: str) -> None:
    asking = {"aws_credentials": "s3"} if where == "plain" else {}

    async def some() -> None:
        for _ in range(count // AT_ONCE):
            answer = await cluster.create(pod(where, "job", 3, **asking))
            assert "kaas.internal/injected" in answer.body["metadata"]["annotations"], answer

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
