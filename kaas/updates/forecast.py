"""What will happen to a Cluster, as far as is known today: the planner, asked at the times at which something changes.

Pure. It supposes that the Cluster is well when its time comes, that an update ends before the next one may begin, and
that nobody changes anything.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from kaas.updates.expiry import Notice, announcement
from kaas.updates.facts import Aims, Change, Decision, Event
from kaas.updates.kinds import what
from kaas.updates.planner import STOPPED, Subject, next_opening, plan_and_notice
from kaas.updates.standing import Obstacle, Present

DAYS: Final = 90
MOST_LOOKS: Final = 1000  # a look a day would be 90; more means that a decision does not say when it changes
_ENDLESS: Final = timedelta(hours=4)  # of an update that is begun outside of every window
_VALID: Final = timedelta(days=365)  # kubeadm: certificatesValidityPeriod, as long as nobody sets another one


def forecast(subject: Subject, now: datetime, days: int = DAYS) -> tuple[Event, ...]:
    """What will happen within so many days, in order."""
    standing = subject.standing
    well = replace(subject, standing=replace(standing, obstacle=None))
    return tuple(_Run(well, standing.obstacle).until(now, now + timedelta(days=days)))


def _after(present: Present, aims: Aims | None, time: datetime) -> Present:
    """What the machines are made of when an update is through.

    Those of the control plane have new certificates, but for another class revision, which need not change them.
    """
    if aims is None:
        return present
    renews = set(aims.changes) != {Change.CLASS_REVISION}
    return replace(
        present,
        image=aims.image or present.image,
        class_revision=aims.class_revision or present.class_revision,
        certificates_end=time + _VALID if renews and present.certificates_end else present.certificates_end,
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
            moves = decision.target is not None and decision.reason != STOPPED
            if moves:
                events += self._update(decision, time, first=time == now)
            events += self._announce(said, time)
            if moves:
                continue
            self._why = decision.message
            if decision.until is None or decision.until > end or decision.until <= time:
                break
            time = decision.until
        return events

    def _update(self, decision: Decision, time: datetime, *, first: bool) -> list[Event]:
        """It is through at once; one that is under way already, or was chosen."""
        subject, target = self._subject, decision.target
        began = subject.standing.began if decision.choice is None else time
        standing = replace(subject.standing, target=target, run=None, began=began)
        present = _after(subject.present, decision.aims, time)
        self._subject = replace(subject, running=target, standing=standing, present=present)
        if decision.choice is None or target is None:
            return []
        opening = next_opening(subject.calendar, decision.choice.change, time)
        ends = opening.end if opening is not None and opening.start <= time else time + _ENDLESS
        held = f"not yet begun: {self._obstacle.message}" if first and self._obstacle else self._why
        self._why = ""
        aims = decision.aims
        changes = aims.changes if aims else (decision.choice.change,)
        return [Event(time, ends, "Update", target, decision.message, held, what(decision.choice), changes)]

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
