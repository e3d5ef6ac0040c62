"""Keeps the snapshot cache within its limits. There is one key: the whole of it is looked at at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

from kaas.kube.errors import Conflict, Invalid, NotFound
from kaas.kube.objects import Object, Objects, Ref
from kaas.kube.ports import Announcer, Source, Times
from kaas.kube.times import stamp
from kaas.volumes.cache import observe, snapshots
from kaas.volumes.cache.keeping import noting
from kaas.volumes.cache.limits import Limits
from kaas.volumes.cache.plan import Act, Facts, Step, plan

log = logging.getLogger(__name__)

KEY: Final = ("cache",)
SOON: Final = 30.0
"""Seconds to the next look while something is on its way out."""
LATER: Final = 600.0
RETIRED: Final = "SnapshotRetired"


class Cluster(Protocol):
    """What is asked of the API server."""

    async def patch_json(self, ref: Ref, operations: Objects) -> Object:
        """JSON Patch; Invalid when a test in it fails."""

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        """Ask for deletion."""


class Store(Source, Protocol):
    """The index, into which answers are put."""

    def put(self, obj: Object, *, seen: bool = False) -> Object | None:
        """Store an answer to a write."""


class CacheMetrics:
    """How much is kept, and what went."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.snapshots = Gauge(
            "kaas_volumes_cache_snapshots", "Snapshots that claims are born of, copies too", registry=registry
        )
        self.bytes = Gauge(
            "kaas_volumes_cache_bytes",
            "Bytes of volumes made of them at least, by StorageClass; copies share theirs with what they are of",
            ["storage_class"],
            registry=registry,
        )
        self.evictions = Counter(
            "kaas_volumes_cache_evictions", "Snapshots that were removed, by reason", ["reason"], registry=registry
        )

    def measure(self, facts: Facts) -> None:
        """Take notice of what there is."""
        living = [k for k in facts.snapshots if k.lives]
        self.snapshots.set(len(living))
        self.bytes.clear()
        for one in living:
            self.bytes.labels(one.storage_class).inc(0 if one.origin else one.size)


@dataclass(slots=True)
class CacheReconciler:
    """Does what is planned. namespaces: those that are watched, none means all."""

    store: Store
    client: Cluster
    announcer: Announcer
    clock: Times
    limits: Limits
    metrics: CacheMetrics
    namespaces: Sequence[str] = ()

    async def reconcile(self, key: tuple[str, ...]) -> float | None:
        """Bring the cache within its limits; seconds to the next look, None while it is empty."""
        facts = observe.facts(self.store, self.clock.now(), self.namespaces, share=self.limits.share)
        self.metrics.measure(facts)
        steps = plan(facts, self.limits)
        for step in steps:
            await self._do(step)
        if not facts.snapshots and not facts.contents:
            return None
        unbound = any(not c.snapshot_uid for c in facts.contents)
        on_its_way = steps or unbound or any(not k.lives for k in facts.snapshots)
        return min(SOON, self.limits.grace.total_seconds()) if on_its_way else LATER

    async def _do(self, step: Step) -> None:
        """One write; what it is about may have gone, or be another one by now."""
        try:
            match step.act:
                case Act.USED if step.at is not None:
                    await self._note(step, snapshots.USED, stamp(step.at))
                case Act.RETIRE:
                    await self._retire(step)
                case Act.REMOVE:
                    await self._remove(step)
                case Act.REMOVE_CONTENT:
                    ref = Ref(snapshots.API, snapshots.CONTENT.kind, None, step.name[1])
                    await self.client.delete(ref, uid=step.uid)
        except (NotFound, Invalid, Conflict) as gone:
            log.debug("%s %s: %s", step.act.value, "/".join(step.name), gone)

    async def _note(self, step: Step, name: str, value: str) -> Object | None:
        known = self.store.get(snapshots.SNAPSHOT, *step.name)
        if known is None:
            return None
        answer = await self.client.patch_json(_ref(step), noting(known, name, value))
        self.store.put(snapshots.lean(answer))
        return answer

    async def _retire(self, step: Step) -> None:
        noted = await self._note(step, snapshots.RETIRED, f"{stamp(self.clock.now())} {step.reason}")
        if noted is not None:
            await self.announcer.emit(noted, RETIRED, f"{step.reason}: no claim is born of it any more")

    async def _remove(self, step: Step) -> None:
        if await self.client.delete(_ref(step), uid=step.uid):
            self.metrics.evictions.labels(step.reason).inc()
            log.info("snapshot %s removed: %s", "/".join(step.name), step.reason)


def _ref(step: Step) -> Ref:
    return Ref(snapshots.API, snapshots.SNAPSHOT.kind, *step.name)
