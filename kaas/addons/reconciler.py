"""Keeps add-ons in Clusters: puts them there, brings them to other versions, takes them out, and says how far it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from kaas.addons import told
from kaas.addons.absence import Absence
from kaas.addons.attending import Attendant, Task
from kaas.addons.library import Library
from kaas.addons.metrics import AddonMetrics
from kaas.addons.recalling import recalled
from kaas.addons.visit import Clock, Key, Visit, Workloads
from kaas.addons.wanted import Act, wishes
from kaas.api.addon import Addon
from kaas.api.addon_state import installed
from kaas.api.addon_status import InstalledAddOn
from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.constants import ADD_ONS_MANAGER
from kaas.api.parsed import Parsed
from kaas.kube import resources
from kaas.kube.objects import Object, is_deleting
from kaas.kube.ports import Announcer, Source
from kaas.kube.resources import Resource
from kaas.kube.times import whole

log = logging.getLogger(__name__)

SIMULATED: Final = "dev"
"""Provider whose Clusters are simulated: their API servers know no server-side apply."""
NO_KIND: Final = 60.0
"""Seconds after which it is asked again whether there are Addons at all."""


class Management(Protocol):
    """The management cluster."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""

    async def served(self, api_version: str) -> list[Resource]:
        """Kinds that it serves in a group and version."""


@dataclass(frozen=True, slots=True)
class Office:
    """The management cluster, and the way to Clusters. parsed: models, shared with others of the same event loop."""

    store: Source
    management: Management
    clock: Clock
    events: Announcer
    workloads: Workloads
    library: Library
    metrics: AddonMetrics
    parsed: Parsed = field(default_factory=Parsed)


