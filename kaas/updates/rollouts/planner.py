"""What a Rollout does next: one round over its run, its stages and their members. Pure.

It says only in its own status whose turn it is; the Clusters follow it (see `turns`), and are watched in theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kaas.api.model import Condition
from kaas.api.rollout import Rollout
from kaas.api.rollout_acts import Acts
from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import (
    ABORTED,
    ENDED,
    MAX_RUNS,
    PAUSED,
    Counts,
    Halt,
    RolloutStatus,
    Run,
    StageStatus,
    State,
)
from kaas.kube.conditions import condition_of
from kaas.updates.rollouts.events import transitions
from kaas.updates.rollouts.goal import Goal, carried
from kaas.updates.rollouts.member import Key, Member
from kaas.updates.rollouts.progress import OUTSIDE, is_busy, next_look
from kaas.updates.rollouts.scene import SKEW, Ask, Known, Scene, Told
from kaas.updates.rollouts.selection import stage_of
from kaas.updates.rollouts.stages import Course, failed_too_often, gone_through, looked_at, opened_by, stood_still
from kaas.updates.rollouts.wanted import is_news, next_revision, nobody_takes, wanted

NO_RELEASE: Final = "NoRelease"
_NOTHING: Final = Known()


@dataclass(frozen=True, slots=True)
class Round:
    """What was decided.

    events: what people are told. asks: questions to the Sites' metrics without which gates stay closed; decide again
    with the answers. until: when to look again at the latest; None when only an event changes anything.
    """

    status: RolloutStatus
    events: tuple[Told, ...] = ()
    asks: tuple[Ask, ...] = ()
    until: datetime | None = None


def decide(rollout: Rollout, members: Sequence[Member], now: datetime, known: Known = _NOTHING) -> Round:
    """What a Rollout says now. members: all Clusters that there are. now: to the second, as it is written down."""
    said = rollout.status or RolloutStatus()
    stages = {m.key: stage.name for m in members if (stage := stage_of(rollout.spec.stages, m)) is not None}
    mine = [m for m in members if m.key in stages]
    later = next_revision(rollout.spec, mine, now)
    before, why = _with_run(rollout, said, mine, known, now)
    acts = Acts.of(rollout.metadata.annotations)
    if before.run is None or before.started is None:
        return _composed(rollout, said, _nothing_to_do(rollout, why), acts, now, until=later)
    if before.state is State.STOPPED and before.finished is not None:
        return _composed(rollout, said, before, acts, now, until=later)
    scene = _scene(rollout, before, members, stages, acts, known, now)
    aligned = looked_at(_aligned(rollout, before.stages), scene)
    halt = _halted(before.halt, aligned, scene, rollout.metadata.generation or 0)
    held = _held(rollout, scene, halt)
    course = Course(stood_still(aligned, held)) if held else gone_through(aligned, scene)
    if course.halt is not None:
        halt = course.halt.model_copy(update={"generation": rollout.metadata.generation or 0})
        held = halt.reason
    status = _status(_Outcome(before, course, scene, halt, held))
    ahead = (*course.times, *course.again, *_looks(course, scene), *((later,) if later else ()))
    return _composed(rollout, said, status, acts, now, tuple(course.asks), min(ahead, default=None))


# --- the run ------------------------------------------------------------------------------------------------------


def _with_run(
    rollout: Rollout, before: RolloutStatus, members: Sequence[Member], known: Known, now: datetime
) -> tuple[RolloutStatus, str]:
    """The status with the run that is under way, and why none begins; the next one does when there is something newer.

    members: Clusters that the Rollout selects.
    """
    spec = rollout.spec
    if before.run and (before.finished is None or spec.channel is None):
        return before, ""
    goal = wanted(spec, members, known, now)
    why = known.unfit or nobody_takes(goal, members)
    if why or not goal or (before.run and not is_news(goal, Goal.of(spec, before), members, known, now)):
        return before, why
    begun = RolloutStatus(
        conditions=before.conditions,
        state=State.RUNNING,
        brings=goal.words[:1024],
        version=str(goal.version) if goal.version else None,
        images=goal.images,
        class_revisions=goal.revisions,
        run=(before.run or 0) + 1,
        started=now,
        history=(*_past(before), *before.history)[:MAX_RUNS],
    )
    return begun, ""


def _past(before: RolloutStatus) -> Iterator[Run]:
    if before.run and before.started and before.finished:
        yield Run(
            run=before.run,
            brings=before.brings or before.version,
            version=before.version,
            images=tuple(sorted({i.image for i in before.images})),
            class_revisions=before.class_revisions,
            state=before.state or State.COMPLETED,
            started=before.started,
            finished=before.finished,
            approvals=tuple(sorted(opened_by(before.stages))),
            counts=before.counts or Counts(),
        )


def _nothing_to_do(rollout: Rollout, why: str) -> RolloutStatus:
    minor = f" of {rollout.spec.minor}" if rollout.spec.minor else ""
    none = f"no Release{minor} is in the channel {rollout.spec.channel}: give one a date in its spec.channels"
    if Kind.KUBERNETES not in carried(rollout.spec):
        none = f"nothing is in the channel {rollout.spec.channel} that a Cluster of its stages could be brought to"
    return RolloutStatus(
        conditions=rollout.status.conditions if rollout.status else (),
        state=State.NOT_STARTED,
        reason=NO_RELEASE,
        message=(why or none)[:1024],
    )


def _scene(
    rollout: Rollout,
    before: RolloutStatus,
    members: Sequence[Member],
    stages: Mapping[Key, str],
    acts: Acts,
    known: Known,
    now: datetime,
) -> Scene:
    assert before.started is not None  # noqa: S101 - see the caller
    concerned = stages.keys() | {r.key for s in before.stages for r in s.members}
    mine = {m.key: m for m in members if m.key in concerned}
    return Scene(
        rollout.spec, Goal.of(rollout.spec, before), before.started, mine, stages, acts, known, now, before.history
    )


def _aligned(rollout: Rollout, before: Sequence[StageStatus]) -> list[StageStatus]:
    """A status for each stage of the spec, in its order."""
    known = {stage.name: stage for stage in before}
    return [known.get(s.name) or StageStatus(name=s.name, state=State.NOT_STARTED) for s in rollout.spec.stages]


# --- what holds it ------------------------------------------------------------------------------------------------


def _held(rollout: Rollout, scene: Scene, halt: Halt | None) -> str:
    """Why nothing further may begin; empty when it may."""
    abort = scene.acts.abort
    if abort is not None and scene.counts(abort, timedelta()):
        return ABORTED
    if halt is not None:
        return halt.reason
    return PAUSED if rollout.spec.paused else ""


def _halted(before: Halt | None, stages: Sequence[StageStatus], scene: Scene, generation: int) -> Halt | None:
    """Why it has stopped by itself: what is wrong now, or was until a person acts."""
    found = failed_too_often(stages, scene, generation)
    if before is None:
        return found
    if found is not None:
        return found.model_copy(update={"since": before.since, "generation": before.generation})
    acted = any(a.at >= before.since - SKEW for acts in (scene.acts.skip, scene.acts.retry) for a in acts.values())
    return None if acted or generation != before.generation else before


# --- what is said -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a status is made of."""

    before: RolloutStatus
    course: Course
    scene: Scene
    halt: Halt | None
    held: str

    @property
    def current(self) -> StageStatus | None:
        """The stage that it is in."""
        return next((s for s in self.course.stages if s.state is not State.COMPLETED), None)


