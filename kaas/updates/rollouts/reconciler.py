"""Takes Rollouts through the fleet: decides about one after the other, and says it in `Rollout.status`.

It writes nothing else. Clusters follow what is said there (see `turns`), each in its own maintenance windows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from kaas.api.cluster import Cluster
from kaas.api.constants import ROLLOUT_MANAGER
from kaas.api.parsed import Parsed
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.rollout_status import RolloutStatus
from kaas.kube import resources
from kaas.kube.objects import Object, is_deleting
from kaas.kube.ports import Announcer, EventType, Source, Times
from kaas.kube.times import whole
from kaas.updates.rollouts.member import Member
from kaas.updates.rollouts.metering import Meter
from kaas.updates.rollouts.metrics import RolloutMetrics
from kaas.updates.rollouts.newest import newest, next_date, unfit_release
from kaas.updates.rollouts.planner import Round, decide
from kaas.updates.rollouts.scene import Known
from kaas.updates.rollouts.turns import Turns, by_age

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
            return None
        since = (now - self._looked[name]).total_seconds() if name in self._looked else QUIET
        if 0 <= since < QUIET:
            return QUIET - since
        self._looked[name] = now
        return await self._decide(name, raw, now)

    async def _decide(self, name: str, raw: Object, now: datetime) -> float:
        live = self._office.parsed(Rollout.model_validate, raw)
        rollout = self._remembering(live)
        before, releases = rollout.status or RolloutStatus(), self._releases()
        found = await self._round(rollout, releases, now)
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

    async def _round(self, rollout: Rollout, releases: Sequence[Release], now: datetime) -> Round:
        """Decide, and again with what gates have asked; in a thread, so that others go on meanwhile."""
        members, spec = self._fleet(), rollout.spec
        version, unfit = newest(spec, releases, now), unfit_release(spec, releases, now)
        taken = self._taken(rollout, members, now)
        for _ in range(MOST_GATES):
            measured = self._office.meter.fresh(now)
            known = Known(version, unfit, measured, taken)
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
            cluster = parsed(Cluster.model_validate, raw)
            uid = cluster.metadata.uid or ""
            same = known.get(uid)
            found[uid] = same if same is not None and same[0] is cluster else (cluster, Member.of(cluster))
        self._members = found
        return [member for _, member in found.values()]

    def _taken(self, rollout: Rollout, members: Iterable[Member], now: datetime) -> dict[tuple[str, str], str]:
        """Clusters that an older Rollout decides about."""
        every = by_age(
            map(partial(self._office.parsed, Rollout.model_validate), self._office.store.list(resources.ROLLOUT))
        )
        older = every[: [r.metadata.name for r in every].index(rollout.metadata.name)]
        if not older:
            return {}
        turns = Turns(map(self._remembering, older))
        return {m.key: name for m in members if (name := turns.owner(m, now)) is not None}

    def _remembering(self, rollout: Rollout) -> Rollout:
        """The Rollout with what was said last."""
        uid, status = self._said.get(rollout.metadata.name, ("", None))
        same = status is not None and uid == (rollout.metadata.uid or "")
        return rollout.model_copy(update={"status": status}) if same else rollout

    def _releases(self) -> list[Release]:
        return [self._office.parsed(Release.model_validate, r) for r in self._office.store.list(resources.RELEASE)]

    async def _write(self, name: str, status: RolloutStatus) -> None:
        kind = resources.ROLLOUT
        obj = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name},
            "status": status.to_json(),
        }
        await self._office.writer.apply_status(obj, manager=ROLLOUT_MANAGER)
