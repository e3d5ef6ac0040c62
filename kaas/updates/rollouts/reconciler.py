"""Takes Rollouts through the fleet: decides about one after the other, and says it in `Rollout.status`.

It writes nothing else. Clusters follow what is said there (see `turns`), each in its own maintenance windows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from pydantic import ValidationError

from kaas.api.cluster import Cluster
from kaas.api.constants import ROLLOUT_MANAGER
from kaas.api.parsed import Parsed, Unreadable
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import RolloutStatus
from kaas.api.site import Site
from kaas.kube import resources
from kaas.kube.objects import Object, is_deleting
from kaas.kube.ports import Announcer, EventType, Source, Times
from kaas.kube.times import whole
from kaas.updates.rollouts.known_images import KnownImages
from kaas.updates.rollouts.member import Key, Member
from kaas.updates.rollouts.metering import Meter
from kaas.updates.rollouts.metrics import RolloutMetrics
from kaas.updates.rollouts.newest import doubt_of, newest, next_date, unfit_by_hand
from kaas.updates.rollouts.planner import Round, decide
from kaas.updates.rollouts.scene import Known
from kaas.updates.rollouts.turns import Turns, age, unread_rollouts
from kaas.updates.unread import UnreadRelease, unread_releases
from kaas.updates.unread_objects import UnreadObjects

log = logging.getLogger(__name__)

LONGEST: Final = 3600.0  # seconds until a Rollout is looked at again without an event: clocks are set now and then
QUIET: Final = 2.0  # seconds between two rounds: many Clusters may change at once
MOST_GATES: Final = 32
"""Rounds in which gates may ask one after the other; more than a Rollout has that open at once."""


class Writer(Protocol):
    """What is written."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""


@dataclass(frozen=True, slots=True)
class Office:
    """The management cluster. parsed: models, shared with others of the same event loop."""

    store: Source
    writer: Writer
    clock: Times
    events: Announcer
    meter: Meter
    metrics: RolloutMetrics
    parsed: Parsed = field(default_factory=Parsed)


class RolloutReconciler:
    """Decides, and tells. What it said last counts more than what the watch has shown, which comes later."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._said: dict[str, tuple[str, RolloutStatus]] = {}
        self._looked: dict[str, datetime] = {}
        self._unread = UnreadObjects(office.metrics.unreadable, office.events)
        self._members: dict[str, tuple[Cluster, Member]] = {}

    async def reconcile(self, name: str) -> float | None:
        """Decide about one Rollout; returns the seconds after which to do it again."""
        store, now = self._office.store, whole(self._office.clock.now())
        raw = store.get(resources.ROLLOUT, None, name)
        if raw is None or is_deleting(raw):
            self._said.pop(name, None)
            self._looked.pop(name, None)
            self._office.metrics.forget(name)
            self._office.parsed.forget("Rollout", None, name)
            await self._unread.tell("Rollout", [], among=(name,))
            return None
        since = (now - self._looked[name]).total_seconds() if name in self._looked else QUIET
        if 0 <= since < QUIET:
            return QUIET - since
        self._looked[name] = now
        return await self._decide(name, raw, now)

    async def _decide(self, name: str, raw: Object, now: datetime) -> float:
        live = self._rollout(raw)
        await self._unread.tell("Rollout", [live] if isinstance(live, Unreadable) else [], among=(name,))
        if isinstance(live, Unreadable):
            return LONGEST
        rollout = self._remembering(live)
        before = rollout.status or RolloutStatus()
        releases, unread = self._office.parsed.all_sound(Release, self._office.store.list(resources.RELEASE))
        found = await self._round(rollout, releases, unread_releases(unread), now)
        if found.status != (live.status or RolloutStatus()):
            await self._write(name, found.status)
        self._said[name] = (live.metadata.uid or "", found.status)
        self._office.metrics.decided(name, before, found.status)
        for event in found.events:
            log.info("%s: %s", event.reason, event.message, extra={"fields": {"rollout": name, "step": "rollout"}})
            kind: EventType = "Warning" if event.warning else "Normal"
            await self._office.events.emit(raw, event.reason, event.message, event_type=kind)
        ahead = [t for t in (found.until, next_date(releases, now)) if t is not None]
        seconds = (min(ahead) - now).total_seconds() if ahead else LONGEST
        return min(max(seconds, QUIET), LONGEST)

    def _rollout(self, raw: Object) -> Rollout | Unreadable:
        found, others = self._office.parsed.all_sound(Rollout, [raw])
        return found[0] if found else others[0]

    async def _round(
        self, rollout: Rollout, releases: Sequence[Release], unread: Sequence[UnreadRelease], now: datetime
    ) -> Round:
        """Decide, and again with what gates have asked; in a thread, so that others go on meanwhile."""
        members, spec = self._fleet(), rollout.spec
        sites, others = self._office.parsed.all_sound(Site, self._office.store.list(resources.SITE))
        version, images = newest(spec, releases, now), KnownImages(releases, sites)
        unfit = unfit_by_hand(spec, releases, images, now) or doubt_of(spec, version, unread, others)
        taken = self._taken(rollout, members, now)
        for _ in range(MOST_GATES):
            measured = self._office.meter.fresh(now)
            known = Known(version, unfit, measured, taken, images)
            found = await asyncio.to_thread(decide, rollout, members, now, known)
            unknown = [ask for ask in found.asks if ask not in measured]
            if not unknown:
                break
            await self._office.meter.ask(unknown, now)
        return found

    def _fleet(self) -> list[Member]:
        """All Clusters, each made out anew when it has changed."""
        parsed, known, found = self._office.parsed, self._members, {}
        for raw in self._office.store.list(resources.CLUSTER):
            uid = raw["metadata"].get("uid") or ""
            same = known.get(uid)
            try:
                cluster = parsed(Cluster.model_validate, raw)
            except ValidationError:  # its own reconcile tells of it; here it stays as it was seen last
                if same is not None:
                    found[uid] = same
                continue
            found[uid] = same if same is not None and same[0] is cluster else (cluster, Member.of(cluster))
        self._members = found
        return [member for _, member in found.values()]

    def _taken(self, rollout: Rollout, members: Iterable[Member], now: datetime) -> Mapping[Key, Mapping[Kind, str]]:
        """What of Clusters an older Rollout decides about."""
        rollouts, others = self._office.parsed.all_sound(Rollout, self._office.store.list(resources.ROLLOUT))
        mine = age(rollout.metadata)
        older = [self._remembering(r) for r in rollouts if age(r.metadata) < mine]
        unread = [u for u in unread_rollouts(others) if age(u.metadata) < mine]
        if not older and not unread:
            return {}
        turns = Turns(older, unread)
        return {m.key: owners for m in members if (owners := turns.owners(m, now))}

    def _remembering(self, rollout: Rollout) -> Rollout:
        """The Rollout with what was said last."""
        uid, status = self._said.get(rollout.metadata.name, ("", None))
        same = status is not None and uid == (rollout.metadata.uid or "")
        return rollout.model_copy(update={"status": status}) if same else rollout

    async def _write(self, name: str, status: RolloutStatus) -> None:
        kind = resources.ROLLOUT
        obj = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name},
            "status": status.to_json(),
        }
        await self._office.writer.apply_status(obj, manager=ROLLOUT_MANAGER)
