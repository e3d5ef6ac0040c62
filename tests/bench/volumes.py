"""Five hundred claims at once: requests for each, and how long a Pod waits when its data is there.

Loaders are played: what is measured is the controller and Kubernetes' own Job controller, not a bucket.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kaas_lab import build, management, processes
from kaas_lab.layout import Layout
from kaas_lab.management import Management
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot

from kaas.kube.client import KubeClient
from tests import metrics
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit
from tests.contract.volumes.controllers import job_controllers
from tests.contract.volumes.nodes import Seen, nodes
from tests.contract.volumes.stage import SETTINGS, Stage, until
from tests.contract.volumes.test_many import ASIDE, fill

NAMESPACES = 10
CALLS = Limit(10.0)  # issue 8: at most ten calls a load, progress aside
REQUESTS = "kaas_api_requests_total"
METRICS_OFFSET = 90
RELEASE = Limit(2.0)  # issue 8: a gated Pod starts at most two seconds after the load ends


def run(bench: Bench) -> Sequence[Figure]:
    """All claims are there when the controller starts."""
    claims = bench.size(500, 30)
    with _cluster(bench) as (cluster, layout):
        return asyncio.run(_measure(bench, cluster, layout, claims))


@contextmanager
def _cluster(bench: Bench) -> Iterator[tuple[Management, Layout]]:
    state = bench.directory("volumes")
    with free_slot(state) as layout:
        try:
            build.ensure(["bare"], layout, Reporter())
            found = management.up(layout, ())
            with job_controllers(found):
                yield found, layout
        finally:
            processes.stop_all(state, patience=2.0)


@contextmanager
def _controller(layout: Layout, namespaces: Sequence[str]) -> Iterator[int]:
    """The controller as a process; its port of metrics."""
    port = layout.management_port(METRICS_OFFSET)
    argv = [sys.executable, "-m", "kaas", "--kubeconfig", str(layout.kubeconfig), "volumes", "controller"]
    argv += ["--image", SETTINGS.image, "--metrics-port", str(port), "--no-leader-elect"]
    argv += [word for namespace in namespaces for word in ("-n", namespace)]
    process = processes.spawn(layout.state, "volumes", argv, log=layout.logs / "volumes.log")
    try:
        yield port
    finally:
        processes.stop([process.pid], patience=15.0)


async def _measure(bench: Bench, cluster: Management, layout: Layout, claims: int) -> Sequence[Figure]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        stages = [Stage(client, f"bench-{n}") for n in range(NAMESPACES)]
        for stage in stages:
            await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.namespace}})
        bench.say(f"making {claims} claims with a Pod each")
        await fill(stages, claims)
        bench.say("the controller starts")
        names = [stage.namespace for stage in stages]
        began = time.monotonic()
        async with nodes(client) as seen:
            with _controller(layout, names) as port:

                async def all_free() -> bool:
                    return len(seen.freed) >= claims

                await until(f"{claims} Pods are free", all_free, patience=1800.0)
                return _figures(seen, metrics.scrape(port), claims, time.monotonic() - began)


def _figures(seen: Seen, found: metrics.Metrics, claims: int, taken: float) -> Sequence[Figure]:
    asked = metrics.total(found, REQUESTS)
    aside = sum(metrics.total(found, REQUESTS, verb=verb, kind=kind) for verb, kind in ASIDE)
    calls, cpu = (asked - aside) / claims, metrics.total(found, "process_cpu_seconds_total") / claims
    late = seen.late()
    return [
        Figure("API calls a load, progress aside", calls, "", CALLS, f"{claims} claims, with a Secret and a Pod each"),
        Figure("from the end of a load to its Pod's release, median", statistics.median(late), "s"),
        Figure("the same, p99", _p99(late), "s", RELEASE),
        Figure(
            "of that until the API server has been told of the end, p99", _p99(seen.unsaid()), "s", note="by the test"
        ),
        Figure("CPU of the controller a load", 1000 * cpu, "ms", note="its start among it"),
        Figure("loads at once", seen.most, "", Limit(SETTINGS.at_once), "of the settings"),
        Figure("loads at once in a namespace", seen.most_of_one, "", Limit(SETTINGS.per_namespace)),
        Figure("loads a minute", claims / taken * 60, "", note="played loads of 0.3 s"),
    ]


def _p99(values: Sequence[float]) -> float:
    """Of values in their order."""
    return values[min(len(values) - 1, int(len(values) * 0.99))]