class AddOnReconciler:
    """Looks at one Cluster after the other. What it said last counts more than what the watch has shown."""

    def __init__(self, office: Office) -> None:
        self._office, self._store, self._clock = office, office.store, office.clock
        self._attendant = Attendant(office.library)
        self._absence = Absence()
        self._said: dict[Key, tuple[str, told.Entries]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Bring the add-ons of one Cluster where they should be; returns the seconds after which to look again."""
        again = await self._reconcile(key)
        self._office.metrics.keep([addon["metadata"]["name"] for addon in self._store.list(resources.ADDON)])
        return again

    async def _reconcile(self, key: Key) -> float | None:
        raw = self._store.get(resources.CLUSTER, *key)
        if raw is None or is_deleting(raw):
            self._forget(key)
            return None
        cluster = self._office.parsed(Cluster.model_validate, raw)
        before = self._last(key, cluster)
        raw_addons = self._store.list(resources.ADDON)
        if not raw_addons and before and not await self._is_served():
            return NO_KIND
        if not raw_addons and not before:
            return None
        return await self._look(key, raw, _remembering(cluster, before), raw_addons)

    async def _look(self, key: Key, raw: Object, cluster: Cluster, raw_addons: Sequence[Object]) -> float | None:
        signs, now = _signs(cluster), whole(self._clock.now())
        away = self._absence.why(key, signs, self._clock.monotonic())
        visit = Visit(self._office.workloads, self._clock, key, away)
        with self._absence.asking(key):
            tasks = await self._tasks(visit, key, cluster, raw_addons, now)
            if any(task.is_news for task in tasks):
                await self._say(key, raw, cluster, tasks)
            others = frozenset(installed(cluster)) | {task.name for task in tasks}
            for task in sorted(tasks, key=lambda task: task.is_settled):  # what is applied again comes last
                await self._attendant.attend(visit, task, others)
            await self._attendant.check(visit, tasks)
        if visit.away and visit.asked:
            self._absence.lost(key, signs, visit.away, visit.now)
        elif visit.asked:
            self._absence.forget(key)
        await self._say(key, raw, cluster, tasks)
        await self._tell(key, raw, installed(cluster), tasks)
        self._attendant.keep(key, [task.name for task in tasks if task.entry])
        return self._next(key, visit, tasks)

    async def _tasks(
        self, visit: Visit, key: Key, cluster: Cluster, raw_addons: Sequence[Object], now: datetime
    ) -> Sequence[Task]:
        """What is to be done: about what is there, and not only about what is said of it."""
        addons, unreadable = self._office.parsed.all_sound(Addon, raw_addons)
        unread, obstacle, known = [u.name for u in unreadable], self._obstacle(cluster), installed(cluster)
        found = wishes(cluster, addons, unread, obstacle)
        first = [wish.name for wish in found if wish.act is Act.PUT and wish.has is None]
        there = await recalled(visit, [n for n in first if not self._attendant.is_under_way(key, n)], now)
        if there:
            known = {**known, **there}
            found = wishes(_remembering(cluster, known), addons, unread, obstacle)
        tasks = [self._attendant.task(key, wish, known.get(wish.name), now, visit.now) for wish in found]
        for task in tasks:
            if task.name in there:
                task.recalled(visit.now)
        return tasks

    def _next(self, key: Key, visit: Visit, tasks: Sequence[Task]) -> float | None:
        times = [t for task in tasks if (t := task.next_time) is not None]
        if not times:
            return None
        soonest = min(times)
        if visit.away:
            soonest = max(soonest, self._absence.until(key, visit.now))
        return max(soonest - visit.now, 0.0)

    async def _is_served(self) -> bool:
        """Whether there are no Addons, and not only no kind of that name, which would take all out of all Clusters."""
        kinds = await self._office.management.served(resources.ADDON.api_version)
        return any(kind.kind == resources.ADDON.kind for kind in kinds)

    def _obstacle(self, cluster: Cluster) -> str:
        site = self._store.get(resources.SITE, None, cluster.spec.site)
        if site is None or site["spec"].get("provider") != SIMULATED:
            return ""
        return f"Clusters of Site {cluster.spec.site} are simulated (provider {SIMULATED}): they take no add-ons"

    def _last(self, key: Key, cluster: Cluster) -> told.Entries:
        """What was said last of this Cluster, not of one before it with the same name; what is read before that."""
        uid, entries = self._said.get(key, ("", {}))
        return entries if uid and uid == cluster.metadata.uid else installed(cluster)

    async def _say(self, key: Key, raw: Object, cluster: Cluster, tasks: Sequence[Task]) -> None:
        """Write what is to be said, if it is not there yet, and remember it."""
        entries = {task.name: task.entry for task in tasks if task.entry}
        status = told.status(entries.values())
        if not told.same(status, raw.get("status") or {}):
            kind, meta = resources.CLUSTER, {"namespace": key[0], "name": key[1]}
            obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "status": status}
            await self._office.management.apply_status(obj, manager=ADD_ONS_MANAGER)
        self._said[key] = (cluster.metadata.uid or "", entries)

    async def _tell(self, key: Key, raw: Object, before: told.Entries, tasks: Sequence[Task]) -> None:
        """Events and figures of what has changed."""
        after, gone = self._said[key][1], {task.name: task.gone for task in tasks if task.gone}
        for event in told.transitions(before, after, gone, [task.name for task in tasks if task.is_recalled]):
            log.info("%s: %s", event.reason, event.message, extra=_where(key))
            await self._office.events.emit(raw, event.reason, event.message, event_type=event.type)
        for name in told.failed(before, after):
            self._office.metrics.failed(name)
        self._office.metrics.told(key, after.values())

    def _forget(self, key: Key) -> None:
        self._said.pop(key, None)
        self._absence.forget(key)
        self._attendant.keep(key, ())
        self._office.metrics.told(key, ())


def _signs(cluster: Cluster) -> object:
    """What tells that a Cluster which did not answer may do so now."""
    status = cluster.status or ClusterStatus()
    ready = status.control_plane.ready if status.control_plane else 0
    return status.version, ready, status.kubeconfig_secret


def _remembering(cluster: Cluster, said: Mapping[str, InstalledAddOn]) -> Cluster:
    """The Cluster with what was said last of its add-ons."""
    status = cluster.status or ClusterStatus()
    return cluster.model_copy(update={"status": status.model_copy(update={"add_ons": tuple(said.values())})})


def _where(key: Key) -> dict[str, dict[str, str]]:
    """Fields of a log line."""
    return {"fields": {"namespace": key[0], "cluster": key[1], "step": "add-ons"}}
