"""Keeps a snapshot of what was just loaded, before any Pod is let go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter

from kaas.kube import resources
from kaas.kube.errors import Conflict, Forbidden, Invalid, NotFound
from kaas.kube.objects import Object, Objects, Ref, metadata, ref_of, uid
from kaas.kube.ports import Announcer, Source, Times
from kaas.volumes.annotations import Cache, Spec
from kaas.volumes.attempts import Job
from kaas.volumes.cache import snapshots
from kaas.volumes.cache.keeping import Act, Keeping, Loaded, Means, born, keeping, sealing
from kaas.volumes.cache.limits import Limits
from kaas.volumes.claim import Claim
from kaas.volumes.terms import FRESH, MANAGER

AGAIN: Final = 1.0
"""Seconds to the next look while Pods wait for a snapshot; its changes are seen besides."""
NOT_KEPT: Final = "SnapshotNotKept"
KEPT: Final = "SnapshotKept"
NOT_ASKED: Final = "NotAsked"
"""Reason of a claim that no webhook has looked at."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What has become of it. notes: for the condition. again: seconds after which to look again, while Pods wait."""

    notes: tuple[str, ...] = ()
    again: float | None = None


class Keeps(Protocol):
    """Who is asked before Pods are let go."""

    async def keep(self, claim: Claim, job: Job) -> Kept:
        """Go on with it, as far as that can be done now. Called again until `again` is None."""


class Nobody:
    """Where there is no cache."""

    async def keep(self, claim: Claim, job: Job) -> Kept:
        """Nothing is kept."""
        return Kept()


class Writer(Protocol):
    """What is asked of the API server."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, or None."""

    async def create(self, obj: Object, *, manager: str) -> Object:
        """Create; Conflict when it is there."""

    async def patch(self, ref: Ref, patch: Object) -> Object:
        """JSON merge patch."""

    async def patch_json(self, ref: Ref, operations: Objects) -> Object:
        """JSON Patch; Invalid when a test in it fails."""

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        """Ask for deletion."""


class Store(Source, Protocol):
    """The index, into which answers are put."""

    def put(self, obj: Object, *, seen: bool = False) -> Object | None:
        """Store an answer to a write."""


