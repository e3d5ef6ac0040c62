"""A year of one Cluster in virtual time: random Releases, windows, exclusions, wishes and faults; the real planner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.model import Condition
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.update_status import EXPIRED, UpdateSummary
from kaas.api.versions import KubernetesVersion
from kaas.kube.objects import Object
from kaas.kube.times import stamp
from kaas.updates import told
from kaas.updates.catalogue import catalogue
from kaas.updates.conduct import Conduct
from kaas.updates.facts import Aims, Decision, Event
from kaas.updates.forecast import forecast
from kaas.updates.ledger.advance import Ledger
from kaas.updates.ledger.steps import begin
from kaas.updates.planner import notice_of, plan
from kaas.updates.standing import standing_of
from kaas.updates.subject import Subject
from kaas.updates.windows import Calendar
from tests.unit.updates.chance import maintenance
from tests.unit.updates.subjects import NOW, raw_cluster, raw_release, site

YEAR = timedelta(days=365)
RULES = (
    "FREQ=WEEKLY;BYDAY=TU",
    "FREQ=WEEKLY;BYDAY=SA,SU",
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=DAILY",
    "FREQ=MONTHLY;BYMONTHDAY=31",
)
MINORS = (34, 35, 36, 37)
MOST_LOOKS = 20_000


@dataclass(frozen=True)
class Begun:
    """An update that was begun."""

    at: datetime
    change: str
    running: KubernetesVersion
    target: KubernetesVersion
    reason: str
    forced: bool
    warned: tuple[int, ...]
    first_warning: datetime | None


@dataclass
class Year:
    """One Cluster. faults: whether it is now and then not Ready; then no forecast can be right."""

    random: Random
    faults: bool = False
    begun: list[Begun] = field(default_factory=list)
    looks: list[tuple[datetime, Decision]] = field(default_factory=list)
    forecasts: list[tuple[datetime, tuple[Event, ...]]] = field(default_factory=list)
    warnings: list[tuple[datetime, KubernetesVersion, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.releases = _releases(self.random)
        self.site = _site(self.random)
        self.cluster, self.running = _cluster(self.random, self.releases)
        self.calendar = Calendar(
            (self.cluster.spec.maintenance, self.site.spec.maintenance), str(self.cluster.metadata.uid)
        )
        self.said: Object = {"update": {}, "conditions": []}
        self.ends: datetime | None = None  # of the update that is under way
        self.ledger = Ledger(())
        self.ill_until: datetime | None = None

    def run(self) -> None:
        """Look whenever something changes, until the year is over."""
        time, forecast_at = NOW, NOW
        for _ in range(MOST_LOOKS):
            if time >= NOW + YEAR:
                return
            self._live(time)
            if not self.faults and self.ends is None and time >= forecast_at:
                self._foretell(time)
                forecast_at = time + timedelta(days=self.random.randint(20, 90))
            time = self._look(time)
        raise AssertionError(f"{MOST_LOOKS} looks in a year")

    def _live(self, time: datetime) -> None:
        """The world goes on."""
        if self.ends is not None and time >= self.ends:
            self.ends, self.running = None, KubernetesVersion.parse(self.said["update"]["target"])
            self.ledger = Ledger(tuple(s.model_copy(update={"state": "Done"}) for s in self.ledger.steps))
            self.said["update"]["steps"] = [s.to_json() for s in self.ledger.steps]
        if self.ill_until is not None and time >= self.ill_until:
            self.ill_until = None
        if self.faults and self.ill_until is None and self.random.random() < 0.1:
            self.ill_until = time + timedelta(hours=self.random.randint(1, 200))

    def _model(self, time: datetime) -> Cluster:
        well = self.ends is None and self.ill_until is None
        ready = Condition(
            type="Ready", status="True" if well else "False", last_transition_time=time, reason="Because", message=""
        )
        update = UpdateSummary.model_validate(self.said["update"])
        status = ClusterStatus(conditions=(ready,), version=str(self.running), update=update)
        return self.cluster.model_copy(update={"status": status})

    def _foretell(self, time: datetime) -> None:
        model = self._model(time)
        found = forecast(Subject.of(model, self.running, self.releases, self.site, self.calendar), time)
        self.forecasts.append((time, found))

    def _look(self, time: datetime) -> datetime:
        model = self._model(time)
        decision = plan(Subject.of(model, self.running, self.releases, self.site, self.calendar), time)
        subject = Subject(model, self.running, catalogue(self.releases), self.site, self.calendar, standing_of(model))
        notice = notice_of(subject, decision, time)
        if notice and notice.is_new and notice.announced:
            self.warnings.append((time, notice.announced.version, notice.announced.days))
        aims = _aims(decision) if told.is_begun(decision) else None
        if aims is not None:
            self._begin(decision, aims, time)
        conduct = Conduct(decision, self.ledger, aims, begun=aims is not None)
        self.said = told.status(subject, decision, notice, self.said, time, conduct)
        self.looks.append((time, decision))
        ahead = [t for t in (decision.until, self.ends, self.ill_until) if t is not None and t > time]
        return min([*ahead, time + timedelta(days=30)])

    def _begin(self, decision: Decision, aims: Aims, time: datetime) -> None:
        assert decision.choice is not None
        assert decision.target is not None
        warned = [(t, days) for t, version, days in self.warnings if version == self.running]
        self.begun.append(
            Begun(
                time,
                decision.choice.change,
                self.running,
                decision.target,
                decision.reason,
                decision.choice.forced,
                tuple(days for _, days in warned),
                warned[0][0] if warned else None,
            )
        )
        self.ends = time + timedelta(minutes=self.random.randint(30, 360))
        self.ledger = Ledger(begin(aims, ["cpu"], time, reason=EXPIRED if decision.reason == EXPIRED else "Announced"))


def _aims(decision: Decision) -> Aims:
    assert decision.choice is not None
    return decision.aims or decision.choice.aims or Aims(decision.choice.version, (decision.choice.change,))


def _releases(random: Random) -> list[Release]:
    found = []
    for minor in MINORS:
        date = NOW + timedelta(days=random.randint(-400, 150))
        for patch in range(random.randint(1, 6)):
            rapid = date
            regular = rapid + timedelta(days=random.randint(0, 30))
            stable = regular + timedelta(days=random.randint(0, 60))
            raw = raw_release(f"v1.{minor}.{patch}", None)
            raw["spec"]["channels"] = {"rapid": stamp(rapid), "regular": stamp(regular), "stable": stamp(stable)}
            ends = stable + timedelta(days=random.randint(30, 300))
            if random.random() < 0.4:
                raw["spec"]["expires"] = stamp(ends)
            if random.random() < 0.4:
                raw["spec"]["deprecated"] = stamp(stable + (ends - stable) / 2)
            if random.random() < 0.1:
                del raw["spec"]["channels"]
            found.append(Release.model_validate(raw))
            date += timedelta(days=random.randint(15, 60))
    return found


def _site(random: Random) -> Site:
    more: dict[str, Any] = {"updates": {"maxVersion": f"1.{random.choice(MINORS)}"}} if random.random() < 0.3 else {}
    if random.random() < 0.3:
        more["maintenance"] = maintenance(random, RULES, most=4, days=365, longest=90)
    return site(**more)


def _cluster(random: Random, releases: list[Release]) -> tuple[Cluster, KubernetesVersion]:
    versions = sorted(KubernetesVersion.parse(r.spec.version) for r in releases)
    running = random.choice(versions)
    pinned = random.random() < 0.3
    kubernetes = random.choice(("Patch", "None") if pinned else ("Patch", "Minor", "Minor", "None"))
    updates = {"channel": random.choice(("Rapid", "Regular", "Stable", "None")), "kubernetes": kubernetes}
    raw = raw_cluster(
        str(running) if pinned else f"1.{running.minor}",
        updates=updates,
        maintenance=maintenance(random, RULES, most=4, days=365, longest=90),
    )
    raw["metadata"]["uid"] = f"{random.getrandbits(64):016x}"
    return Cluster.model_validate(raw), running