def _status(outcome: _Outcome) -> RolloutStatus:
    before, course, scene = outcome.before, outcome.course, outcome.scene
    state, reason, message = _summary(outcome)
    counts, current = _counts(course, scene), outcome.current
    is_over = state is State.COMPLETED or (state is State.STOPPED and outcome.held == ABORTED)
    return RolloutStatus(
        conditions=before.conditions,
        state=state,
        reason=reason,
        message=message[:1024],
        brings=before.brings or before.version,
        version=before.version,
        images=before.images,
        class_revisions=before.class_revisions,
        run=before.run,
        started=before.started,
        finished=before.finished or scene.now if is_over else None,
        stage=current.name if current else None,
        stages=tuple(course.stages),
        counts=counts,
        progress=f"{counts.completed + counts.failed + counts.skipped} of {counts.total + counts.to_come}",
        next_time=None if is_over else min((*course.times, *_openings(course, scene)), default=None),
        halt=outcome.halt,
        history=before.history,
    )


def _summary(outcome: _Outcome) -> tuple[State, str, str]:
    """State, reason and words."""
    members, current = outcome.course.members, outcome.current
    if outcome.held:
        is_busy_yet = any(r.state is State.RUNNING for r in members)
        return State.STOPPING if is_busy_yet else State.STOPPED, outcome.held, _why_held(outcome)
    if current is None:
        rest = [r for r in members if r.state not in ENDED]
        if not rest:
            return State.COMPLETED, "Completed", _result(outcome)
        words = f"all stages are through, and {len(rest)} members that are tried again are not"
        return State.RUNNING if any(map(is_busy, rest)) else State.PENDING, "Retrying", words
    state = State.RUNNING if any(map(is_busy, members)) else State.PENDING
    return state, current.reason or "Updating", f"stage {current.name}: {current.message or 'it starts'}"


