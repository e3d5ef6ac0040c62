"""The feature that has machines drained with notice, put together for the controller."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack

from kaas.api.parsed import Parsed
from kaas.kube import lean, resources
from kaas.kube.objects import Object, Ref, name_of
from kaas.kube.workloads import ClusterKey, Workloads
from kaas.runtime.controller import Feature, Services
from kaas.runtime.watches import Watch
from kaas.updates.drains.metrics import DrainMetrics
from kaas.updates.drains.reconciler import DrainReconciler, Key, Office
from kaas.updates.drains.watched import Waiting, cluster_concern, machine_concern

_LOOKED_UP = (resources.MACHINE_DEPLOYMENT, resources.OPENSTACK_MACHINE)
WORKERS = 8  # a pass waits for its workload cluster, which may not answer


def drains(parsed: Parsed, ending: AsyncExitStack) -> Feature:
    """The feature that has machines drained. parsed: shared with other features. ending: closes what it opens."""

    def reconciler(services: Services) -> DrainReconciler:
        clients = _clients(services)
        ending.push_async_callback(clients.close)
        metrics = DrainMetrics(services.metrics.registry)
        index, client, clock = services.index, services.client, services.clock
        return DrainReconciler(Office(index, client, clients, clock, services.events, metrics, parsed))

    return Feature("drains", _watches, reconciler, WORKERS)


def _watches(services: Services) -> Sequence[Watch]:
    """What is decided from; workload clusters are asked as long as a machine waits."""
    waiting = Waiting(services.index)
    return [
        Watch(resources.MACHINE, waiting.see, transform=lean.machine, concern=machine_concern),
        Watch(resources.CLUSTER, lambda c: waiting.of_cluster(name_of(c)), concern=cluster_concern),
        *(Watch(kind, _nobody, transform=lean.part) for kind in _LOOKED_UP),
    ]


def _nobody(_: Object) -> Iterable[Key]:
    return ()


def _clients(services: Services) -> Workloads[None]:
    """Clients of workload clusters, whose Nodes are not watched here: few clusters have a machine that waits."""

    async def read_kubeconfig(cluster: ClusterKey) -> bytes | None:
        found = await services.client.get(Ref("v1", "Secret", cluster[0], f"{cluster[1]}-kubeconfig"))
        return base64.b64decode(found["data"]["value"]) if found else None

    return Workloads(read_kubeconfig, lambda _: None, lambda *_: None, services.clock)
