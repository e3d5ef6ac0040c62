"""Keeps Clusters current: decides about one after the other, and says it in `Cluster.status.update`.

It writes nothing else: whoever brings Clusters to Cluster API follows the target that is said there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from kaas.api.addon import Addon
from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.constants import UPDATES_MANAGER
from kaas.api.parsed import Parsed
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.update_status import UpdateSummary
from kaas.api.versions import KubernetesVersion
from kaas.kube import resources
from kaas.kube.objects import Object, is_deleting
from kaas.kube.ports import Announcer, Source, Times
from kaas.kube.times import whole
from kaas.updates import layers, siteless, told
from kaas.updates.conduct import Conductor
from kaas.updates.facts import NOBODY, Decision, Ruling
from kaas.updates.line import Line
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.planner import notice_of
from kaas.updates.run import Examiner
from kaas.updates.standing import running_of
from kaas.updates.subject import AddOns, Subject
from kaas.updates.unread import SITE_MISSING, SITE_UNREADABLE, UnreadRelease, unread_releases
from kaas.updates.unread_objects import UnreadObjects
from kaas.updates.unusable import decide

log = logging.getLogger(__name__)

Key = tuple[str, str]
LONGEST: Final = 3600.0  # seconds until a Cluster is looked at again without an event: clocks are set now and then


FindRuling = Callable[[Cluster, datetime], Ruling]
"""What Rollouts say of a Cluster."""


def _nobody(_cluster: Cluster, _now: datetime) -> Ruling:
    """There are no Rollouts."""
    return NOBODY


class Writer(Protocol):
    """What is written."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""


@dataclass(frozen=True, slots=True)
class Office:
    """The management cluster, and whoever is asked. parsed: models, shared with others of the same event loop.

    ruling: what Rollouts say.
    """

    store: Source
    writer: Writer
    clock: Times
    events: Announcer
    metrics: UpdateMetrics
    parsed: Parsed = field(default_factory=Parsed)
    examiner: Examiner = field(kw_only=True)
    ruling: FindRuling = field(default=_nobody, kw_only=True)