def _why_held(outcome: _Outcome) -> str:
    if outcome.held == ABORTED and outcome.scene.acts.abort is not None:
        channel = outcome.scene.spec.channel
        way = (
            f"it begins again with the next {_next(outcome.scene.goal)} in {channel}"
            if channel
            else "delete the Rollout to let"
        )
        end = "" if channel else " its Clusters be updated without it"
        return f"aborted by {outcome.scene.acts.abort.words}; {way}{end}"
    if outcome.halt is not None:
        return outcome.halt.message
    return "spec.paused holds it: set it to false, or use `kaas rollout resume`"


def _next(goal: Goal) -> str:
    return "version" if goal.kinds == {Kind.KUBERNETES} else "update"


def _result(outcome: _Outcome) -> str:
    counts = _counts(outcome.course, outcome.scene)
    more = [f"{n} {what}" for n, what in ((counts.failed, "failed"), (counts.skipped, "left out")) if n]
    goal = outcome.scene.goal
    verb = "run" if goal.words == str(goal.version) else "have"
    return ", ".join((f"{counts.completed} of {counts.total} Clusters {verb} {goal.words}", *more))


def _counts(course: Course, scene: Scene) -> Counts:
    members = course.members
    found, known = Counter(r.state for r in members), {r.key for r in members}
    started = {s.name for s in course.stages if s.started}
    waiting = found[State.PENDING] + found[State.NOT_STARTED] + found[State.STOPPED]
    return Counts(
        total=len(members),
        completed=found[State.COMPLETED],
        running=found[State.RUNNING],
        pending=waiting,
        failed=found[State.FAILED],
        skipped=found[State.SKIPPED],
        to_come=sum(1 for key, stage in scene.stages.items() if stage not in started and key not in known),
    )


def _openings(course: Course, scene: Scene) -> Iterator[datetime]:
    """When windows open that members wait for."""
    for record in course.members:
        member = scene.members.get(record.key)
        if record.reason == OUTSIDE and member and member.window and member.window.start > scene.now:
            yield member.window.start


def _looks(course: Course, scene: Scene) -> Iterator[datetime]:
    for record in course.members:
        member = scene.members.get(record.key)
        at = next_look(record, member, scene) if member else None
        if at is not None:
            yield at


def _composed(
    rollout: Rollout,
    said: RolloutStatus,
    status: RolloutStatus,
    acts: Acts,
    now: datetime,
    asks: tuple[Ask, ...] = (),
    until: datetime | None = None,
) -> Round:
    """The round, with what programs read: conditions, and the generation that it is about."""
    live = {"conditions": [c.to_json() for c in said.conditions]}
    conditions = tuple(Condition.model_validate(c) for c in _conditions(status, acts, live, now))
    full = status.model_copy(update={"conditions": conditions, "observed_generation": rollout.metadata.generation})
    return Round(full, tuple(transitions(said, full)), asks, until)


def _conditions(status: RolloutStatus, acts: Acts, live: Mapping[str, Any], now: datetime) -> Iterator[dict[str, Any]]:
    reason, words = status.reason or "Unknown", status.message or ""
    goes_on = status.state in (State.RUNNING, State.PENDING)
    yield condition_of("Progressing", goes_on, reason, words, live, now)
    well = {State.COMPLETED: True, State.STOPPED: reason == PAUSED and None}.get(status.state or State.PENDING)
    yield condition_of("Succeeded", well, reason, words, live, now)
    told = "; ".join(acts.problems) or "what people said in annotations is understood"
    yield condition_of("AnnotationsRead", not acts.problems, "Unreadable" if acts.problems else "Read", told, live, now)
