"""A year of many Clusters in which only the planner and the ledger of updates are real: counts instead of machines.

There is no management cluster, nobody watches or writes, and every check passes at once. Each Cluster is looked at when
its machines have changed, and when planner or ledger say so.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.model import Condition
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.update_status import EXPIRED, AnnouncedEnd, UpdateSummary
from kaas.api.versions import KubernetesVersion
from kaas.updates.expiry import Announced
from kaas.updates.facts import Aims, Decision
from kaas.updates.ledger.advance import Ledger, Progress, advance
from kaas.updates.ledger.seen import Part, Seen, Window
from kaas.updates.ledger.steps import begin
from kaas.updates.planner import LEAST_LEFT, next_opening, notice_of, plan
from kaas.updates.run import ANNOUNCED, CONTROL_PLANE, POOL_PREFIX, Verdict
from kaas.updates.subject import Subject
from kaas.updates.windows import Calendar

MACHINE = timedelta(minutes=6)
"""What it takes to replace one."""
_FINE = Verdict(True, "all is well")
_NOTHING = Ledger(())


@dataclass
class Bare:
    """One Cluster. new: machines that are new, by pool; "" for the control plane. due: when the next one is."""

    cluster: Cluster
    running: KubernetesVersion
    calendar: Calendar
    ready: ClusterStatus
    sizes: dict[str, int]
    new: dict[str, int] = field(default_factory=dict)
    aims: Aims | None = None
    ledger: Ledger = _NOTHING
    summary: UpdateSummary = field(default_factory=UpdateSummary)
    began: datetime | None = None
    due: datetime | None = None
    moving: str = ""


@dataclass
class BareYear:
    """Many Clusters of one Site."""

    site: Site
    releases: Sequence[Release]
    clusters: list[Bare] = field(default_factory=list)
    looks: int = 0
    updates: int = 0
    machines: int = 0
    outside: int = 0
    _queue: list[tuple[datetime, int]] = field(default_factory=list)

    def add(self, cluster: Cluster, running: KubernetesVersion, now: datetime) -> None:
        """A Cluster that runs and is well."""
        calendar = Calendar((cluster.spec.maintenance, self.site.spec.maintenance), cluster.metadata.uid or "")
        condition = Condition(type="Ready", status="True", reason="Ready", message="", last_transition_time=now)
        sizes = {"": cluster.spec.control_plane.replicas} | {p.name: p.replicas for p in cluster.spec.node_pools}
        ready = ClusterStatus(conditions=(condition,), version=str(running))
        heapq.heappush(self._queue, (now, len(self.clusters)))
        self.clusters.append(Bare(cluster, running, calendar, ready, sizes))

    def run(self, until: datetime) -> None:
        """Look whenever there is a reason to."""
        while self._queue and self._queue[0][0] < until:
            now, number = heapq.heappop(self._queue)
            again = self._look(self.clusters[number], now)
            if again is not None:
                heapq.heappush(self._queue, (max(again, now + timedelta(seconds=1)), number))

    def _look(self, bare: Bare, now: datetime) -> datetime | None:
        self.looks += 1
        self._come(bare, now)
        status = bare.ready.model_copy(update={"version": str(bare.running), "update": bare.summary})
        cluster = bare.cluster.model_copy(update={"status": status})
        subject = Subject.of(cluster, bare.running, self.releases, self.site, bare.calendar)
        decision = plan(subject, now)
        until = self._conduct(bare, decision, now)
        said = notice_of(subject, decision, now)
        told = _announced(said.announced) if said and said.announced else None
        bare.summary = bare.summary.model_copy(update={"announced": told})
        ahead = [t for t in (decision.until, until, bare.due) if t is not None and t > now]
        return min(ahead, default=None)

    def _come(self, bare: Bare, now: datetime) -> None:
        """A machine is there."""
        if bare.due is None or bare.due > now or bare.aims is None:
            return
        bare.new[bare.moving] = bare.new.get(bare.moving, 0) + 1
        bare.due = None
        if not bare.moving and bare.new[""] == bare.sizes[""]:
            bare.running = bare.aims.version

    def _conduct(self, bare: Bare, decision: Decision, now: datetime) -> datetime | None:
        if not bare.ledger.under_way:
            if decision.target is None or decision.choice is None:
                self._say(bare, decision)
                return None
            bare.aims = decision.aims or Aims(decision.target, (decision.choice.change,))
            why = EXPIRED if decision.reason == EXPIRED else ANNOUNCED
            steps = begin(bare.aims, _pools(bare), now, reason=why)
            bare.ledger, bare.began, bare.new = Ledger(steps), now, {}
            self.updates += 1
        assert bare.aims is not None
        window = _window(bare, bare.aims, decision.forced_from, now)
        progress = self._moved_on(bare, window, now)
        bare.ledger = progress.ledger
        self._begin(bare, progress, window, now)
        self._say(bare, decision)
        return now + timedelta(seconds=1) if progress.finished else _later(progress, bare, window)

    def _moved_on(self, bare: Bare, window: Window, now: datetime) -> Progress:
        assert bare.aims is not None
        seen = Seen(str(bare.aims.version), _part(bare, ""), {p: _part(bare, p) for p in _pools(bare)}, window)
        progress = advance(bare.ledger, seen, now)
        while progress.wants is not None:
            progress = advance(progress.ledger, replace(seen, verdict=(progress.wants, _FINE)), now)
        return progress

    def _begin(self, bare: Bare, progress: Progress, window: Window, now: datetime) -> None:
        """The next machine, of whatever is under way and does not wait."""
        if bare.due is not None:
            return
        running = next((s.name for s in progress.ledger.steps if s.state == "Running"), "")
        name = "" if running == CONTROL_PLANE else running.removeprefix(POOL_PREFIX)
        if not running or name not in bare.sizes or name in progress.waiting:
            return
        if bare.new.get(name, 0) < bare.sizes[name]:
            bare.due, bare.moving = now + MACHINE, name
            self.machines += 1
            self.outside += name != "" and not window.open

    def _say(self, bare: Bare, decision: Decision) -> None:
        """What the status says, as the planner reads it again."""
        aims, steps = bare.aims, bare.ledger.steps
        target = str(aims.version) if aims else None
        bare.summary = UpdateSummary.model_construct(
            target=target,
            reason=decision.reason,
            forced_from=decision.forced_from,
            began=bare.began,
            steps=steps,
            changes=tuple(c.value for c in aims.changes) if aims else (),
            stopped=bare.ledger.stopped,
        )


def _announced(told: Announced) -> AnnouncedEnd:
    return AnnouncedEnd(version=str(told.version), first=told.first, days_before=told.days)


def _pools(bare: Bare) -> Iterable[str]:
    return [name for name in bare.sizes if name]


def _part(bare: Bare, name: str) -> Part:
    size, new = bare.sizes[name], bare.new.get(name, 0)
    return Part(size, size, new, new, size)


def _window(bare: Bare, aims: Aims, forced_from: datetime | None, now: datetime) -> Window:
    opening = next_opening(bare.calendar, aims.changes[0], now)
    if (forced_from is not None and forced_from <= now) or opening is None:
        return Window(True)
    return Window(True, opening.end - LEAST_LEFT) if opening.start <= now else Window(False, opening.start)


def _later(progress: Progress, bare: Bare, window: Window) -> datetime | None:
    """When the ledger wants to look, but for machines that are late: here none is."""
    return window.changes if bare.due is not None else progress.until
