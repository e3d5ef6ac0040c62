"""What will happen to a Cluster, as far as is known today: the planner, asked at the times at which something changes.

Pure. It supposes that the Cluster is well when its time comes, that an update ends before the next one may begin, and
that nobody changes anything: after an update that waits for a person no other one comes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from kaas.api.versions import KubernetesVersion
from kaas.updates.expiry import Notice, announcement
from kaas.updates.facts import Aims, Change, Choice, Decision, Event, Run
from kaas.updates.kinds import what
from kaas.updates.planner import STOPPED, next_opening, plan_and_notice
from kaas.updates.standing import Obstacle, Present, by_hand
from kaas.updates.subject import Subject

DAYS: Final = 90
MOST_LOOKS: Final = 1000  # a look a day would be 90; more means that a decision does not say when it changes
_ENDLESS: Final = timedelta(hours=4)  # of an update that is begun outside of every window
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_VALID: Final = timedelta(days=365)  # kubeadm: certificatesValidityPeriod, as long as nobody sets another one


def forecast(subject: Subject, now: datetime, days: int = DAYS) -> tuple[Event, ...]:
    """What will happen within so many days, in order."""
    standing = subject.standing
    well = replace(subject, standing=replace(standing, obstacle=None), catalogue=subject.catalogue.lasting)
    return tuple(_Run(well, standing.obstacle).until(now, now + timedelta(days=days)))


def _after(present: Present, aims: Aims | None, time: datetime) -> Present:
    """What the machines are made of when an update is through.

    Those of the control plane have new certificates, but for another class revision, which need not change them.
    """
    if aims is None:
        return present
    renews = not {Change.CLASS_REVISION, Change.ADD_ONS}.issuperset(aims.changes)
    brought = {a.name: a.new for a in aims.add_ons}
    return replace(
        present,
        image=aims.image or present.image,
        class_revision=aims.class_revision or present.class_revision,
        certificates_end=time + _VALID if renews and present.certificates_end else present.certificates_end,
        add_ons=tuple((name, brought.get(name, has)) for name, has in present.add_ons),
    )


class _Run:
    """One way through time."""

    def __init__(self, subject: Subject, obstacle: Obstacle | None) -> None:
        self._subject = subject
        self._obstacle = obstacle
        self._why = ""

    def until(self, now: datetime, end: datetime) -> list[Event]:
        """Look, and go on to when it says that something changes."""
        events: list[Event] = []
        time = now
        for _ in range(MOST_LOOKS):
            decision, said = plan_and_notice(self._subject, time)
            events += self._expire(time, now)
            waits = self._waits(decision, time)
            moves = decision.target is not None and waits is None
            if moves:
                events += self._update(decision, time, first=time == now)
            events += self._announce(said, time)
            if moves:
                continue
            self._why = decision.message
            later = decision.until if waits is None else min(waits, decision.until or waits)
            if later is None or later > end or later <= time:
                break
            time = later
        return events

    def _waits(self, decision: Decision, time: datetime) -> datetime | None:
        """Until when an update under way does not go on; None when it does, or there is none."""
        run = self._subject.standing.run
        if run is None or decision.target is None or decision.choice is not None:
            return None
        held = run.held
        if decision.reason == STOPPED or (run.by_person and held is None) or (held is not None and held.until is None):
            return _NEVER
        return held.until if held is not None and held.until is not None and held.until > time else None

    def _update(self, decision: Decision, time: datetime, *, first: bool) -> list[Event]:
        """One that is under way already, or was chosen: it is through at once, if it waits for no person."""
        subject, target, choice = self._subject, decision.target, decision.choice
        if target is None:
            return []
        if choice is None:
            return self._go_on(decision.aims, target, time)
        opening = next_opening(subject.calendar, choice.change, time)
        ends = opening.end if opening is not None and opening.start <= time else time + _ENDLESS
        held = f"not yet begun: {self._obstacle.message}" if first and self._obstacle else self._why
        self._why = ""
        aims = decision.aims or Aims(target, (choice.change,))
        waits = self._pools_by_hand(aims)
        run = Run(aims, time, by_person=waits) if waits else None
        self._through(decision.aims, target, time, began=time, run=run)
        words = f"{decision.message}; {waits}" if waits else decision.message
        return [Event(time, ends, "Update", target, words, held, what(choice), aims.changes)]

    def _go_on(self, aims: Aims | None, target: KubernetesVersion, time: datetime) -> list[Event]:
        """One that is under way goes on, to its end or to where it waits for a person."""
        subject, standing = self._subject, self._subject.standing
        run = standing.run
        if run is None or not run.by_person:
            self._through(aims, target, time, began=standing.began)
        else:
            self._subject = replace(subject, standing=replace(standing, run=replace(run, held=None)))
        if run is None or run.held is None or run.held.until != time:
            return []
        self._why = f"the update to {target} goes on first"
        change = run.aims.changes[0]
        opening = next_opening(subject.calendar, change, time)
        ends = opening.end if opening is not None and opening.start <= time else time + _ENDLESS
        rest = f"pool {', '.join(run.held.pools)}" if run.held.pools else "its add-ons"
        words = f"the update to {target} goes on: {rest}"
        brings = what(Choice(target, change, time, forced=False, message="", aims=run.aims))
        return [Event(time, ends, "Update", target, words, run.held.message, brings, run.aims.changes)]

    def _through(
        self,
        aims: Aims | None,
        target: KubernetesVersion,
        time: datetime,
        *,
        began: datetime | None,
        run: Run | None = None,
    ) -> None:
        """As it is after an update. run: one that waits for a person before it comes to its end."""
        present = _after(self._subject.present, aims, time)
        standing = replace(self._subject.standing, target=target, began=began, run=run)
        self._subject = replace(self._subject, running=target, standing=standing, present=present)

    def _pools_by_hand(self, aims: Aims) -> str:
        """That pools wait for a person in the middle of an update; "" when none does."""
        pools = by_hand(self._subject.cluster)
        if not pools or not aims.replaces_pools:
            return ""
        return f"then it waits for a person: pool {', '.join(sorted(pools))} has the strategy Manual"

    def _announce(self, said: Notice | None, time: datetime) -> list[Event]:
        """A warning, when a stage is reached; remembered as the reconciler would."""
        standing = self._subject.standing
        announced = said.announced if said else None
        if announced != standing.announced:
            self._subject = replace(self._subject, standing=replace(standing, announced=announced))
        if said is None or announced is None or not said.is_new:
            return []
        return [Event(time, time, "Warning", announced.version, announcement(said, time), "")]

    def _expire(self, time: datetime, began: datetime) -> list[Event]:
        end = self._subject.catalogue.ends(self._subject.running, time)
        if end is None or end != time or time == began or self._subject.running is None:
            return []
        words = f"{self._subject.running} expires: it gets no fixes any more"
        return [Event(time, time, "Expiry", self._subject.running, words, "")]