class UpdateReconciler:
    """Decides, and tells. What it said last counts more than what the watch has shown, which comes later."""

    def __init__(self, office: Office) -> None:
        self._store, self._writer, self._clock = office.store, office.writer, office.clock
        self._events, self._metrics, self._parsed = office.events, office.metrics, office.parsed
        self._unread = UnreadObjects(office.metrics.unreadable, office.events)
        self._ruling, self._conductor = office.ruling, Conductor(office.store, office.examiner)
        self._line = Line(office.store, office.metrics)
        self._said: dict[Key, tuple[str, Object]] = {}
        self._known_addons: AddOns | None = None

    async def reconcile(self, key: Key) -> float | None:
        """Decide about one Cluster; returns the seconds after which to do it again."""
        raw = self._store.get(resources.CLUSTER, *key)
        if raw is None or is_deleting(raw):
            self._said.pop(key, None)
            self._metrics.forget(key)
            self._conductor.forget(key)
            self._line.forget(key)
            return None
        cluster = self._parsed(Cluster.model_validate, raw)
        site, reason, words = await self._site(cluster.spec.site)
        if site is None:
            return await self._without_site(key, raw, cluster, (reason, words))
        return await self._decide(key, raw, cluster, site)

    async def _site(self, name: str) -> tuple[Site | None, str, str]:
        """The Site; or None, with reason and words."""
        raw = self._store.get(resources.SITE, None, name)
        found, unread = self._parsed.all_sound(Site, [raw] if raw is not None else [])
        await self._unread.tell("Site", unread, among=(name,))
        if unread:
            return None, SITE_UNREADABLE, f"{unread[0]}: nothing is begun until it is corrected"
        words = f"there is no Site {name}: nothing is begun until there is, or spec.site names another one"
        return (found[0], "", "") if found else (None, SITE_MISSING, words)

    async def _without_site(self, key: Key, raw: Object, cluster: Cluster, why: tuple[str, str]) -> float:
        """Nobody knows when and how the Cluster may be changed: nothing is begun, and what is under way is held."""
        now, live = whole(self._clock.now()), told.ours(raw)
        before = self._last(key, cluster) or live
        status = siteless.status(before, *why, now)
        await self._say(key, cluster, status, live)
        target = status["update"].get("target") if "hold" in status["update"] else None
        self._metrics.decided(key, Decision(KubernetesVersion.known(target), None, *why, None), begun=False)
        if before["update"].get("reason") != why[0]:
            log.warning("%s: %s", *why, extra=_where(key))
            await self._events.emit(raw, "UpdateHeld", why[1], event_type="Warning")
        return LONGEST

    async def _decide(self, key: Key, raw: Object, cluster: Cluster, site: Site) -> float:
        now = whole(self._clock.now())
        live = told.ours(raw)
        before = self._last(key, cluster) or live
        namespace = self._store.get(resources.NAMESPACE, None, key[0])
        calendar, problem = layers.calendar(cluster, namespace, site)
        cluster = _remembering(cluster, before)
        ruling = self._ruling(cluster, now)
        releases, unread = await self._releases()
        subject = Subject.of(cluster, running_of(cluster), releases, site, calendar, ruling, unread)
        subject = subject.beside(await self._addons())
        planned = self._line.admit(key, subject, decide(subject, now, problem), now)
        conduct = await self._conductor.conduct(subject, planned, now)
        decision = conduct.decision
        said = notice_of(subject, decision, now)
        status = told.status(subject, decision, said, before, now, conduct)
        self._line.seen(key, subject, status["update"], now)
        await self._say(key, cluster, status, live)
        self._metrics.decided(key, decision, begun=conduct.begun)
        self._count(before["update"], status["update"])
        for event in told.transitions(decision, said, before["update"], status["update"], now):
            log.info("%s: %s", event.reason, event.message, extra=_where(key))
            await self._events.emit(raw, event.reason, event.message, event_type=event.type)
        ahead = [t for t in (decision.until, conduct.until) if t is not None]
        seconds = (min(ahead) - now).total_seconds() if ahead else LONGEST
        return min(max(seconds, 0.0), LONGEST)

    def _count(self, before: Object, after: Object) -> None:
        """Figures of updates that have ended or stopped since the last look."""
        if (state := told.ended(before, after)) is not None:
            gap = (after.get("availability") or {}).get("longestGapMilliseconds")
            self._metrics.ended(done=state == "Done", gap_milliseconds=gap)
        if "stopped" in after and "stopped" not in before:
            self._metrics.stopped(after["stopped"]["reason"])
            for entry in after.get("rolledBack") or ():
                self._metrics.rolled_back(entry["what"])

    def _last(self, key: Key, cluster: Cluster) -> Object | None:
        """What was said last of this Cluster, not of one before it with the same name."""
        uid, status = self._said.get(key, ("", None))
        return status if uid == cluster.metadata.uid else None

    async def _releases(self) -> tuple[Sequence[Release], Sequence[UnreadRelease]]:
        """Those that can be read, and those that cannot."""
        found, others = self._parsed.all_sound(Release, self._store.list(resources.RELEASE))
        await self._unread.tell("Release", others)
        return found, unread_releases(others)

    async def _addons(self) -> AddOns:
        found, others = self._parsed.all_sound(Addon, self._store.list(resources.ADDON))
        await self._unread.tell("Addon", others)
        self._known_addons = AddOns.of(found, (o.name for o in others), self._known_addons)
        return self._known_addons

    async def _say(self, key: Key, cluster: Cluster, status: Object, live: Object) -> None:
        """Write what is to be said, if it is not there yet, and remember it."""
        if not told.same(status, live):
            await self._write(key, status)
        self._said[key] = (cluster.metadata.uid or "", status)

    async def _write(self, key: Key, status: Object) -> None:
        kind, meta = resources.CLUSTER, {"namespace": key[0], "name": key[1]}
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "status": status}
        await self._writer.apply_status(obj, manager=UPDATES_MANAGER)


def _remembering(cluster: Cluster, said: Object) -> Cluster:
    """The Cluster with what was said last of its updates."""
    status = cluster.status or ClusterStatus()
    update = UpdateSummary.model_validate(said["update"]) if said["update"] else None
    return cluster.model_copy(update={"status": status.model_copy(update={"update": update})})


def _where(key: Key) -> dict[str, dict[str, str]]:
    """Fields of a log line."""
    return {"fields": {"namespace": key[0], "cluster": key[1], "step": "update"}}
