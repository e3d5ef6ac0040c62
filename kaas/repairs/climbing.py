"""Which rung of the ladder is next: entry by what is wrong and by memory, never past a rung without a cause. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kaas.api.repair import Action, RepairPolicy, Step
from kaas.repairs.actions import DISRUPTIVE, MENDING, NEW_BOOT, RANK
from kaas.repairs.facts import SKIPPED, SUCCEEDED, Finding, Patient, Try
from kaas.repairs.reasons import Reason

MINUTE, HOUR = 60, 3600  # in seconds


@dataclass(frozen=True, slots=True)
class Rung:
    """The next step. skipped: the rungs between the last step and it, each with the cause why it is passed over."""

    index: int
    action: Action
    cause: str
    skipped: tuple[tuple[Action, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Floor:
    """Rungs before `index` are not begun with, because of `cause`."""

    index: int
    cause: str


_NO_FLOOR = _Floor(0, "")


def climb(policy: RepairPolicy, patient: Patient, due: Sequence[Finding], after: int, began: datetime) -> Rung | Reason:
    """The first rung past `after` (-1: from the beginning) that can help, or why there is none.

    due: what is wrong for too long, at least one. began: when the repair began; memory looks back from there.
    """
    steps, worst = policy.steps, hardest(due)
    if worst.asked and worst.entry is not Action.WAIT and after < 0 and not _has(steps, worst.entry):
        return Reason.NOT_ON_LADDER
    floor = _NO_FLOOR if all(f.asked for f in due) else _remembered(policy, patient, began)
    skipped: list[tuple[Action, str]] = []
    for index in range(after + 1, len(steps)):
        cause = _passed_over(steps, index, patient, worst, floor)
        if not cause:
            return Rung(index, steps[index].action, worst.signal, tuple(skipped))
        skipped.append((steps[index].action, cause))
    return Reason.LADDER_ENDED


def in_flight(patient: Patient) -> bool:
    """Whether a disruptive step has begun, and with it the node draws on the budgets: until its repair is over."""
    progress = patient.progress
    return progress is not None and progress.action in DISRUPTIVE and not quarantined(patient)


def quarantined(patient: Patient) -> bool:
    """Whether the node is kept for a person."""
    progress = patient.progress
    if progress is None:
        return False
    return progress.quarantined is not None or (progress.action is Action.QUARANTINE and progress.acted is not None)


def hardest(findings: Sequence[Finding]) -> Finding:
    """The finding that asks for the hardest step; of those the first that became due."""
    if len(findings) == 1:
        return findings[0]
    return min(findings, key=lambda f: (-RANK[f.entry], f.due, f.signal))


def asked_for(policy: RepairPolicy, patient: Patient) -> Action:
    """What a person wants who asks for a repair and names no step: that something is done to the node.

    The first step of the ladder that is more than a drain, can be done, and can help against what else is wrong,
    tolerated or not. Where the ladder has nothing hard enough for that, the first that is more than a drain; where it
    has no such step, its last. Wait when nothing can be done at all.
    """
    possible = [s.action for s in policy.steps if s.action is not Action.WAIT and not impossible(s.action, patient)]
    mending = [a for a in possible if a in MENDING]
    least = max((RANK[f.entry] for f in patient.findings if not f.asked), default=0)
    enough = [a for a in mending if RANK[a] >= least]
    return next(iter((*enough, *mending, *reversed(possible))), Action.WAIT)


def position(steps: Sequence[Step], said: int, action: Action) -> tuple[int, Step]:
    """Where on the ladder the current step is, also when the ladder has changed since it began. said: its index then.

    A step that the ladder does not have any more counts as just below the first harder one.
    """
    if said < len(steps) and steps[said].action is action:
        return said, steps[said]
    for index, step in enumerate(steps):
        if step.action is action:
            return index, step
    return _first_harder(steps, action) - 1, Step(action=action)


def _first_harder(steps: Sequence[Step], action: Action) -> int:
    return next((i for i, s in enumerate(steps) if RANK[s.action] > RANK[action]), len(steps))


def _has(steps: Sequence[Step], action: Action) -> bool:
    return any(s.action is action for s in steps)


def _passed_over(steps: Sequence[Step], index: int, patient: Patient, worst: Finding, floor: _Floor) -> str:
    """Why a rung is not the next, "" when it is. A drain is never too mild while something harder comes after it."""
    action = steps[index].action
    cause = impossible(action, patient)
    if cause:
        return cause
    mild = _too_mild(action, index, worst, floor)
    if not mild or action is not Action.DRAIN:
        return mild
    after = range(index + 1, len(steps))
    helps = any(
        not _too_mild(steps[i].action, i, worst, floor) and not impossible(steps[i].action, patient) for i in after
    )
    return "" if helps else mild


def _too_mild(action: Action, index: int, worst: Finding, floor: _Floor) -> str:
    if RANK[action] < RANK[worst.entry]:
        return f"{worst.signal} needs at least {worst.entry}"
    if worst.asked and action is Action.WAIT:
        return "a person asks for the repair"
    return floor.cause if index < floor.index else ""


def impossible(action: Action, patient: Patient) -> str:
    """Why a step cannot be done to a machine at all, "" when it can."""
    machine = patient.machine
    if action in NEW_BOOT and machine.server is None:
        return "the machine has no server"
    if action is Action.REBUILD and machine.control_plane:
        return "a rebuilt disk would lose its member of etcd"
    if action is Action.DRAIN and machine.node is None:
        return "the machine has not joined: there is no Node to drain"
    if action is Action.RESTART_DEVICE_PLUGIN and (machine.node is None or any(f.silent for f in patient.findings)):
        return "its kubelet is not heard of, so no Pod of it can be restarted"
    return ""


def _remembered(policy: RepairPolicy, patient: Patient, began: datetime) -> _Floor:
    """Where earlier repairs of the machine say to begin. A rung helped when its try succeeded; a drain never does."""
    if not patient.history:
        return _NO_FLOOR
    memory, steps = policy.memory, policy.steps
    since = began - timedelta(seconds=memory.climb_within_seconds)
    recent = [t for t in patient.history if since <= t.ended <= began]
    helped = [t for t in recent if t.outcome == SUCCEEDED and t.action is not Action.DRAIN]
    if not helped:
        return _NO_FLOOR
    if len(helped) >= memory.max_repairs:
        return _Floor(_last_resort(steps, recent), f"{len(helped)} repairs within {hours(memory.climb_within_seconds)}")
    last = helped[-1]
    cause = f"{last.action} helped at {last.ended:%Y-%m-%d %H:%M} UTC, and it is sick again"
    return _Floor(min(_above(steps, last.action), len(steps) - 1), cause)


def _above(steps: Sequence[Step], action: Action) -> int:
    return next((i + 1 for i, s in enumerate(steps) if s.action is action), _first_harder(steps, action))


def _last_resort(steps: Sequence[Step], recent: Sequence[Try]) -> int:
    """Replace, unless that was tried; then Quarantine; then whatever is last."""
    replaced = any(t.action is Action.REPLACE and t.outcome != SKIPPED for t in recent)
    for action in (Action.QUARANTINE,) if replaced else (Action.REPLACE, Action.QUARANTINE):
        if _has(steps, action):
            return next(i for i, s in enumerate(steps) if s.action is action)
    return len(steps) - 1


def hours(seconds: int) -> str:
    """A duration for people."""
    return f"{seconds / HOUR:.3g} h" if seconds >= HOUR else f"{seconds / MINUTE:.3g} min"
