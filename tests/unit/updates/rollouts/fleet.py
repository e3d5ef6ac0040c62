"""A fleet in virtual time around the real planner of Rollouts: Clusters that obey turns and windows, and may fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kaas.api.constants import API_VERSION
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.rollout_acts import Act, with_act
from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import RolloutMember, RolloutStatus, StageStatus, State
from kaas.api.site import Site
from kaas.api.update_status import Maintenance, Stopped
from kaas.api.updates import Updates
from kaas.api.versions import KubernetesVersion
from kaas.updates.facts import Turn
from kaas.updates.planner import LEAST_LEFT
from kaas.updates.rollouts.known_images import KnownImages
from kaas.updates.rollouts.member import NO_TARGET, Key, Member, Target
from kaas.updates.rollouts.newest import newest, unfit_by_hand
from kaas.updates.rollouts.planner import Round, decide
from kaas.updates.rollouts.progress import is_busy
from kaas.updates.rollouts.scene import Answer, Ask, Known
from kaas.updates.rollouts.turns import Turns
from kaas.updates.standing import Obstacle

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OLD, NEW = KubernetesVersion(36, 1), KubernetesVersion(36, 3)
Object = dict[str, Any]


@dataclass
class FakeCluster:
    """A Cluster. opens, open_for: hours of every day at which its window opens, and how long it is open.

    takes: how long its update takes. fails: it stops in the middle instead. asleep: it never begins, for a reason that
    a Rollout cannot see beforehand. begun: when its update began.
    """

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = "team"
    uid: str = ""
    site: str = "north"
    zones: tuple[str, ...] = ()
    asked: str = "1.36"
    updates: Updates = field(default_factory=Updates)
    running: KubernetesVersion | None = OLD
    opens: int = 0
    open_for: float = 24
    takes: timedelta = timedelta(hours=1)
    fails: bool = False
    asleep: bool = False
    ready: bool | None = True
    moves: bool = False
    obstacle: Obstacle | None = None
    target: KubernetesVersion | None = None
    coming: Target = NO_TARGET
    begun: datetime | None = None
    image: str | None = f"ubuntu-{OLD}"
    class_revision: str = "kaas-dev-1"
    newest_revision: str = "kaas-dev-1"
    newest_since: datetime = NOW - 100 * DAY
    stopped: Stopped | None = None
    waits: str = ""
    window: Maintenance | None = None

    def __post_init__(self) -> None:
        self.uid = self.uid or f"uid-{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def done(self) -> object:
        """What changes when it does something."""
        return self.running, self.image, self.class_revision, self.begun, self.stopped

    def window_at(self, now: datetime) -> Maintenance:
        """The window that is open with enough left, else the next."""
        start = now.replace(hour=0, minute=0) - DAY + timedelta(hours=self.opens)
        while start + timedelta(hours=self.open_for) - LEAST_LEFT <= now:
            start += DAY
        return Maintenance(start=start, end=start + timedelta(hours=self.open_for))

    def is_open(self, now: datetime) -> bool:
        return self.window_at(now).start <= now

    @property
    def is_under_way(self) -> bool:
        wanted = self.coming
        made_of = wanted.image in (None, self.image) and wanted.class_revision in (None, self.class_revision)
        return not (made_of and wanted.version in (None, self.running))

    def member(self, now: datetime) -> Member:
        return Member(
            key=self.key,
            uid=self.uid,
            labels=self.labels,
            site=self.site,
            zones=self.zones,
            asked=self.asked,
            updates=self.updates,
            running=self.running,
            oldest=self.running,
            as_asked=not self.is_under_way,
            ready=self.ready,
            moves=self.moves,
            unready="" if self.ready else "a node is away",
            target=self.target,
            began=self.begun,
            stopped=self.stopped,
            window=self.window or self.window_at(now),
            obstacle=self.obstacle,
            waits=self.waits,
            image=self.image,
            class_revision=self.class_revision,
            newest_revision=self.newest_revision,
            newest_since=self.newest_since,
            coming=self.coming if self.is_under_way else NO_TARGET,
        )

    def live(self, turn: Turn | None, now: datetime) -> str:
        """What it does at a moment; returns what is worth telling."""
        if self.is_under_way and self.begun is not None and self.stopped is None:
            return self._go_on(now)
        if turn is None or not turn.allowed or self.running is None:
            return ""
        if self.obstacle is not None or self.asleep or self.stopped is not None or not self.is_open(now):
            return ""
        brings = self.lacks(turn)
        if not brings:
            return ""
        self.target, self.begun, self.coming = brings.version or self.running, now, brings
        return f"begins {brings.words}"

    def lacks(self, turn: Turn) -> Target:
        """What of that which a Rollout brings it does not have; all of it is one replacement of its machines."""
        version = turn.version if turn.version and self.running and turn.version > self.running else None
        image = turn.image if turn.image != self.image else None
        is_newest = turn.class_revision == self.newest_revision != self.class_revision
        return Target(version, image, turn.class_revision if is_newest else None)

    def _go_on(self, now: datetime) -> str:
        assert self.begun is not None
        if now < self.begun + self.takes:
            return ""
        if self.fails:
            words = "pool gpu: a machine never joined"
            self.stopped = Stopped(since=now, step="Pool/gpu", reason="NoProgress", message=words)
            return f"stops: {words}"
        done, self.coming = self.coming, NO_TARGET
        self.running = done.version or self.running
        self.image = done.image or (f"ubuntu-{done.version}" if done.version else self.image)
        self.class_revision = done.class_revision or self.class_revision
        return f"runs {done.words}" if done.version else f"has {done.words}"


def stage(name: str, **more: Any) -> Object:
    """A stage that selects Clusters by the label `stage`."""
    return {"name": name, "selector": {"matchLabels": {"stage": name}}, **more}


def rollout(*stages: Object, name: str = "fleet", created: str = "2027-01-01T00:00:00Z", **spec: Any) -> Rollout:
    named = {} if spec.keys() & {"channel", "image", "classRevision"} else {"version": str(NEW)}
    said = {"stages": list(stages), **named, **spec}
    meta = {"name": name, "uid": f"uid-{name}", "generation": 1, "creationTimestamp": created}
    return Rollout.model_validate({"apiVersion": API_VERSION, "kind": "Rollout", "metadata": meta, "spec": said})


def clusters(stage_name: str, number: int, **more: Any) -> list[FakeCluster]:
    return [FakeCluster(f"{stage_name}-{n}", {"stage": stage_name}, **more) for n in range(number)]


@dataclass
class Fleet:
    """Clusters and a Rollout. answers: what metrics say. releases, sites: what there is of images."""

    rollout: Rollout
    clusters: list[FakeCluster]
    now: datetime = NOW
    newest: KubernetesVersion | None = None
    unfit: str = ""
    answers: dict[Ask, Answer] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    taken: dict[Key, dict[Kind, str]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    last: Round | None = None

    # --- looking ---------------------------------------------------------------------------------------------------

    @property
    def status(self) -> RolloutStatus:
        return self.rollout.status or RolloutStatus()

    def stage(self, name: str) -> StageStatus:
        return next(s for s in self.status.stages if s.name == name)

    @property
    def members(self) -> list[RolloutMember]:
        return [r for s in self.status.stages for r in s.members]

    def member(self, name: str) -> RolloutMember:
        return next(r for r in self.members if r.name == name)

    def states(self) -> dict[str, str]:
        return {r.name: str(r.state) for r in self.members}

    def cluster(self, name: str) -> FakeCluster:
        return next(c for c in self.clusters if c.name == name)

    def busy(self) -> list[RolloutMember]:
        return [r for r in self.members if is_busy(r)]

    def turn(self, name: str) -> Turn | None:
        return Turns([self.rollout]).of_member(self.cluster(name).member(self.now), self.now).first

    # --- doing -----------------------------------------------------------------------------------------------------

    def look(self) -> Round:
        """One round of the Rollout, with its status written."""
        found = decide(self.rollout, [c.member(self.now) for c in self.clusters], self.now, self.known())
        self._tell(f"{e.reason}: {e.message}" for e in found.events)
        self.events += [e.reason for e in found.events]
        self.rollout = self.rollout.model_copy(update={"status": found.status})
        self.last = found
        return found

    def known(self) -> Known:
        """What there is beside Rollout and Clusters; what is the newest and unfit is found out, unless it is set."""
        images, spec = KnownImages(self.releases, self.sites), self.rollout.spec
        unfit = unfit_by_hand(spec, self.releases, images, self.now) if self.releases else self.unfit
        return Known(self.newest or newest(spec, self.releases, self.now), unfit, self.answers, self.taken, images)

    def live(self, some: Iterable[FakeCluster] | None = None) -> None:
        """Clusters do what they may."""
        turns = Turns([self.rollout])
        for cluster in self.clusters if some is None else some:
            said = cluster.live(turns.of_member(cluster.member(self.now), self.now).first, self.now)
            if said:
                self._tell([f"  {cluster.name} {said}"])

    def go(self, step: timedelta = timedelta(minutes=30), *, times: int = 1) -> None:
        """Time passes, step by step; after each the Rollout and the Clusters do what they do until nothing changes."""
        for _ in range(times):
            self.now += step
            self.settle()

    def settle(self) -> None:
        """All do what they do now until nothing changes."""
        for _ in range(100):
            before = self.status, [c.done for c in self.clusters]
            self.look()
            self.live()
            if before == (self.status, [c.done for c in self.clusters]):
                return
        raise AssertionError("it never comes to rest")

    def until_state(self, state: State, step: timedelta = timedelta(minutes=30), most: int = 2000) -> None:
        for _ in range(most):
            if self.status.state is state:
                return
            self.go(step)
        raise AssertionError(f"{self.status.state} {self.status.reason}: {self.status.message}")

    # --- what people do ---------------------------------------------------------------------------------------------

    def say(self, annotation: str, key: str, by: str = "anna", reason: str = "") -> None:
        """An act in an annotation that holds several."""
        known = dict(self.rollout.metadata.annotations)
        known[annotation] = with_act(known.get(annotation), key, Act(at=self.now, by=by, reason=reason))
        self.annotate(known)

    def annotate(self, annotations: dict[str, str]) -> None:
        meta = self.rollout.metadata.model_copy(update={"annotations": annotations})
        self.rollout = self.rollout.model_copy(update={"metadata": meta})

    def change(self, **spec: Any) -> None:
        """A person changes the spec."""
        meta = self.rollout.metadata
        raw = {**self.rollout.spec.to_json(), **spec}
        wanted = type(self.rollout.spec).model_validate(raw)
        newer = meta.model_copy(update={"generation": (meta.generation or 0) + 1})
        self.rollout = self.rollout.model_copy(update={"spec": wanted, "metadata": newer})

    def _tell(self, lines: Iterable[str]) -> None:
        self.log += [f"{self.now:%a %d %H:%M}  {line}" for line in lines]


def names(records: Sequence[RolloutMember]) -> list[str]:
    return [r.name for r in records]


def spread(records: Iterable[RolloutMember]) -> Iterator[tuple[str, str]]:
    """Site and zone of each zone that members are in."""
    for record in records:
        for zone in record.zones:
            yield record.site, zone


def two_stages(**more: Any) -> Fleet:
    spec = rollout(stage("canary", **more), stage("prod", maxConcurrency=2))
    return Fleet(spec, [*clusters("canary", 1), *clusters("prod", 3)])


def failing(max_failures: int | str = 0, number: int = 3) -> Fleet:
    fleet = Fleet(rollout(stage("prod", maxFailures=max_failures), stage("last")), clusters("prod", number))
    fleet.clusters += clusters("last", 1)
    fleet.cluster("prod-0").fails = True
    return fleet
