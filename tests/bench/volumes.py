"""Five hundred claims at once: requests for each, and how long a Pod waits when its data is there.

Loaders are played: what is measured is the controller and Kubernetes' own Job controller, not a bucket.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kaas_lab import build, management, processes
from kaas_lab.management import Management
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot

from kaas.kube.client import KubeClient
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit
from tests.contract.volumes.controllers import job_controllers
from tests.contract.volumes.nodes import Seen, nodes
from tests.contract.volumes.stage import SETTINGS, Running, Stage, controller, until
from tests.contract.volumes.test_many import ASIDE, fill

NAMESPACES = 10
CALLS = Limit(10.0)  # issue 8: at most ten calls a load, progress aside
RELEASE = Limit(2.0)  # issue 8: a gated Pod starts at most two seconds after the load ends


def run(bench: Bench) -> Sequence[Figure]:
    """All claims are there when the controller starts."""
    claims = bench.size(500, 30)
    with _cluster(bench) as cluster:
        return asyncio.run(_measure(bench, cluster, claims))


@contextmanager
def _cluster(bench: Bench) -> Iterator[Management]:
    state = bench.directory("volumes")
    with free_slot(state) as layout:
        try:
            build.ensure(["bare"], layout, Reporter())
            found = management.up(layout, ())
            with job_controllers(found):
                yield found
        finally:
            processes.stop_all(state, patience=2.0)


async def _measure(bench: Bench, cluster: Management, claims: int) -> Sequence[Figure]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        stages = [Stage(client, f"bench-{n}") for n in range(NAMESPACES)]
        for stage in stages:
            await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.namespace}})
        bench.say(f"making {claims} claims with a Pod each")
        await fill(stages, claims)
        bench.say("the controller starts")
        names = tuple(stage.namespace for stage in stages)
        began = time.monotonic()
        async with nodes(client) as seen, controller(cluster.kubeconfig, names) as running:

            async def all_free() -> bool:
                return len(seen.freed) >= claims

            await until(f"{claims} Pods are free", all_free, patience=1800.0)
            taken = time.monotonic() - began
            return _figures(seen, running, claims, taken)


def _figures(seen: Seen, running: Running, claims: int, taken: float) -> Sequence[Figure]:
    calls = sum(n for key, n in running.requests().items() if key not in ASIDE) / claims
    late = seen.late()
    tail = late[min(len(late) - 1, int(len(late) * 0.99))]
    return [
        Figure("API calls a load, progress aside", calls, "", CALLS, f"{claims} claims, with a Secret and a Pod each"),
        Figure("from the end of a load to its Pod's release, median", statistics.median(late), "s"),
        Figure("the same, p99", tail, "s", RELEASE),
        Figure("loads at once", seen.most, "", Limit(SETTINGS.at_once), "of the settings"),
        Figure("loads at once in a namespace", seen.most_of_one, "", Limit(SETTINGS.per_namespace)),
        Figure("loads a minute", claims / taken * 60, "", note="played loads of 0.3 s"),
    ]
