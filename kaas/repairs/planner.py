"""What is done about every sick node of the fleet, decided together: one decision a patient. Pure.

The rules, in the order in which they count, are told in docs/repairs.md; each has a module of its own: what is believed
(`blindness`, `incidents`), how far a step is (`flight`), which step is next (`climbing`), and whether it may begin
(`gates`, with `quorum` and `budget`).
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Final

from kaas.api.repair import Action, Mode
from kaas.repairs.actions import DISRUPTIVE, NEEDS_CLOUD
from kaas.repairs.budget import Ledger, replacements
from kaas.repairs.cases import Case, Register
from kaas.repairs.climbing import Rung, climb
from kaas.repairs.decisions import Act, Breaker, Decision, Finish, Hold, Plan, Wait, Watch
from kaas.repairs.facts import Fleet, Patient, Progress
from kaas.repairs.flight import FIRST, LOOK_AGAIN, Next, call_off, judge
from kaas.repairs.gates import Gates, away
from kaas.repairs.incidents import incidents
from kaas.repairs.quorum import Objection
from kaas.repairs.reasons import Reason

AT_ONCE: Final = 100
"""Patients between two pauses of `planning`: some 50 microseconds each, with all that it shares with nobody."""
LOOK_AT_PEOPLE: Final = timedelta(minutes=10)
"""The same for what waits for a person."""

_FOR_PEOPLE: Final = frozenset({Reason.QUARANTINED, Reason.LADDER_ENDED, Reason.NOT_ON_LADDER})


def plan(fleet: Fleet, now: datetime) -> Plan:
    """One decision a patient, the most urgent first, and the open breakers. now: UTC.

    In flight first, then what a person asks for, then what is due longest; masters before workers. A patient for which
    nothing has begun has no decision when nothing is wrong with it, or its mode is Off.
    """
    work = planning(fleet, now)
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: Plan = done.value
            return found


def planning(fleet: Fleet, now: datetime) -> Generator[None, None, Plan]:
    """The same plan, made a few patients at a time: others may go on in between, but the fleet must stay as it is."""
    round_ = _Round(fleet, now)
    yield from round_.register()
    decisions: list[Decision] = []
    for number, case in enumerate(round_.cases):
        if (decision := round_.decide(case)) is not None:
            decisions.append(decision)
        if number % AT_ONCE == 0:
            yield
    decisions += round_.unplaced
    again = min((d.until for d in decisions if not isinstance(d, Act | Finish)), default=None)
    return Plan(tuple(decisions), round_.breakers, again)


class _Round:
    """One run of the planner. What is begun counts for those that come later."""

    def __init__(self, fleet: Fleet, now: datetime) -> None:
        self._fleet, self._now = fleet, now
        self._ledger = Ledger(fleet)
        hopeless = dict(replacements(fleet))
        self._hopeless = tuple(hopeless[k] for k in sorted(hopeless))
        self._gates = Gates(fleet, incidents(fleet.patients.values(), fleet.sites), hopeless, now)
        self.cases: list[Case] = []
        self.unplaced: list[Decision] = []
        self.breakers: tuple[Breaker, ...] = ()

    def register(self) -> Generator[None, None, None]:
        """Make the cases of all patients, the most urgent first: all are counted before any is decided."""
        register = Register(self._fleet, self._ledger, self._now)
        for number, patient in enumerate(self._fleet.patients.values()):
            if (case := register.case(patient)) is not None:
                self.cases.append(case)
            else:
                self.unplaced.append(_unplaced(patient, self._now))
            if number % AT_ONCE == 0:
                yield
        self.cases.sort(key=_urgency)
        for case in self.cases:
            if case.in_flight:
                self._gates.count(case)
        self.breakers = (*self._ledger.breakers(), *self._hopeless)

    def decide(self, case: Case) -> Decision | None:
        """What is done about one patient."""
        progress, off = case.patient.progress, case.place.mode is Mode.OFF
        if progress is None and (off or not case.patient.findings):
            return None
        if (closed := self._left_alone(case)) is not None:
            return closed
        if progress is None:
            return self._next(case, FIRST)
        if off:
            return call_off(case, progress, self._now)
        if (unseen := self._out_of_cloud(case, progress)) is not None:
            return self._hold(case, unseen, None)
        verdict = judge(case, progress, self._now)
        return self._next(case, verdict) if isinstance(verdict, Next) else verdict

    def _left_alone(self, case: Case) -> Decision | None:
        """What there is to say of a patient that is not even judged, None of all others."""
        progress = case.patient.progress
        if case.quarantined:
            return self._hold(case, _KEPT, None)
        if case.patient.machine.deleting and progress is not None and progress.action is Action.REPLACE:
            return Wait(case.patient.machine.key, "the Machine is being replaced", self._now + LOOK_AGAIN)
        closed = away(case)
        return self._hold(case, closed, self._meant(case)) if closed is not None else None

    def _out_of_cloud(self, case: Case, progress: Progress) -> Objection | None:
        """While the cloud cannot be seen, the clock of a step that needs it stands still; a healed node is let go."""
        site = case.place.site
        if site.sight.clear or progress.action not in NEEDS_CLOUD or not case.findings:
            return None
        return Reason.BLIND_TO_CLOUD, f"the cloud of Site {site.name} cannot be seen: {site.sight.problem}"

    def _next(self, case: Case, verdict: Next) -> Decision:
        """The next step, if one is due, there is one, and no gate is closed to it."""
        if not case.due:
            return self._tolerate(case)
        patient, policy = case.patient, case.place.pool.policy
        began = patient.progress.began if patient.progress else self._now
        rung = climb(policy, patient, case.due, verdict.after, began)
        if not isinstance(rung, Rung):
            return self._hold(case, _ended(case, rung), None)
        number = verdict.number if rung.index == verdict.retry else 1
        if number > 1 and verdict.not_before is not None and self._now < verdict.not_before:
            message = f"{rung.action} did not help; try {number} begins at {verdict.not_before:%H:%M:%S} UTC"
            return Hold(patient.machine.key, Reason.BACK_OFF, message, verdict.not_before, rung.index, rung.action)
        if (closed := self._gates.closed(case, rung)) is not None:
            return self._hold(case, closed, rung)
        return self._act(case, rung, number)

    def _act(self, case: Case, rung: Rung, number: int) -> Act:
        patient = case.patient
        if rung.action in DISRUPTIVE and not case.in_flight:
            case.in_flight = True
            self._gates.count(case)
            for scope in case.place.scopes:
                scope.take(patient.machine)
        why = "; ".join(f.message for f in case.due if f.signal == rung.cause)
        message = f"{rung.action}, because of {rung.cause}: {why}"
        return Act(patient.machine.key, rung.index, rung.action, number, rung.cause, message, rung.skipped)

    def _tolerate(self, case: Case) -> Decision:
        """Nothing is due. What the cloud said does not become due while it cannot be seen."""
        if case.due_at <= self._now:
            sight = case.place.site.sight
            return self._hold(case, (Reason.BLIND_TO_CLOUD, f"the cloud cannot be seen: {sight.problem}"), None)
        said = case.findings[0].message
        message = f"{said}; tolerated until {case.due_at:%H:%M:%S} UTC"
        return Watch(case.patient.machine.key, Reason.TOLERATED, message, case.due_at)

    def _meant(self, case: Case) -> Rung | None:
        """The step that would be next, as far as can be said of what is not judged."""
        if case.patient.progress is not None or not case.findings:
            return None
        rung = climb(case.place.pool.policy, case.patient, case.findings, -1, self._now)
        return rung if isinstance(rung, Rung) else None

    def _hold(self, case: Case, closed: Objection, rung: Rung | None) -> Hold:
        """rung: None for the present step, or the last of the ladder when none has begun."""
        reason, message = closed
        progress, steps = case.patient.progress, case.place.pool.policy.steps
        step, action = len(steps) - 1, steps[-1].action
        if rung is not None:
            step, action = rung.index, rung.action
        elif progress is not None and progress.step is not None and progress.action is not None:
            step, action = progress.step, progress.action
        until = self._now + (LOOK_AT_PEOPLE if reason in _FOR_PEOPLE else LOOK_AGAIN)
        return Hold(case.patient.machine.key, reason, message, until, step, action)


_KEPT: Final = (Reason.QUARANTINED, "it is kept for a person; give it back with: kaas repair release NODE")


def _urgency(case: Case) -> tuple[int, bool, datetime, tuple[str, str]]:
    return case.urgency


def _ended(case: Case, why: Reason) -> Objection:
    ladder = ", ".join(s.action for s in case.place.pool.policy.steps)
    if why is Reason.NOT_ON_LADDER:
        asked = next(f.entry for f in case.due if f.asked)
        return why, f"a person asks for {asked}, and the pool's ladder has only {ladder}; ask for one of these"
    worst = ", ".join(sorted({f.signal for f in case.due}))
    return why, f"nothing on the ladder ({ladder}) is left that can help against {worst}; a person has to look at it"


def _unplaced(patient: Patient, now: datetime) -> Decision:
    machine = patient.machine
    message = f"pool {'/'.join(machine.pool)} or Site {machine.site} is not known yet"
    return Hold(machine.key, Reason.FACTS_MISSING, message, now + LOOK_AGAIN, 0, Action.WAIT)
