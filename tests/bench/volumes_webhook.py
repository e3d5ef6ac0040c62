"""The webhook of volumes: what it adds to creating a Pod, reviews a second, and how soon Pods start after a load."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kaas_lab import build, management, processes
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot

from kaas.kube.client import KubeClient
from tests import metrics
from tests.bench import raw_client
from tests.bench.bench import Bench
from tests.bench.controllers import processor_of
from tests.bench.figures import Figure, Limit
from tests.contract.credentials.cluster import Cluster, Object, connected, manifest
from tests.contract.credentials.replica import HOST
from tests.contract.volumes.stage import SOURCE, Stage
from tests.contract.volumes_webhook.installation import Installed, Server, audited, installed
from tests.contract.volumes_webhook.objects import claim, held, loaded, made, pod

AT_ONCE = 4
REVIEWS = 300
"""That one core has to answer in a second, each with a claim looked up: as the credential webhook with an account."""
HISTOGRAM = "apiserver_admission_webhook_admission_duration_seconds"
NAME = "pods.volumes.kaas.internal"
BUCKETS = "estimated within its buckets of 5, 25, 100 and 500 ms as Prometheus does"


def run(bench: Bench) -> Sequence[Figure]:
    """One replica, so that one process is what is measured."""
    logging.getLogger("kaas").setLevel(logging.WARNING)
    with _server(bench) as server, installed(server, bench.directory("volumes-webhook"), 1) as webhook:
        return asyncio.run(_measured(bench, server, webhook))


@contextmanager
def _server(bench: Bench) -> Iterator[Server]:
    state = bench.directory("volumes-lab")
    with free_slot(state) as layout:
        try:
            build.ensure(["bare"], layout, Reporter())
            bench.say("a bare API server starts")
            with audited(management.up(layout, ())) as server:
                yield server
        finally:
            processes.stop_all(state, patience=2.0)


async def _measured(bench: Bench, server: Server, webhook: Installed) -> list[Figure]:
    async with connected(server.kubeconfig) as cluster:
        # The webhook is called as it is: a Service of the tests' own would be measured with it.
        await webhook.install(cluster, f"url=https://{HOST}:{webhook.replicas[0].port}")
        for name, labels in (("asked", {}), ("none", {"kaas.internal/load": "disabled"}), ("released", {})):
            await cluster.apply(manifest("Namespace", name, labels=labels))
            await cluster.apply(manifest("ServiceAccount", "default", name))
            await made(cluster, claim(name, source=SOURCE))
            await loaded(cluster, await made(cluster, claim(name, "there", source=SOURCE)))
        figures = [await _fed(bench, webhook), *await _added(bench, server, cluster)]
    memory = Figure("memory after all that", webhook.replicas[0].memory, "MB", Limit(60.0))
    return [*figures, memory, *await _released(bench, server, webhook)]


async def _fed(bench: Bench, webhook: Installed) -> Figure:
    """What counts is the processor time of the process: the client and the API server share the machine."""
    replica, count = webhook.replicas[0], bench.size(4000, 400)
    request = {"uid": "705ab4f5", "namespace": "asked", "operation": "CREATE", "object": pod("asked", "data")}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()
    await raw_client.post(replica.port, "/mutate-pods", body, 200)
    used, start = processor_of(replica.process.pid), time.monotonic()
    answers = await raw_client.post(replica.port, "/mutate-pods", body, count)
    seconds, used = time.monotonic() - start, processor_of(replica.process.pid) - used
    assert all("patch" in json.loads(answer)["response"] for answer in answers)
    note = f"{count / used:,.0f} a second on one core, of {REVIEWS:,} wanted; {count / seconds:,.0f} beside all else"
    return Figure("processor time a review, claim looked up", used / count * 1e6, "µs", Limit(1e6 / REVIEWS), note)


async def _added(bench: Bench, server: Server, cluster: Cluster) -> list[Figure]:
    """Pods through the webhook and through none, in the same moments; by the API server's histogram and by clients."""
    figures, count = [], bench.size(2000, 100)
    for what, name in (("Pod that has to wait", "data"), ("Pod whose data is there", "there")):
        bench.say(f"{count} Pods with the webhook and without: {what}")
        await _both(cluster, name, AT_ONCE)
        before = await asyncio.to_thread(server.metrics)
        asked, none = await _both(cluster, name, count)
        grown = metrics.grown(before, await asyncio.to_thread(server.metrics))
        ours = {sample: value for sample, value in grown.items() if f'name="{NAME}"' in sample}
        for q in (0.5, 0.99):
            inside, clients = metrics.quantile(ours, HISTOGRAM, q) * 1e3, [_quantile(s, q) for s in (asked, none)]
            note = f"creating it takes {clients[0]:.1f} ms, {clients[1]:.1f} ms without; {BUCKETS}"
            figures.append(Figure(f"added, {what}, p{q * 100:.0f}", inside, "ms", note=note))
    return figures


def _quantile(seconds: Sequence[float], q: float) -> float:
    """In milliseconds."""
    return sorted(seconds)[round(q * (len(seconds) - 1))] * 1e3


async def _both(cluster: Cluster, name: str, count: int) -> tuple[list[float], list[float]]:
    waits = name == "data"
    asked, none = await asyncio.gather(
        _create(cluster, pod("asked", name), count, waits=waits),
        _create(cluster, pod("none", name), count, waits=False),
    )
    return asked, none


async def _create(cluster: Cluster, obj: Object, count: int, *, waits: bool) -> list[float]:
    async def some() -> list[float]:
        found = []
        for _ in range(count // AT_ONCE):
            start = time.monotonic()
            answer = await cluster.create(obj, dryRun="All")
            found.append(time.monotonic() - start)
            assert answer.status == 201, answer
            assert held(answer.body) is waits
        return found

    return [seconds for part in await asyncio.gather(*(some() for _ in range(AT_ONCE))) for seconds in part]


async def _released(bench: Bench, server: Server, webhook: Installed) -> list[Figure]:
    """From a loader's end, as the kubelet writes it, to the gate of the Pod that waited being gone."""
    count, seconds = bench.size(20, 3), list[float]()
    async with await KubeClient.connect(server.kubeconfig) as client, webhook.controller():
        stage = Stage(client, "released")
        for number in range(count):
            name = f"data-{number}"
            await stage.pod(f"app-{number}", name, gate=False)
            found = await stage.claim(name, load_source=SOURCE)
            await stage.runs(await stage.loader(found))
            bench.say(f"load {number + 1} of {count} ends")
            seconds.append(await _until_free(stage, found, f"app-{number}"))
    note = f"{count} loads, one Pod each; the middle one {_quantile(seconds, 0.5) / 1e3:.2f} s"
    return [Figure("from the end of a load to its Pod being free, worst", max(seconds), "s", Limit(2.0), note)]


async def _until_free(stage: Stage, found: Object, app: str) -> float:
    await stage.loads(found)
    start = time.monotonic()
    await stage.until_free(app)  # looks every 50 ms
    return time.monotonic() - start
