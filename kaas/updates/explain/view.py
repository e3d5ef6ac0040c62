"""One Cluster at one moment, as it is explained. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.maintenance import Exclusion
from kaas.api.update_status import PreflightFinding, UpdateSummary
from kaas.updates.explain.facts import Because, Coming, Explanation, State
from kaas.updates.facts import Choice, Decision, Turn
from kaas.updates.planner import HORIZON, LEAST_LEFT, moment, next_opening
from kaas.updates.standing import NOTHING
from kaas.updates.subject import Subject
from kaas.updates.windows import Calendar

SILENT: Final = "is `kaas controller` running?"


@dataclass(frozen=True, slots=True)
class View:
    """What is known of a Cluster, and what the planner decides about it now."""

    subject: Subject
    decision: Decision
    now: datetime

    @property
    def cluster(self) -> Cluster:
        """The Cluster itself."""
        return self.subject.cluster

    @property
    def update(self) -> UpdateSummary:
        """What its status tells of updates."""
        return (self.cluster.status.update if self.cluster.status else None) or NOTHING

    @property
    def blocking(self) -> tuple[PreflightFinding, ...]:
        """What the checks have found that keeps the update that is to come from being begun."""
        report = self.update.preflight
        if report is None or not self.is_about_what_comes:
            return ()
        return tuple(f for f in report.findings if f.blocks)

    @property
    def is_about_what_comes(self) -> bool:
        """Whether the status tells of the same update that is to come."""
        choice, said = self.decision.choice, self.update
        return choice is not None and (said.version, said.change) == (str(choice.version), str(choice.change))

    @property
    def turn(self) -> Turn | None:
        """What a Rollout says of what is to come; None when none has a say."""
        return self.subject.ruling.about(self.decision)

    def explanation(
        self,
        state: State,
        reason: str,
        answer: str,
        because: Iterable[Because] = (),
        coming: Iterable[Coming] = (),
    ) -> Explanation:
        """An answer about this Cluster. What a person can do is added later."""
        decision, running = self.decision, self.subject.running
        version = decision.choice.version if decision.choice else decision.target
        words = (str(running) if running else None, str(version) if version else None)
        return Explanation(state, reason, decision.reason, *words, answer, tuple(because), tuple(coming))


def windows_of(view: View) -> str:
    """Who says when the Cluster may be changed, in words."""
    calendar = view.subject.calendar
    if not isinstance(calendar, Calendar) or calendar.is_default:
        return "nobody has set a window, so it is one that follows from its UID"
    if calendar.windows == view.cluster.spec.maintenance.windows:
        return "spec.maintenance of the Cluster"
    if calendar.windows == view.subject.site.spec.maintenance.windows:
        return f"spec.maintenance of Site {view.subject.site.metadata.name}"
    return f"the annotation of Namespace {view.cluster.metadata.namespace}"


def exclusion_of(view: View, exclusion: Exclusion) -> str:
    """Who has set an exclusion, in words."""
    if exclusion in view.cluster.spec.maintenance.exclusions:
        return "spec.maintenance of the Cluster"
    if exclusion in view.subject.site.spec.maintenance.exclusions:
        return f"spec.maintenance of Site {view.subject.site.metadata.name}"
    return f"the annotation of Namespace {view.cluster.metadata.namespace}"


def opening(view: View, choice: Choice) -> Iterator[Because]:
    """When the Cluster may be changed next, and what is left out of that."""
    calendar, now = view.subject.calendar, view.now
    found = next_opening(calendar, choice.change, now)
    if found is not None:
        is_open = found.start <= now
        words = f"is open until {moment(found.end)}" if is_open else f"opens {moment(found.start)}"
        reason = "MaintenanceOpen" if is_open else "MaintenanceClosed"
        yield Because(reason, f"the maintenance window {words} ({windows_of(view)})")
    until = found.start if found is not None else now + HORIZON
    taken = calendar.taken_by(choice.change, now, until, LEAST_LEFT)
    active = calendar.excluded_by(choice.change, now)
    for exclusion in dict.fromkeys(e for e in (active, taken) if e is not None):
        since = f"from {moment(exclusion.from_)} " if exclusion.from_ > now else ""
        words = f"changes are left out {since}until {moment(exclusion.until)}: {exclusion.reason}"
        yield Because("Exclusion", f"{words} ({exclusion_of(view, exclusion)})")


def unmet(view: View) -> Iterator[Because]:
    """Conditions of a Cluster that is not Ready, other than the one that sums them up: what is below it."""
    status = view.cluster.status
    for condition in status.conditions if status else ():
        if condition.type not in ("Ready", "VersionUpToDate") and condition.status == "False" and condition.message:
            yield Because(condition.reason, f"{condition.type}: {condition.message}")


def unready(view: View) -> Iterator[Because]:
    """Why the Cluster is not Ready, in the deepest words that there are."""
    status = view.cluster.status
    for condition in status.conditions if status else ():
        if condition.type == "Ready" and condition.status != "True" and condition.message:
            yield Because(condition.reason, condition.message)
