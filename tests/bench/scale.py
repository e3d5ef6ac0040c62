"""1,000 Clusters with 10,000 Machines on a real kube-apiserver: start, memory, lag of the event loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests import metrics
from tests.bench import fleet
from tests.bench.bare import bare, fill
from tests.bench.bench import Bench
from tests.bench.changes import watching
from tests.bench.controllers import Controller, controller, until
from tests.bench.figures import Figure, Limit
from tests.e2e.platform import Platform

LAG = "kaas_event_loop_lag_seconds"
BASE_MB, CLUSTER_MB = 80.0, 0.06


def run(bench: Bench) -> Sequence[Figure]:
    """The same controller program without Clusters, then at its first look at many."""
    clusters = bench.size(1000, 30)
    with bare(bench, "scale") as platform:
        with controller(platform) as empty:
            until("the controller leads", lambda: empty.leads)
            without = empty.memory
        objects = fill(bench, platform, clusters)
        note = f"{clusters:,} Clusters, {clusters * fleet.MACHINES:,} Machines, {objects:,} objects"
        with controller(platform) as full:
            return [
                Figure("memory without Clusters", without, "MB", Limit(BASE_MB)),
                *_start(bench, full, clusters, note),
                *_burst(bench, platform, full, clusters),
            ]


def _start(bench: Bench, process: Controller, clusters: int, note: str) -> list[Figure]:
    bench.say("the controller starts")
    until("every Cluster is reconciled", lambda: process.synced(clusters))
    seconds = time.monotonic() - process.started
    found = process.metrics()
    lag = metrics.quantile(found, LAG, 0.99) * 1000
    writes = metrics.total(found, "kaas_api_requests_total", verb="apply")
    memory = Limit(BASE_MB + CLUSTER_MB * clusters)
    return [
        Figure("cold start to all synced", seconds, "s", Limit(60.0, below=True), note),
        Figure("processor time of it", process.processor, "s"),
        Figure("event-loop lag p99 at the start", lag, "ms", Limit(50.0, below=True), "in buckets, interpolated"),
        Figure("objects written at the start", writes, "", Limit(0.0), "the fleet stands as it should"),
        Figure("memory after the start", process.memory, "MB", memory, note),
    ]


def _burst(bench: Bench, platform: Platform, process: Controller, clusters: int) -> list[Figure]:
    """A fifth of all Clusters is changed as quickly as the API server takes it."""
    changed = max(1, clusters // 5)
    bench.say(f"{changed} Clusters are changed at once")
    before, processor = process.metrics(), process.processor
    with watching(platform) as changes:
        changes.send(fleet.name_of(n) for n in range(changed))
        slowest = max(changes.latencies())
        until("the queue is empty", lambda: process.synced(clusters))
    lag = metrics.grown(before, process.metrics())
    each = (process.processor - processor) / changed * 1000
    return [
        Figure(
            "event-loop lag p99 in a burst",
            metrics.quantile(lag, LAG, 0.99) * 1000,
            "ms",
            Limit(50.0, below=True),
            f"{changed} Clusters changed at once",
        ),
        Figure("slowest of the burst to Cluster API", slowest, "s"),
        Figure("processor time a changed Cluster", each, "ms", note="the whole process, watches and TLS included"),
        Figure("memory after the burst", process.memory, "MB", Limit(BASE_MB + CLUSTER_MB * clusters)),
    ]
