"""Takes one update after another through its ledger: examines before it begins and after each step, and moves it on.

It writes nothing: what it returns is written by the reconciler in one piece, so that a controller which is killed
finds all of it or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.constants import ANNOTATION_UPDATE_RETRY, ANNOTATION_UPDATES_PAUSED
from kaas.api.update_status import (
    EXPIRED,
    VERSION_CHANGED,
    Availability,
    Baseline,
    Before,
    PreflightFinding,
    PreflightReport,
    Retried,
    UpdateSummary,
)
from kaas.kube.ports import Source
from kaas.kube.resources import PAUSED_ANNOTATION
from kaas.updates import seeing
from kaas.updates.addons import unsupported
from kaas.updates.facts import Aims, Choice, Decision
from kaas.updates.kinds import what
from kaas.updates.ledger.advance import POLL, Ledger, Progress, advance, called_off
from kaas.updates.ledger.seen import Seen, Window
from kaas.updates.ledger.steps import begin
from kaas.updates.planner import LEAST_LEFT, STOPPED, next_opening
from kaas.updates.preflight.inputs import Inputs
from kaas.updates.run import ANNOUNCED, Case, ClusterKey, Examiner, Finding, Report, Severity
from kaas.updates.standing import let_go
from kaas.updates.subject import Subject

BLOCKED: Final = "PreflightBlocks"
"""Reason while the checks before an update keep it from being begun."""
LOOKED_AT: Final = "Preflight"
"""Reason while the Cluster is looked at before an update that is due."""
AGAIN: Final = timedelta(minutes=5)
"""Until checks that block an update which is due are made again, and for how long what they found counts."""
EARLY: Final = timedelta(hours=24)
"""So long before an update is due it is checked for the first time, so that people see it in time."""
EARLY_AGAIN: Final = timedelta(minutes=30)
_TOLD_EVERY: Final = timedelta(minutes=1)
_MOST_STEPS: Final = 64
_ONE: Final = "Cluster API takes no other version before"


@dataclass(frozen=True, slots=True)
class Conduct:
    """What came of it, to be told.

    decision: the planner's, or that the update waits for its checks. aims: of the update under way, or of the last.
    before: what the Cluster had when that began. begun: whether it begins now. until: when it is looked at again
    without an event.
    """

    decision: Decision
    ledger: Ledger
    aims: Aims | None = None
    waiting: tuple[str, ...] = ()
    preflight: PreflightReport | None = None
    baseline: Baseline | None = None
    availability: Availability | None = None
    before: Before | None = None
    begun: bool = False
    until: datetime | None = None


class Conductor:
    """Conducts the updates of all Clusters.

    What it remembers is only when it told last how an API server answers, and on what the last checks depended.
    """

    def __init__(self, store: Source, examiner: Examiner) -> None:
        self._store = store
        self._examiner = examiner
        self._told: dict[ClusterKey, datetime] = {}
        self._inputs: dict[ClusterKey, Inputs] = {}

    def forget(self, key: ClusterKey) -> None:
        """The Cluster is gone."""
        self._inputs.pop(key, None)
        self._leave(key)

    def _leave(self, key: ClusterKey) -> None:
        """It is not updated any more."""
        self._examiner.forget(key)
        self._told.pop(key, None)

    async def conduct(self, subject: Subject, decision: Decision, now: datetime) -> Conduct:
        """Do what is to be done about one Cluster now."""
        said = _said(subject.cluster)
        if Ledger.of(said).under_way:
            return await self._under_way(subject, decision, said, now)
        if decision.target is not None and decision.choice is not None:
            return await self._due(subject, decision, decision.choice, said, now)
        return await self._at_rest(subject, decision, said, now)

    # --- before an update -----------------------------------------------------------------------------------------

    async def _at_rest(self, subject: Subject, decision: Decision, said: UpdateSummary, now: datetime) -> Conduct:
        """Nothing is begun now; what is near is checked early."""
        self._leave(_key(subject))  # a look before an update that is not begun after all counts for no later one
        found, report, until = _as_it_was(decision, said), None, None
        choice = decision.choice
        if choice is not None and decision.begins is not None:
            report, until = _known(said, choice), decision.begins - EARLY
            every = EARLY_AGAIN if report and _blocking(report) else EARLY
            if until <= now:
                if report is None or report.checked + every <= now or self._is_outdated(report, subject):
                    report = await self._checked(subject, choice, now)
                until = now + EARLY_AGAIN if _blocking(report) else None
        return replace(found, preflight=report, until=until)

    async def _due(
        self, subject: Subject, decision: Decision, choice: Choice, said: UpdateSummary, now: datetime
    ) -> Conduct:
        """It may begin now: when nothing blocks it, and it is known how the Cluster was before."""
        found = _as_it_was(decision, said)
        if first := self._unfinished(subject, choice):
            words = f"{what(choice)} begins when what was called off before is through in {', '.join(first)}"
            return replace(found, decision=_waits(decision, LOOKED_AT, f"{words}: {_ONE}", now + AGAIN), preflight=None)
        report = _known(said, choice)
        if report is None or report.checked + AGAIN <= now or self._is_outdated(report, subject):
            report = await self._checked(subject, choice, now)
        if blocking := _blocking(report):
            self._leave(_key(subject))
            words = "; ".join(f"{f.check}: {f.message}" for f in blocking)
            waits = _waits(decision, BLOCKED, f"{what(choice)} is not begun: {words}", now + AGAIN)
            return replace(found, decision=waits, preflight=report)
        baseline = await self._examiner.baseline(_case(subject, choice, now), now)
        if baseline is None:
            words = f"{what(choice)} is about to begin: it is looked at how the Cluster is before"
            return replace(found, decision=_waits(decision, LOOKED_AT, words, now + POLL), preflight=report)
        begun = self._begin(subject, decision, decision.aims or _aims(choice), report, now)
        return replace(begun, baseline=baseline)

    def _unfinished(self, subject: Subject, choice: Choice) -> tuple[str, ...]:
        """What another update was called off in: nothing else begins after one that is not through."""
        if not choice.asked:
            return ()
        return seeing.unfinished(seeing.look(self._store, subject.cluster, subject.site, _aims(choice)))

    def _begin(
        self, subject: Subject, decision: Decision, aims: Aims, report: PreflightReport, now: datetime
    ) -> Conduct:
        why = decision.reason if decision.reason in (EXPIRED, VERSION_CHANGED) else ANNOUNCED
        steps = begin(aims, _pools(subject.cluster, aims), now, _report(report), reason=why)
        ledger = Ledger(steps, retried=_heard(subject.cluster, now))
        before = _had(subject)
        progress = advance(ledger, self._seen(subject, aims, decision, before, now), now)
        self._examiner.watch(_key(subject))
        found = Conduct(decision, progress.ledger, aims, progress.waiting, report, before=before)
        return replace(found, begun=True, until=progress.until)

    def _is_outdated(self, report: PreflightReport, subject: Subject) -> bool:
        """Whether what it depends on has changed. A controller that has just begun knows not: what blocks is tried."""
        before = self._inputs.get(_key(subject))
        return bool(_blocking(report)) if before is None else before != Inputs.of(subject.cluster, subject.site)

    async def _checked(self, subject: Subject, choice: Choice, now: datetime) -> PreflightReport:
        self._inputs[_key(subject)] = Inputs.of(subject.cluster, subject.site)
        report = await self._examiner.preflight(_case(subject, choice, now), now)
        return PreflightReport(checked=report.checked, findings=tuple(_told(f) for f in report.findings))

    # --- while it is under way ------------------------------------------------------------------------------------

    async def _under_way(self, subject: Subject, decision: Decision, said: UpdateSummary, now: datetime) -> Conduct:
        if subject.running is None:  # nothing is known of its control plane at this moment
            return replace(_as_it_was(decision, said), ledger=Ledger.of(said))
        run = subject.standing.run
        if run is None or decision.target is None or decision.choice is not None:
            self._leave(_key(subject))
            ledger = called_off(Ledger.of(said), decision.message, now)
            if decision.choice is not None:  # what comes instead is looked at before it begins, as everything is
                decision = _waits(decision, decision.reason, decision.message, now)
            return replace(_as_it_was(decision, said), ledger=ledger, waiting=(), until=now)
        aims = run.aims
        seen = self._seen(subject, aims, decision, said.before, now)
        progress = await self._moved_on(subject, aims, said, seen, now)
        hold = progress.ledger.hold
        told = replace(decision, message=_words(decision, progress.ledger), begins=hold.until if hold else None)
        found = _as_it_was(told, said)
        return replace(
            found,
            ledger=progress.ledger,
            aims=aims,
            waiting=progress.waiting,
            availability=self._asked(_key(subject), progress, said.availability, now),
            until=now if progress.finished else progress.until,
        )

    async def _moved_on(self, subject: Subject, aims: Aims, said: UpdateSummary, seen: Seen, now: datetime) -> Progress:
        progress = advance(Ledger.of(said), seen, now)
        for _ in range(_MOST_STEPS):
            step = progress.wants
            if step is None:
                break
            verdict = await self._examiner.verify(_case_of_run(subject, aims, progress.ledger, now), step, now)
            progress = advance(progress.ledger, replace(seen, verdict=(step, verdict)), now)
            if verdict.passed is None:
                break
        return progress

    def _asked(
        self, key: ClusterKey, progress: Progress, before: Availability | None, now: datetime
    ) -> Availability | None:
        """How its API server answers: told once a minute while something is under way, and at the end of that."""
        moving = any(s.state == "Running" for s in progress.ledger.steps)
        if moving:
            self._examiner.watch(key, before)
        found = self._examiner.availability(key) or before
        if not moving:
            self._leave(key)
        elif now < self._told.get(key, now - _TOLD_EVERY) + _TOLD_EVERY:
            return before
        else:
            self._told[key] = now
        return found

    def _seen(self, subject: Subject, aims: Aims, decision: Decision, before: Before | None, now: datetime) -> Seen:
        sight = seeing.look(self._store, subject.cluster, subject.site, aims)
        return Seen(
            target=str(aims.version),
            control_plane=seeing.control_plane(sight),
            pools=seeing.pools(sight),
            window=_window(subject, aims, decision.forced_from, now),
            paused=_paused(subject.cluster),
            released=let_go(subject.cluster),
            retry=_retry(subject.cluster),
            brings=seeing.brings(sight, before),
            asked=decision.reason == VERSION_CHANGED,
            add_ons=seeing.add_ons(subject.cluster, subject.addons, aims, subject.unread_addons),
            settle=timedelta(seconds=subject.cluster.spec.updates.verification.settle_seconds),
        )


# --- what is told ---------------------------------------------------------------------------------------------------


def _said(cluster: Cluster) -> UpdateSummary:
    return (cluster.status.update if cluster.status else None) or UpdateSummary()


def _retry(cluster: Cluster) -> str:
    return cluster.metadata.annotations.get(ANNOTATION_UPDATE_RETRY, "").strip()[:1024]


def _heard(cluster: Cluster, now: datetime) -> Retried | None:
    """What a person said before an update begins: it stays where they wrote it, and counts for none that comes."""
    before, retry = _said(cluster).retried, _retry(cluster)
    return Retried(since=now, reason=retry) if retry and (before is None or before.reason != retry) else before


def _as_it_was(decision: Decision, said: UpdateSummary) -> Conduct:
    """What was said of the last update stays, until the next one begins."""
    ledger = replace(Ledger.of(said), hold=None)
    return Conduct(decision, ledger, None, said.waiting, said.preflight, said.baseline, said.availability, said.before)


def _waits(decision: Decision, reason: str, words: str, until: datetime) -> Decision:
    """It is due, and does not begin yet."""
    ends = decision.until
    return Decision(None, decision.choice, reason, words, min(until, ends) if ends else until)


def _words(decision: Decision, ledger: Ledger) -> str:
    """What the update under way does."""
    if ledger.stopped is not None:
        return decision.message if decision.reason == STOPPED else ledger.stopped.message
    step = next((s for s in ledger.steps if s.state in ("Running", "Held")), None)
    return f"{decision.message}; step {step.name}: {step.message}" if step else decision.message


def _had(subject: Subject) -> Before | None:
    """What the Cluster has at this moment; None when nothing is known of its control plane."""
    status = subject.cluster.status
    if subject.running is None or status is None:
        return None
    return Before(version=str(subject.running), image=status.image, class_revision=status.class_revision)


def _known(said: UpdateSummary, choice: Choice) -> PreflightReport | None:
    """What was found before, if it was about the same update."""
    same = said.version == str(choice.version) and said.change == str(choice.change)
    return said.preflight if same else None


def _blocking(report: PreflightReport) -> tuple[PreflightFinding, ...]:
    return tuple(f for f in report.findings if f.blocks)


def _told(finding: Finding) -> PreflightFinding:
    severity = "Block" if finding.severity is Severity.BLOCK else "Warn"
    override = finding.override[:256] or None
    return PreflightFinding.model_validate(
        {"check": finding.check, "severity": severity, "message": finding.message[:1024], "override": override}
    )


def _report(told: PreflightReport) -> Report:
    found = (Finding(f.check, Severity(f.severity), f.message, f.override or "") for f in told.findings)
    return Report(told.checked, tuple(found))


# --- what is seen ---------------------------------------------------------------------------------------------------


def _key(subject: Subject) -> ClusterKey:
    meta = subject.cluster.metadata
    return meta.namespace or "", meta.name


def _aims(choice: Choice) -> Aims:
    return choice.aims or Aims(choice.version, (choice.change,))


def _pools(cluster: Cluster, aims: Aims) -> tuple[str, ...]:
    """Pools that the update replaces, in order; new certificates are for the control plane alone."""
    return seeing.pools_in_order(cluster) if aims.replaces_pools else ()


def _case(subject: Subject, choice: Choice, now: datetime) -> Case:
    """Of an update that has not begun."""
    aims = _aims(choice)
    pools, left = _pools(subject.cluster, aims), None if choice.asked else _left(subject, aims, now)
    running = subject.running or aims.version
    against = tuple(unsupported(subject.addons, subject.present.add_ons, aims.version, running))
    key, cluster, site = _key(subject), subject.cluster, subject.site
    return Case(key, cluster, site, aims, running, None, pools, left, asked=choice.asked, against=against)


def _case_of_run(subject: Subject, aims: Aims, ledger: Ledger, now: datetime) -> Case:
    """Of one that is under way."""
    status = subject.cluster.status or ClusterStatus()
    update = _said(subject.cluster).model_copy(update={"steps": ledger.steps, "stopped": ledger.stopped})
    cluster = subject.cluster.model_copy(update={"status": status.model_copy(update={"update": update})})
    pools, left = _pools(subject.cluster, aims), _left(subject, aims, now)
    began, running = subject.standing.began, subject.running or aims.version
    return Case(_key(subject), cluster, subject.site, aims, running, began, pools, left)


def _left(subject: Subject, aims: Aims, now: datetime) -> float | None:
    """Seconds that the window which is open has left, else those of the next one; None when none is in sight."""
    opening = next_opening(subject.calendar, aims.changes[0], now)
    return (opening.end - max(opening.start, now)).total_seconds() if opening is not None else None


def _window(subject: Subject, aims: Aims, forced_from: datetime | None, now: datetime) -> Window:
    """Whether the next machine may be begun. forced_from: from when on it waits for no window; None for never."""
    if forced_from is not None and forced_from <= now:
        return Window(True)
    opening = next_opening(subject.calendar, aims.changes[0], now)
    if opening is not None and opening.start <= now:
        return Window(True, opening.end - LEAST_LEFT)
    opens = (opening.start if opening is not None else None, forced_from)
    return Window(False, min((t for t in opens if t is not None), default=None))


def _paused(cluster: Cluster) -> str:
    for name in (PAUSED_ANNOTATION, ANNOTATION_UPDATES_PAUSED):
        if (why := cluster.metadata.annotations.get(name)) is not None:
            return f"the annotation {name} pauses it{f' ({why})' if why else ''}; remove it"
    return ""
