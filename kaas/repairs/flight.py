"""How a repair that has begun goes on: whether its step is under way, has helped, or is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kaas.api.repair import Action, Step
from kaas.repairs.actions import COMMITTED, NEEDS_CLOUD, NEW_BOOT
from kaas.repairs.blindness import counts_from
from kaas.repairs.cases import Case
from kaas.repairs.climbing import position
from kaas.repairs.decisions import Decision, Finish, Wait, Watch
from kaas.repairs.facts import Patient, Progress
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


def judge(case: Case, progress: Progress, now: datetime) -> Decision | Next:
    """What a repair's step has come to. The case is neither quarantined nor out of sight."""
    if progress.step is None or progress.action is None:
        return FIRST if case.findings else _settle(case, progress, now)
    index, step = position(case.place.pool.policy.steps, progress.step, progress.action)
    end = _deadline(case, progress, step)
    if not case.findings:
        return _well(case, progress, end, now)
    if not progress.failed and now < end and not (step.action is Action.DRAIN and progress.acted):
        return Wait(case.patient.machine.key, _under_way(case, progress, step), max(end, now))
    return _over(case, progress, step, index, end)


def _deadline(case: Case, progress: Progress, step: Step) -> datetime:
    """When the step's time is over: its clock, too, starts anew after blindness."""
    seen = case.seen
    if step.action in NEEDS_CLOUD:
        seen = max(seen, case.place.site.sight.since)
    return counts_from(seen, progress.started or progress.began) + timedelta(seconds=step.timeout_seconds)


def _under_way(case: Case, progress: Progress, step: Step) -> str:
    doing = "has not yet helped" if progress.acted else "is under way"
    return f"{step.action} (try {progress.number} of {step.retries + 1}) {doing}: {case.findings[0].message}"


def _over(case: Case, progress: Progress, step: Step, index: int, end: datetime) -> Decision | Next:
    """The step failed, took too long, or was a drain that is done."""
    if step.action is Action.DRAIN and progress.acted and not progress.failed:
        return Next(index)
    if progress.number <= step.retries:
        pause = timedelta(seconds=step.backoff_seconds)
        since = (progress.not_before or progress.started or end) if progress.failed else end
        return Next(index - 1, index, progress.number + 1, since + pause)
    if case.only_asked:
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
