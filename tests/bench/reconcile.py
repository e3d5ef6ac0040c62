"""Processor time of one reconcile, in memory: observe, plan, apply up to the request's body, status."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Sequence

from kaas.api.site import Site
from kaas.clusters.addresses import Surplus
from kaas.clusters.reconciler import ClusterReconciler
from kaas.clusters.snapshot import Cloud, Live
from kaas.clusters.watched import interests
from kaas.kube import resources
from kaas.kube.objects import Object, Ref
from kaas.openstack.floating_ip import FloatingIP
from kaas.runtime.clock import SystemClock
from kaas.runtime.index import Index
from tests.bench import fleet
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit

NUMBER = 0
KEY = (fleet.NAMESPACE, fleet.name_of(NUMBER))
_VERSIONS = itertools.count(10**6)  # as an API server has them: numbers that grow


class Wire:
    """Takes writes as far as an API client does before it sends them; answers with the object as it would be then."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.writes = 0

    async def apply(self, obj: Object) -> Object:
        """Server-side apply."""
        return self._written(obj, {k: v for k, v in obj.items() if k != "metadata"})

    async def apply_status(self, obj: Object) -> Object:
        """Server-side apply of the status."""
        return self._written(obj, {"status": obj["status"]})

    async def patch_finalizers(self, obj: Object, finalizers: list[str]) -> Object:
        """Not needed: the Cluster has its finalizer."""
        raise NotImplementedError

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """Not needed: CAPO made nothing twice."""
        raise NotImplementedError

    async def delete(self, ref: Ref) -> bool:
        """Not needed: nothing is deleted."""
        raise NotImplementedError

    async def get(self, ref: Ref) -> Object | None:
        """Not needed: nothing is deleted."""
        raise NotImplementedError

    def _written(self, obj: Object, parts: Object) -> Object:
        json.dumps(obj)
        self.writes += 1
        resource = resources.find(obj["apiVersion"], obj["kind"])
        assert resource is not None
        live = self._index.get(resource, *KEY)
        assert live is not None
        meta = {**live["metadata"], **obj["metadata"], "resourceVersion": str(next(_VERSIONS))}
        return {**live, **parts, "metadata": meta}


class NoCloud:
    """Is not asked: a Cluster that stands wants nothing new."""

    async def look(self, site: Site) -> Cloud:
        """Refuse to look."""
        raise NotImplementedError

    async def server_fault(self, site: Site, server: str) -> str | None:
        """Refuse to look."""
        raise NotImplementedError

    async def surplus(self, site: Site, live: Live) -> Surplus | None:
        """Nothing was made twice."""
        return None

    async def release(self, site: Site, address: FloatingIP) -> str | None:
        """Not needed: CAPO made nothing twice."""
        raise NotImplementedError


class Silence:
    """Sends no Events."""

    async def emit(self, about: Object, reason: str, message: str, *, event_type: str = "Normal") -> bool:
        """Do nothing."""
        return True


def world() -> tuple[Index, Wire, ClusterReconciler]:
    """One Cluster of the fleet as the controller has it in memory."""
    index = Index()
    keep = {i.resource.group_kind: i.keep for i in interests(index)}
    for number, obj in enumerate((*fleet.shared(), fleet.identity(), *fleet.standing(NUMBER))):
        small = keep.get((obj["apiVersion"].rpartition("/")[0], obj["kind"]))
        obj["metadata"]["resourceVersion"] = str(number)
        index.put(small(obj) if small else obj)
    wire = Wire(index)
    return index, wire, ClusterReconciler(index, wire, NoCloud(), SystemClock(), Silence())


def change(index: Index, number: int) -> None:
    """A user changes the labels of a pool: a change that no cache has seen before."""
    raw = index.get(resources.CLUSTER, *KEY)
    assert raw is not None
    first, *others = raw["spec"]["nodePools"]
    pools = [{**first, "labels": {"bench": f"s{number}"}}, *others]
    generation = raw["metadata"]["generation"] + 1
    meta = {**raw["metadata"], "generation": generation, "resourceVersion": str(next(_VERSIONS))}
    index.put({**raw, "metadata": meta, "spec": {**raw["spec"], "nodePools": pools}})


def run(bench: Bench) -> Sequence[Figure]:
    """Medians over many, in milliseconds of processor time."""
    rounds = bench.size(1000, 100)
    at_rest, changed, writes = asyncio.run(_measure(rounds))
    note = f"median of {rounds}; {len(fleet.POOLS)} pools, {fleet.MACHINES} machines"
    return [
        Figure("CPU of a reconcile without change", at_rest, "ms", Limit(3.0), note),
        Figure("CPU of a reconcile with a change", changed, "ms", Limit(10.0), f"{note}; {writes:g} writes each"),
    ]


async def _measure(rounds: int) -> tuple[float, float, float]:
    index, wire, reconciler = world()
    await reconciler.reconcile(KEY)
    assert wire.writes == 0, "the fleet does not stand: something was written"
    at_rest = [await _timed(reconciler) for _ in range(rounds)]
    changed = []
    for number in range(rounds):
        change(index, number)
        changed.append(await _timed(reconciler))
    return statistics.median(at_rest), statistics.median(changed), wire.writes / rounds


async def _timed(reconciler: ClusterReconciler) -> float:
    """Milliseconds of this thread's processor time."""
    start = time.thread_time()
    await reconciler.reconcile(KEY)
    return (time.thread_time() - start) * 1000
