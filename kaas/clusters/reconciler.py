"""Carries out the plan of one Cluster: the only place of this feature that writes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from kaas.api.constants import FINALIZER
from kaas.api.parsed import Parsed
from kaas.api.site import Site
from kaas.clusters.addresses import Surplus, twice
from kaas.clusters.causes import failed_servers
from kaas.clusters.faults import Faults, Nova
from kaas.clusters.observe import Key, observe
from kaas.clusters.others import without_others
from kaas.clusters.plan import Step, plan, wanted_of_cloud
from kaas.clusters.snapshot import Cloud, Live, Object, Snapshot
from kaas.clusters.status import settles_in, status
from kaas.kube import lean, resources
from kaas.kube.errors import Forbidden, Invalid, KubeError, NotFound, Unavailable
from kaas.kube.objects import Ref, metadata, ref_of
from kaas.kube.ports import Announcer, EventType, Source, Times
from kaas.openstack.floating_ip import FloatingIP

log = logging.getLogger(__name__)

RESYNC_SECONDS = 600.0  # costs no request when nothing differs
REFUSED_SECONDS = 30.0
UNANSWERED_SECONDS = 30.0  # until the cloud is asked again: Nova about a server in ERROR, Neutron about addresses
MOST_ROUNDS = 12  # a plan has fewer steps; more means that writing does not change what is planned


class Store(Source, Protocol):
    """What is known of the management cluster, kept up to date with our own writes."""

    def put(self, obj: Object) -> Object | None:
        """Store an object."""

    def remove(self, obj: Object) -> Object | None:
        """Forget an object."""


class Writer(Protocol):
    """What is written to the management cluster."""

    async def apply(self, obj: Object) -> Object:
        """Server-side apply."""

    async def apply_status(self, obj: Object) -> Object:
        """Server-side apply of the status."""

    async def patch_finalizers(self, obj: Object, finalizers: list[str]) -> Object:
        """Set the finalizers of an object as it was read."""

    async def delete(self, ref: Ref) -> bool:
        """Ask for deletion."""

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """Merge patch of an object, or of its subresource."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when there is none."""


class Clouds(Nova, Protocol):
    """Who knows what a Site's cloud has."""

    async def look(self, site: Site) -> Cloud:
        """What the cloud has, or the problem; never raises for a cloud that is wrong or away."""

    async def surplus(self, site: Site, live: Live) -> Surplus | None:
        """A floating IP that CAPO made twice; the cloud is asked only when there may be one, and never raises."""

    async def release(self, site: Site, address: FloatingIP) -> str | None:
        """Give a floating IP back that leads nowhere; why it is not gone, None when it is."""


KEPT_FOR = timedelta(hours=1)  # until it is asked again whether a class revision may go
TROUBLE = frozenset({"Blocked", "Degraded"})
WATCHED_KINDS = frozenset({"Cluster", "ClusterClass", "OpenStackClusterIdentity"})


