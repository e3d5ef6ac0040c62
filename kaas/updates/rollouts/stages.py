"""The stages of a run, one after the other: gates, members, soak, gates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kaas.api.rollout import Gate, Stage
from kaas.api.rollout_status import (
    ABORTED,
    ENDED,
    MAX_MEMBERS,
    TOO_MANY_FAILURES,
    GateStatus,
    Halt,
    RolloutMember,
    StageStatus,
    State,
)
from kaas.api.shares import rounded_up
from kaas.updates.planner import moment
from kaas.updates.rollouts import slots
from kaas.updates.rollouts.gates import Passage, Place, passage
from kaas.updates.rollouts.member import Member
from kaas.updates.rollouts.order import rank
from kaas.updates.rollouts.progress import OUTSIDE, become, enlisted, is_busy, observed
from kaas.updates.rollouts.scene import Ask, Scene

SOAKING, WAITS_FOR_GATE, UPDATING, EARLIER = "Soaking", "WaitsForGate", "Updating", "WaitsForStage"
"""Reasons of stages that are not through."""
TOO_MANY_MEMBERS = "TooManyMembers"


@dataclass(slots=True)
class Course:
    """What comes out of one round of stages.

    times: when something changes by the clock alone. again: when metrics are to be asked again. halt: why it stops.
    """

    stages: list[StageStatus] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    again: list[datetime] = field(default_factory=list)
    halt: Halt | None = None

    @property
    def members(self) -> list[RolloutMember]:
        """Those of all stages that have started."""
        return [record for stage in self.stages for record in stage.members]


def looked_at(before: Sequence[StageStatus], scene: Scene) -> list[StageStatus]:
    """The stages with their members as they are now."""
    return [_with(stage, members=tuple(observed(r, scene) for r in stage.members)) for stage in before]


def failed_too_often(stages: Sequence[StageStatus], scene: Scene, generation: int) -> Halt | None:
    """That more members of a stage failed than may; None when not."""
    allowed = {s.name: s.max_failures for s in scene.spec.stages}
    for stage in stages:
        failed = [r for r in stage.members if r.state is State.FAILED]
        most = rounded_up(allowed.get(stage.name, 0), len(stage.members))
        if len(failed) > most:
            names = ", ".join(f"{r.namespace}/{r.name}" for r in failed[:5])
            words = (
                f"stage {stage.name}: {len(failed)} of {len(stage.members)} members failed, {most} may: {names}; see "
                "why, then try them again with `kaas rollout retry` or leave them out with `kaas rollout skip`, raise "
                "maxFailures of the stage, or end it with `kaas rollout abort`"
            )
            return Halt(since=scene.now, generation=generation, reason=TOO_MANY_FAILURES, message=words[:1024])
    return None


def stood_still(stages: Sequence[StageStatus], reason: str) -> list[StageStatus]:
    """The stages while nothing further may begin: those who have had their turn and did not begin give it back."""
    return [
        stage
        if stage.state in (State.COMPLETED, State.NOT_STARTED)
        else _with(stage, members=tuple(_held(r, reason) for r in stage.members), **_stopped(stage, reason))
        for stage in stages
    ]


def _stopped(stage: StageStatus, reason: str) -> dict[str, object]:
    if reason == TOO_MANY_FAILURES and any(r.state is State.FAILED for r in stage.members):
        return {"state": State.FAILED, "reason": reason, "message": "more members failed than may"}
    busy = sum(map(is_busy, stage.members))
    state = State.STOPPING if busy else State.STOPPED
    return {"state": state, "reason": reason, "message": f"{busy} members are finished" if busy else None}


def _held(record: RolloutMember, reason: str) -> RolloutMember:
    if record.state in ENDED or record.state in (State.RUNNING, State.STOPPED):
        return record
    if reason == ABORTED:
        return become(record, State.STOPPED, reason, "the Rollout was aborted before its turn", released=None)
    return become(record, State.NOT_STARTED, reason, None, released=None)


def gone_through(stages: Sequence[StageStatus], scene: Scene) -> Course:
    """Go on: those begin that may, and the next stage starts when the one before it is through."""
    course = Course(list(stages))
    overall = slots.limits(scene.spec, _everywhere(stages, scene), "in the Rollout")
    slots.take_busy(course.members, overall)
    used = opened_by(stages).union(*(run.approvals for run in scene.past))
    for index, stage in enumerate(scene.spec.stages):
        course.stages[index] = _Walk(stage, course, scene, used, overall).through(course.stages[index])
        if course.halt or course.stages[index].state is not State.COMPLETED:
            break
    _await_others(course, index)
    return course


def opened_by(stages: Iterable[StageStatus]) -> set[datetime]:
    """Times of the approvals that have opened gates."""
    return {g.approved for s in stages for g in (*s.before_gates, *s.after_gates) if g.approved}


def _await_others(course: Course, current: int) -> None:
    """Stages that have not started say what they wait for."""
    name = course.stages[current].name
    for index in range(current + 1, len(course.stages)):
        words = f"waits for stage {name} to be through"
        course.stages[index] = _with(course.stages[index], state=State.NOT_STARTED, reason=EARLIER, message=words)


def _everywhere(stages: Sequence[StageStatus], scene: Scene) -> slots.Places:
    """Places of all Clusters of the Rollout: members, and those that are to come."""
    started = {s.name for s in stages if s.started}
    to_come = [(m.site, m.zones) for key, m in scene.members.items() if scene.stages.get(key, "") not in started]
    return [*slots.places_of(r for s in stages for r in s.members), *to_come]


def _with(stage: StageStatus, **more: object) -> StageStatus:
    """The stage with some fields; the same object when nothing changes."""
    changed = {name: value for name, value in more.items() if getattr(stage, name) != value}
    return stage.model_copy(update=changed) if changed else stage


@dataclass(slots=True)
class _Walk:
    """One stage."""

    stage: Stage
    course: Course
    scene: Scene
    used: set[datetime]
    overall: Sequence[slots.Limit]

    def through(self, status: StageStatus) -> StageStatus:
        """As far as it comes now."""
        if status.started is None:
            status = self._started(status)
            if status.started is None:
                return status
        status = self._released(status)
        if status.state is State.COMPLETED:
            return status
        if not all(r.state in ENDED for r in status.members):
            return self._under_way(_with(status, settled=None))
        return self._settled(_with(status, settled=status.settled or self.scene.now))

    def _started(self, status: StageStatus) -> StageStatus:
        """Its list of members is fixed once its gates are open."""
        found = self._passed(self._gates(self.stage.before_gates, status.before_gates))
        status = _with(status, before_gates=tuple(found.gates))
        if not found.is_open:
            return _with(status, state=State.PENDING, reason=WAITS_FOR_GATE, message=_closed(found))
        members = sorted(self._members(), key=lambda m: rank(m, None, self.scene.now))
        if len(members) + len(self.course.members) > MAX_MEMBERS:
            self.course.halt = self._too_many(len(members))
            return status
        records = (observed(enlisted(m, self.scene), self.scene) for m in members)
        return _with(status, state=State.RUNNING, started=self.scene.now, members=tuple(records))

    def _members(self) -> Iterator[Member]:
        """Clusters that it selects and that are no members yet."""
        known = {r.key for r in self.course.members}
        for key, name in self.scene.stages.items():
            if name == self.stage.name and key not in known:
                yield self.scene.members[key]

    def _too_many(self, number: int) -> Halt:
        words = (
            f"stage {self.stage.name} selects {number} Clusters, and a Rollout takes at most {MAX_MEMBERS}: end it "
            "with `kaas rollout abort`, and make several Rollouts with narrower selectors"
        )
        return Halt(since=self.scene.now, generation=0, reason=TOO_MANY_MEMBERS, message=words)

    def _released(self, status: StageStatus) -> StageStatus:
        """Those begin whose turn it is."""
        mine = slots.limits(self.stage, slots.places_of(status.members), f"in stage {self.stage.name}")
        slots.take_busy(status.members, mine)
        records = slots.granted(status.members, [*mine, *self.overall], self.scene)
        return _with(status, members=tuple(records))

    def _under_way(self, status: StageStatus) -> StageStatus:
        rest = [r for r in status.members if r.state not in ENDED]
        done, total = len(status.members) - len(rest), len(status.members)
        if any(map(is_busy, rest)):
            words = f"{done} of {total} members are through"
            return _with(status, state=State.RUNNING, reason=UPDATING, message=words)
        if all(r.reason == OUTSIDE for r in rest):
            words = f"{done} of {total} members are through, the others wait for their maintenance windows"
            return _with(status, state=State.PENDING, reason=OUTSIDE, message=words)
        first = next(r for r in rest if r.reason != OUTSIDE)
        words = f"{done} of {total} members are through; {first.namespace}/{first.name} waits: {first.message}"
        return _with(status, state=State.PENDING, reason=first.reason, message=words[:1024])

    def _settled(self, status: StageStatus) -> StageStatus:
        """All members have come to their end: soak, gates, and it is through."""
        assert status.settled is not None  # noqa: S101 - see the caller
        ends = status.settled + timedelta(seconds=self.stage.soak_seconds)
        if ends > self.scene.now and any(r.state is not State.SKIPPED for r in status.members):
            self.course.times.append(ends)
            return _with(status, state=State.PENDING, reason=SOAKING, message=f"it soaks until {moment(ends)}")
        found = self._passed(self._gates(self.stage.after_gates, status.after_gates))
        status = _with(status, after_gates=tuple(found.gates))
        if not found.is_open:
            return _with(status, state=State.PENDING, reason=WAITS_FOR_GATE, message=_closed(found))
        return _with(status, state=State.COMPLETED, reason=None, message=None, finished=self.scene.now)

    def _gates(self, gates: Sequence[Gate], before: Sequence[GateStatus]) -> Passage:
        return passage(gates, before, Place(self.stage, self.course.members, frozenset(self.used), self.scene))

    def _passed(self, found: Passage) -> Passage:
        self.used.update(g.approved for g in found.gates if g.approved)
        self.course.asks.extend(found.asks)
        self.course.times.extend(t for t in (found.until,) if t)
        self.course.again.extend(t for t in (found.again,) if t)
        return found


def _closed(found: Passage) -> str:
    gate = found.gates[-1]
    return f"gate {gate.name} is closed: {gate.message}"[:1024]
