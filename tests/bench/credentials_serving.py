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
from tests.contract.credentials.cluster import Answer, Cluster, Object, aws_secret, connected, manifest, pod
from tests.contract.credentials.installation import Webhook, api_port, installed
from tests.contract.credentials.replica import HOST

AT_ONCE = 20
NOOP_PORT = 90  # from the API server's port on
OURS = {"plain": "annotated-pods.credentials.kaas.internal", "bench": "pods.credentials.kaas.internal"}
"""Our webhook's name by namespace."""
HISTOGRAM = "apiserver_admission_webhook_admission_duration_seconds"
BUCKETS = "estimated within its buckets of 5, 25, 100 and 500 ms as Prometheus does"
LIMITS: dict[float, Limit | None] = {0.5: Limit(3.0), 0.99: Limit(15.0)}


def run(bench: Bench) -> Sequence[Figure]:
    """One replica, so that one process is what is measured."""
    with _bare(bench) as cluster, installed(cluster, bench.directory("webhook"), 1) as webhook:
        asyncio.run(_prepared(cluster, webhook))
        figures = [*_direct(bench, webhook), *_through(bench, cluster)]
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


async def _prepared(found: Management, webhook: Webhook) -> None:
    async with connected(found.kubeconfig) as cluster:
        # Both webhooks are called as they are: a Service of the tests' own would be measured with ours.
        await webhook.install(cluster, f"url=https://{HOST}:{webhook.replicas[0].port}", "secondUrl=")
        await cluster.apply(manifest("Namespace", "bench", labels={"kaas.internal/inject": "enabled"}))
        for name in ("plain", "noop"):
            await cluster.apply(manifest("Namespace", name))
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


def _through(bench: Bench, found: Management) -> list[Figure]:
    """Half of the Pods go to our webhook and half to the other: both are measured in the same moments."""
    with _noop(found) as noop:
        return [
            *_added(bench, found, noop, "annotation of the Pod", "plain"),
            *_added(bench, found, noop, "live ServiceAccount", "bench"),
        ]


def _added(bench: Bench, found: Management, noop: Object, what: str, where: str) -> list[Figure]:
    """By kube-apiserver's own histogram, which the limits are for; and as clients see it, which is exact."""
    count, bounds = bench.size(4000, 100), LIMITS if where == "plain" else dict.fromkeys(LIMITS)
    bench.say(f"{count} Pods through each of both webhooks, {AT_ONCE} at once: {what}")
    grown, ours, other = asyncio.run(_created(bench, found, count, noop, where))
    samples = [_of(grown, name) for name in (OURS[where], noop_webhook.NAME)]
    figures = []
    for q, limit in bounds.items():
        inside = [metrics.quantile(one, HISTOGRAM, q) * 1e3 for one in samples]
        note = f"ours {inside[0]:.1f} ms, no-op {inside[1]:.1f} ms, {BUCKETS}"
        figures.append(Figure(f"added, {what}, p{q * 100:.0f}", inside[0] - inside[1], "ms", limit, note))
    means = [_mean(one) for one in samples]
    note = f"ours {means[0]:.2f} ms, no-op {means[1]:.2f} ms: exact"
    figures.append(Figure(f"added, {what}, mean", means[0] - means[1], "ms", note=note))
    for q in bounds:
        at = [_quantile(seconds, q) for seconds in (ours, other)]
        note = f"creating a Pod takes {at[0]:.1f} ms, with the no-op {at[1]:.1f} ms: exact"
        figures.append(Figure(f"the same for clients, p{q * 100:.0f}", at[0] - at[1], "ms", note=note))
    return figures


def _quantile(seconds: Sequence[float], q: float) -> float:
    """In milliseconds."""
    return sorted(seconds)[round(q * (len(seconds) - 1))] * 1e3


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


async def _created(
    bench: Bench, found: Management, count: int, noop: Object, where: str
) -> tuple[metrics.Metrics, list[float], list[float]]:
    """What was added to the API server's metrics, and seconds of each Pod's creation, ours first."""
    certificates = found.kubeconfig.parent / "certs"
    async with connected(found.kubeconfig) as cluster:
        await cluster.apply(noop)
        await _create_both(cluster, bench.size(400, 100), where)  # connections stand, caches are warm
        before = await asyncio.to_thread(metrics.scrape_api_server, found.api.url, certificates)
        ours, other = await _create_both(cluster, count, where)
        after = await asyncio.to_thread(metrics.scrape_api_server, found.api.url, certificates)
        await cluster.delete(noop)
    return metrics.grown(before, after), ours, other


async def _create_both(cluster: Cluster, count: int, where: str) -> tuple[list[float], list[float]]:
    asking = {"aws_credentials": "s3"} if where == "plain" else {}
    found = await asyncio.gather(
        _create(cluster, pod(where, "job", 3, **asking), count), _create(cluster, pod("noop", "job", 3), count)
    )
    assert all("kaas.internal/injected" in a.body["metadata"]["annotations"] for _, a in found[0])
    return [seconds for seconds, _ in found[0]], [seconds for seconds, _ in found[1]]


async def _create(cluster: Cluster, obj: Object, count: int) -> list[tuple[float, Answer]]:
    async def some() -> list[tuple[float, Answer]]:
        made = []
        for _ in range(count // (AT_ONCE // 2)):
            start = time.monotonic()
            answer = await cluster.create(obj)
            made.append((time.monotonic() - start, answer))
        return made

    return [one for part in await asyncio.gather(*(some() for _ in range(AT_ONCE // 2))) for one in part]