class Births:
    """Counts what claims that asked for a snapshot were given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._hits = Counter("kaas_volumes_cache_hits", "Claims that were born of a snapshot", registry=registry)
        self._misses = Counter(
            "kaas_volumes_cache_misses", "Claims that asked for one and got none", ["reason"], registry=registry
        )

    def count(self, claim: Claim) -> None:
        """A claim was loaded."""
        if claim.origin:
            self._hits.inc()
        else:
            self._misses.labels(claim.missed or NOT_ASKED).inc()


@dataclass(slots=True)
class Keeper:
    """Has snapshots made, one a claim and load."""

    store: Store
    client: Writer
    announcer: Announcer
    clock: Times
    limits: Limits
    births: Births = field(default_factory=lambda: Births(CollectorRegistry()))

    async def keep(self, claim: Claim, job: Job) -> Kept:
        """As the protocol says."""
        spec = claim.spec
        if spec is None or spec.cache is not Cache.SNAPSHOT:
            return Kept()
        loaded = self._loaded(claim, spec, job)
        decided = keeping(loaded, self._known(claim.key[0]), self._means(claim), self.clock.now())
        held = await self._do(decided, loaded)
        if held is None and claim.fresh:
            held = await self._open(claim)
        if held is not None:
            return held
        self.births.count(claim)
        await self._announce(claim, decided)
        return Kept(tuple(filter(None, (born(claim, job.results), decided.note))))

    def _loaded(self, claim: Claim, spec: Spec, job: Job) -> Loaded:
        ends = [a.ended for a in job.attempts if a.ended is not None]
        return Loaded(claim, spec, job.mark, job.results, max(ends, default=job.created))

    def _known(self, namespace: str) -> Iterator[Object]:
        """Snapshots that claims of a namespace may be born of."""
        public = snapshots.public(self.store.list(snapshots.CONTENT)) if self.limits.share else frozenset()
        for found in self.store.list(snapshots.SNAPSHOT):
            if metadata(found)["namespace"] == namespace or uid(found) in public:
                yield found

    def _means(self, claim: Claim) -> Means:
        found = self.store.get(resources.STORAGE_CLASS, None, claim.storage_class or "")
        driver = str((found or {}).get("provisioner") or "")
        made_by = snapshots.class_for(driver, list(self.store.list(snapshots.CLASS)))
        return Means(driver, made_by, self.limits.cut_within)

    async def _do(self, decided: Keeping, loaded: Loaded) -> Kept | None:
        """One step; None when Pods may be let go."""
        match decided.act:
            case Act.MAKE:
                return await self._make(decided)
            case Act.HOLD:
                return Kept((decided.note,), AGAIN)
            case Act.SEAL:
                return await self._seal(decided, loaded)
            case Act.DROP:
                await self._drop(decided)
        return None

    async def _make(self, decided: Keeping) -> Kept:
        assert decided.snapshot is not None  # noqa: S101 - of MAKE
        try:
            made = await self.client.create(decided.snapshot, manager=MANAGER)
        except Conflict:
            return Kept((decided.note,), AGAIN)  # by this process' predecessor: the watch is about to say so
        except (Forbidden, Invalid, NotFound) as refusal:
            return Kept((f"{decided.note}; it cannot be made: {refusal.message}",), 5 * AGAIN)
        self.store.put(snapshots.lean(made))
        return Kept((decided.note,), AGAIN)

    async def _seal(self, decided: Keeping, loaded: Loaded) -> Kept | None:
        assert decided.snapshot is not None  # noqa: S101 - of SEAL
        try:
            if loaded.key.public and self.limits.share:
                await self._publish(decided.snapshot, loaded.key.text)
            answer = await self.client.patch_json(ref_of(decided.snapshot), sealing(decided.snapshot, self.clock.now()))
        except (NotFound, Invalid, Conflict):
            return Kept((decided.note,), AGAIN)  # it went meanwhile
        self.store.put(snapshots.lean(answer))
        return None

    async def _publish(self, snapshot: Object, key: str) -> None:
        """Have any namespace be given it, if its content says that it is that: others may write what a status says."""
        name = str((snapshot.get("status") or {}).get("boundVolumeSnapshotContentName") or "")
        ref = Ref(snapshots.API, snapshots.CONTENT.kind, None, name)
        content = await self.client.get(ref) if name else None
        if content is None or not snapshots.belongs(content, snapshot):
            return
        meta = {"uid": uid(content), "labels": snapshots.publishing(key)}
        # Not put into the index: when the watch tells of it, the cache looks what it supersedes.
        await self.client.patch(ref, {"metadata": meta})

    async def _drop(self, decided: Keeping) -> None:
        """It is gone, or going, before the first Pod is let go."""
        assert decided.snapshot is not None  # noqa: S101 - of DROP
        with suppress(Conflict):
            await self.client.delete(ref_of(decided.snapshot), uid=uid(decided.snapshot))

    async def _open(self, claim: Claim) -> Kept | None:
        """From now on Pods may write: no later load of this volume is kept for others."""
        meta = {"uid": claim.uid, "annotations": {FRESH: None}}
        try:
            await self.client.patch(Ref("v1", "PersistentVolumeClaim", *claim.key), {"metadata": meta})
        except (NotFound, Conflict, Invalid):  # another claim has its name by now
            return Kept(("it is there, and the claim is just going",), AGAIN)
        return None

    async def _announce(self, claim: Claim, decided: Keeping) -> None:
        if not decided.is_wrong and decided.act is not Act.SEAL:
            return
        about = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": claim.key[0], "name": claim.key[1], "uid": claim.uid},
        }
        if decided.is_wrong:
            await self.announcer.emit(about, NOT_KEPT, decided.note, event_type="Warning")
        else:
            await self.announcer.emit(about, KEPT, decided.note)
