"""How a repair that has begun goes on: whether its step is under way, has helped, or is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kaas.api.repair import Action, Step
from kaas.repairs.actions import COMMITTED, DISRUPTIVE, NEEDS_CLOUD, NEW_BOOT, RANK
from kaas.repairs.blindness import counts_from
from kaas.repairs.cases import Case
from kaas.repairs.climbing import position
from kaas.repairs.decisions import Act, Decision, Finish, Wait, Watch
from kaas.repairs.facts import Patient, Progress
from kaas.repairs.looks import STOPPED
from kaas.repairs.reasons import Reason


@dataclass(frozen=True, slots=True)
class Next:
    """A further step may begin: the first past `after` that can help.

    retry: index of the step that may be tried again, as try `number`, and not before `not_before`.
    """

    after: int
    retry: int | None = None
    number: int = 1
    not_before: datetime | None = None


FIRST = Next(-1)

LOOK_AGAIN: Final = timedelta(seconds=30)
"""When what is held back by others is looked at again at the latest: news of them come earlier."""

OFF: Final = "repairs were switched off (mode Off)"
SWITCHED_OFF: Final = f"{OFF}: the node is given back as it is"


def judge(case: Case, progress: Progress, now: datetime) -> Decision | Next:
    """What a repair's step has come to. The case is neither quarantined nor out of sight."""
    if progress.step is None or progress.action is None:
        return FIRST if case.findings else _settle(case, progress, now)
    index, step = position(case.place.pool.policy.steps, progress.step, progress.action)
    end = _deadline(case, progress, step)
    if not case.findings:
        return _well(case, progress, end, now)
    drained = step.action is Action.DRAIN and progress.acted is not None
    if not progress.failed and now < end and not drained and not _overtaken(case, step.action):
        return Wait(case.patient.machine.key, _under_way(case, progress, step), max(end, now))
    return _over(case, progress, step, index, end)


def call_off(case: Case, progress: Progress, now: datetime) -> Decision:
    """What becomes of a repair when repairs were switched off meanwhile: the node is given back.

    A step that cannot be taken back is brought to its end first, however long that takes: a server between power off
    and power on is not left there. A drain is broken off.
    """
    key, action = case.patient.machine.key, progress.action
    if progress.step is None or action is None:
        return Finish(key, False, SWITCHED_OFF)
    index, step = position(case.place.pool.policy.steps, progress.step, action)
    if (last := _to_its_end(case, progress, step, now)) is not None:
        return last
    if progress.failed and _left_off(case.patient, progress) and progress.number <= step.retries:
        return _on_again(case, progress, index, step, now)
    if not case.findings:
        return _settle(case, progress, now)
    why = f", which failed: {progress.failed}" if progress.failed else ""
    return Finish(key, False, f"{SWITCHED_OFF}, after {action}{why}")


def _to_its_end(case: Case, progress: Progress, step: Step, now: datetime) -> Decision | None:
    """That a step which has begun goes on; None when it is over, or can be left."""
    if progress.action not in COMMITTED or progress.failed:
        return None
    end = _deadline(case, progress, step)
    if progress.acted is not None and (now >= end or _done(case.patient, progress)):
        return None
    message = f"{OFF}; {progress.action} has begun and is brought to its end first"
    return Wait(case.patient.machine.key, message, max(end, now + LOOK_AGAIN))


def _left_off(patient: Patient, progress: Progress) -> bool:
    """Whether a power cycle that failed has left its server without power."""
    stopped = patient.server is not None and patient.server.status in STOPPED
    return stopped and progress.action is Action.POWER_CYCLE


def _on_again(case: Case, progress: Progress, index: int, step: Step, now: datetime) -> Decision:
    """Another try of a power cycle, which only switches on what is off."""
    key, since = case.patient.machine.key, progress.not_before or now
    again = since + timedelta(seconds=step.backoff_seconds)
    message = f"{OFF}; the server is still off, and is switched on first"
    if now < again:
        return Wait(key, message, again)
    return Act(key, index, step.action, progress.number + 1, progress.cause, message)


def _deadline(case: Case, progress: Progress, step: Step) -> datetime:
    """When the step's time is over: its clock, too, starts anew after blindness."""
    seen = case.seen
    if step.action in NEEDS_CLOUD:
        seen = max(seen, case.place.site.sight.since)
    return counts_from(seen, progress.started or progress.began) + timedelta(seconds=step.timeout_seconds)


def _under_way(case: Case, progress: Progress, step: Step) -> str:
    doing = "has not yet helped" if progress.acted else "is under way"
    return f"{step.action} (try {progress.number} of {step.retries + 1}) {doing}: {case.findings[0].message}"


def _overtaken(case: Case, action: Action) -> bool:
    """Whether a person asks for more than what is under way, and nothing is lost when that is left."""
    return action not in DISRUPTIVE and _asked_for_more(case, action)


def _asked_for_more(case: Case, action: Action) -> bool:
    return any(f.asked and RANK[f.entry] > RANK[action] for f in case.findings)


def _over(case: Case, progress: Progress, step: Step, index: int, end: datetime) -> Decision | Next:
    """The step failed, took too long, was a drain that is done, or a person asks for more."""
    if step.action is Action.DRAIN and progress.acted and not progress.failed:
        return Next(index)
    if _overtaken(case, step.action):
        return Next(index)
    if progress.number <= step.retries:
        pause = timedelta(seconds=step.backoff_seconds)
        since = (progress.not_before or progress.started or end) if progress.failed else end
        return Next(index - 1, index, progress.number + 1, since + pause)
    if case.only_asked and not _asked_for_more(case, step.action):
        why = progress.failed or f"not done within {step.timeout_seconds} s"
        return Finish(case.patient.machine.key, False, f"{step.action}, which a person asked for, did not work: {why}")
    return Next(index)


def _well(case: Case, progress: Progress, end: datetime, now: datetime) -> Decision:
    """Nothing is wrong. A step that cannot be taken back is brought to its end; a reboot must show another boot ID."""
    action = progress.action
    if now < end and action in COMMITTED and not progress.failed and not _done(case.patient, progress):
        wanted = "until the Node is Ready with another boot ID" if progress.acted else "until it is done"
        return Wait(case.patient.machine.key, f"{action} is under way {wanted}; nothing is wrong meanwhile", end)
    return _settle(case, progress, now)


def _done(patient: Patient, progress: Progress) -> bool:
    if progress.acted is None or progress.action not in NEW_BOOT:
        return False
    return patient.ready and bool(patient.boot_id) and patient.boot_id != progress.boot_id


def _settle(case: Case, progress: Progress, now: datetime) -> Decision:
    patient = case.patient
    well = patient.well_since or progress.acted or progress.began
    healed = max(well, case.seen) + timedelta(seconds=case.place.pool.policy.settle_seconds)
    if now < healed:
        message = f"nothing is wrong since {well:%H:%M:%S} UTC; it counts as healed at {healed:%H:%M:%S}"
        return Watch(patient.machine.key, Reason.SETTLING, message, healed)
    return Finish(patient.machine.key, True, f"healed{f' by {progress.action}' if progress.action else ''}")