class ClusterReconciler:
    """Brings one Cluster after another to what it says. Holds no state but what it has parsed and asked.

    parsed: models that are shared with others of the same event loop.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        clouds: Clouds,
        clock: Times,
        events: Announcer,
        *,
        parsed: Parsed | None = None,
    ) -> None:
        self._store = store
        self._writer = writer
        self._clouds = clouds
        self._clock = clock
        self._events = events
        self._parsed = parsed or Parsed()
        self._faults = Faults(clouds)
        self._kept_classes: dict[str, datetime] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Do what is to be done now; returns the seconds after which to look again, None when the Cluster is gone.

        What the API server refuses becomes a condition. Anything else raises and is tried again by the queue.
        """
        refused: str | None = None
        cloud: Cloud | None = None  # asked once: a round's writes change nothing in it
        for _ in range(MOST_ROUNDS):
            snapshot = await self._observe(key, cloud)
            cloud = snapshot.cloud if snapshot else None
            if snapshot is None or _is_over(snapshot):
                self._faults.forget(key)
                return None
            steps = plan(snapshot)
            if not steps:
                await self._collect(snapshot)
            if refused or not steps or steps[0].gates:
                reported = await self._report(snapshot, steps, refused)
                return min(look_again(snapshot, steps, refused), settles_in(reported) or RESYNC_SECONDS)
            log.info("step %s: %s", steps[0].id, steps[0].reason, extra=_where(key, steps[0]))
            try:
                refused = await self._carry_out(steps[0], key, snapshot.site)
            except (Unavailable, NotFound) as error:
                await self._tell(snapshot, steps, error)
                raise
            if steps[0].keep is False and not refused:
                return None
        raise RuntimeError(f"Cluster {key[0]}/{key[1]}: still {steps[0].id} after {MOST_ROUNDS} rounds")

    async def _observe(self, key: Key, cloud: Cloud | None) -> Snapshot | None:
        snapshot = observe(self._store, key, self._parsed, self._clock.now())
        site = snapshot.site if snapshot else None
        if snapshot is None or site is None:
            return snapshot
        if failed := failed_servers(snapshot.live):
            snapshot = replace(snapshot, faults=await self._faults.of(key, site, failed))
        if surplus := await self._clouds.surplus(site, snapshot.live):
            snapshot = replace(snapshot, surplus=surplus)
        if wanted_of_cloud(snapshot):
            snapshot = replace(snapshot, cloud=cloud or await self._clouds.look(site))
        return snapshot

    async def _carry_out(self, step: Step, key: Key, site: Site | None) -> str | None:
        """Writes of one step, in order; returns the refusal, if any."""
        try:
            for obj in step.apply:
                applied = await self._writer.apply(obj)
                if applied["kind"] in WATCHED_KINDS:
                    self._store.put(applied)
            for ref in step.delete:
                await self._delete(ref)
            if step.keep is not None:
                await self._set_finalizer(key, keep=step.keep)
            if step.release and site:
                return await self._release(step.release, site)
        except (Invalid, Forbidden) as error:
            await self._apply_instead(step)
            return str(error)
        return None

    async def _release(self, found: Surplus, site: Site) -> str | None:
        """The address first: as long as the status names it, this is done again, whenever we are killed."""
        if found.goes.id and (refused := await self._clouds.release(site, found.goes)):
            return refused
        patched = await self._writer.patch(found.of, found.patch, subresource="status")
        self._store.put(lean.infrastructure(patched))
        return None

    async def _apply_instead(self, step: Step) -> None:
        """What does not wait until a refused change is put right; if that is refused too, the first refusal is told."""
        with suppress(Invalid, Forbidden):
            for obj in step.instead:
                self._store.put(await self._writer.apply(obj))

    async def _collect(self, snapshot: Snapshot) -> None:
        """Class revisions that no Cluster is on go. Cluster API keeps those of Clusters that we do not watch."""
        now = self._clock.now()
        for name in snapshot.unused_classes:
            if name in self._kept_classes and now < self._kept_classes[name] + KEPT_FOR:
                continue
            try:
                await self._delete(ref_of(snapshot.classes[name]))
            except (Invalid, Forbidden) as error:
                self._kept_classes[name] = now
                log.info("ClusterClass %s stays: %s", name, error)

    async def _delete(self, ref: Ref) -> None:
        """Ask for deletion, and look at once at what became of it: finalizers may hold the object."""
        await self._writer.delete(ref)
        left = await self._writer.get(ref)
        if left is not None:
            self._store.put(left)
        else:
            self._store.remove(_named(ref))

    async def _set_finalizer(self, key: Key, *, keep: bool) -> None:
        """Without its last finalizer the Cluster is gone: then the watch tells, and nothing is stored."""
        raw = self._store.get(resources.CLUSTER, *key)
        if raw is None:
            return
        others = [f for f in metadata(raw).get("finalizers") or [] if f != FINALIZER]
        try:
            patched = await self._writer.patch_finalizers(raw, [*others, *([FINALIZER] if keep else [])])
        except NotFound:
            self._store.remove(raw)  # someone was faster; its deletion is on the way to us
            return
        if keep:
            self._store.put(patched)

    async def _report(self, snapshot: Snapshot, steps: Sequence[Step], refused: str | None) -> Object:
        """Write the status if it differs; returns it."""
        key = (snapshot.cluster.metadata.namespace or "", snapshot.cluster.metadata.name)
        raw = self._store.get(resources.CLUSTER, *key)
        found = status(snapshot, steps, self._clock.now(), refused)
        if raw is None or same_status(found["status"], before := raw.get("status") or {}):
            return found
        self._store.put(await self._writer.apply_status(found))
        if found["status"]["phase"] != before.get("phase"):
            await self._announce(raw, found["status"])
        return found

    async def _tell(self, snapshot: Snapshot, steps: Sequence[Step], error: KubeError) -> None:
        """Say in the status why a write failed, a webhook that does not answer for example, if that can be written."""
        with suppress(KubeError):  # the API server is away: nobody could read it either
            await self._report(snapshot, steps, str(error))

    async def _announce(self, raw: Object, found: Object) -> None:
        """A transition of the phase is an Event, with the words of the Ready condition."""
        ready = next(c for c in found["conditions"] if c["type"] == "Ready")
        kind: EventType = "Warning" if found["phase"] in TROUBLE else "Normal"
        await self._events.emit(raw, found["phase"], ready["message"] or "as the spec says", event_type=kind)


def look_again(snapshot: Snapshot, steps: Sequence[Step], refused: str | None) -> float:
    """Seconds until the Cluster is looked at again without an event."""
    asked = [g.look_again for s in steps for g in s.gates if g.look_again]
    unanswered = bool(failed_servers(snapshot.live) - snapshot.faults.keys()) or (
        snapshot.surplus is None and twice(snapshot.live.infrastructure) is not None
    )
    asked += [UNANSWERED_SECONDS] if unanswered else []
    return min([*asked, *([REFUSED_SECONDS] if refused else []), RESYNC_SECONDS])


def same_status(ours: Object, live: Object) -> bool:
    """Whether two statuses say the same; the order of named items does not count, nor does what others say there."""
    return bool(_unordered(ours) == _unordered(without_others(live)))


def _unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _unordered(v) for k, v in value.items()}
    if isinstance(value, list) and value and all(isinstance(i, dict) for i in value):
        return {str(i.get("name") or i.get("type") or i.get("id")): _unordered(i) for i in value}
    return value


def _named(ref: Ref) -> Object:
    """As much of an object as names it."""
    meta = {"name": ref.name, **({"namespace": ref.namespace} if ref.namespace else {})}
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": meta}


def _is_over(snapshot: Snapshot) -> bool:
    """Whether the Cluster has let go of everything: what is left of it is its deletion's event."""
    return snapshot.deleting and FINALIZER not in snapshot.cluster.metadata.finalizers


def _where(key: Key, step: Step) -> dict[str, dict[str, str]]:
    """Fields of a log line."""
    return {"fields": {"namespace": key[0], "cluster": key[1], "step": step.id}}
