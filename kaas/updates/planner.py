"""What is to be done about the version of one Cluster, and when. Pure.

What is to come is chosen by `targets`, when a Cluster may be changed is said by its `Calendar`; here the two meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, Self

from kaas.api.cluster import Cluster
from kaas.api.maintenance import Exclusion
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.update_status import EXPIRED
from kaas.api.versions import KubernetesVersion
from kaas.updates.catalogue import Catalogue, catalogue
from kaas.updates.expiry import Notice, notice
from kaas.updates.facts import Change, Choice, Decision, Opening, Turn
from kaas.updates.standing import Standing, standing_of
from kaas.updates.targets import Refusal

BETWEEN: Final = timedelta(hours=24)
"""Between the beginnings of two updates of a Cluster: a patch shows whether it is well before the minor comes."""
LEAST_LEFT: Final = timedelta(minutes=15)
"""With less of a maintenance window left nothing is begun: it takes a machine about that long to be replaced."""
FORCED_PATIENCE: Final = timedelta(days=7)
"""How long an expired version waits for a window before it is left outside of any."""
HORIZON: Final = timedelta(days=400)
_LATER: Final = timedelta(days=30)
_PATIENCE: Final = f"{FORCED_PATIENCE.days} days"


class Openings(Protocol):
    """When a Cluster may be changed, as `windows.Calendar` says it."""

    def openings(self, change: Change, since: datetime, until: datetime) -> Iterator[Opening]:
        """Times in order, those that have begun before `since` with their real beginning."""

    def excluded_by(self, change: Change, now: datetime) -> Exclusion | None:
        """The exclusion that keeps a change out now."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything that is known of a Cluster.

    running: the oldest version of its control plane. turn: what a Rollout says; None when it is a member of none.
    """

    cluster: Cluster
    running: KubernetesVersion | None
    catalogue: Catalogue
    site: Site
    calendar: Openings
    standing: Standing
    turn: Turn | None = None

    @classmethod
    def of(
        cls,
        cluster: Cluster,
        running: KubernetesVersion | None,
        releases: Iterable[Release],
        site: Site,
        calendar: Openings,
        turn: Turn | None = None,
    ) -> Self:
        """A Cluster as its status says that it stands."""
        return cls(cluster, running, catalogue(releases), site, calendar, standing_of(cluster), turn)


def notice_of(subject: Subject, decision: Decision, now: datetime) -> Notice | None:
    """What there is to announce of the end of what runs, or of what the Cluster is brought to."""
    return _notice(subject, decision.target or subject.running, now)


def _notice(subject: Subject, version: KubernetesVersion | None, now: datetime) -> Notice | None:
    return notice(version, subject.catalogue.ends(version, now), subject.standing.announced, now)


def plan(subject: Subject, now: datetime) -> Decision:
    """What is to be done about a Cluster's version now."""
    found = _found(subject, now)
    said = notice_of(subject, found, now)
    ahead = [t for t in (found.until, said.again if said else None) if t is not None]
    return replace(found, until=min(ahead, default=None))


def _found(subject: Subject, now: datetime) -> Decision:
    target, running = subject.standing.target, subject.running
    choice = subject.catalogue.choose(subject.cluster, running, subject.site, now)
    if isinstance(choice, Refusal):
        return Decision(None, None, choice.reason, choice.message, choice.until)
    if target is not None and running is not None and target > running:
        words = f"the Cluster is brought to {target}; the oldest part of its control plane runs {running}"
        return Decision(target, None, subject.standing.reason or "Updating", words, None)
    return _forced(subject, choice, now) if choice.forced else _by_itself(subject, choice, now)


def _by_itself(subject: Subject, choice: Choice, now: datetime) -> Decision:
    """An update that its owner wants: in the next maintenance window."""
    earliest = _earliest(subject, now)
    opening = next_opening(subject.calendar, choice.change, earliest)
    if opening is None:
        words = (
            f"{choice.version} waits: no maintenance window within {HORIZON.days} days is left free by exclusions for "
            f"{LEAST_LEFT.seconds // 60} minutes; change spec.maintenance"
        )
        return Decision(None, choice, "NoMaintenanceWindow", words, now + _LATER)
    begins = max(opening.start, earliest)
    if begins > now:
        reason, why = _why_later(subject, choice, opening, earliest, now)
        return Decision(None, choice, reason, f"{choice.version} is begun {moment(begins)}: {why}", begins, begins)
    return _begun(subject, choice, opening.end - LEAST_LEFT, "Updating", choice.message)


def _forced(subject: Subject, choice: Choice, now: datetime) -> Decision:
    """Away from what has expired: in the next window, and soon without one; announced first, unless it is wanted."""
    said = _notice(subject, subject.running, now)
    due = max(choice.since, said.due if said else choice.since)
    earliest = _earliest(subject, now if choice.wanted else max(now, due))
    latest = max(due + FORCED_PATIENCE, earliest)
    opening = next_opening(subject.calendar, choice.change, earliest)
    in_time = opening is not None and opening.start <= latest
    begins = max(opening.start, earliest) if opening is not None and in_time else latest
    if begins > now:
        why = "the next maintenance window" if in_time else f"no window is near, and it has waited for {_PATIENCE}"
        told = "" if choice.wanted else f"; it was announced for {due:%Y-%m-%d}"
        words = f"{choice.message}{told}; it is begun {moment(begins)}: {why}"
        return Decision(None, choice, EXPIRED, words, begins, begins)
    ends = opening.end - LEAST_LEFT if opening is not None and in_time else None
    return _begun(subject, choice, ends, EXPIRED, choice.message)


def _begun(subject: Subject, choice: Choice, ends: datetime | None, reason: str, words: str) -> Decision:
    """Begun now, unless the Cluster is in no state for it."""
    if obstacle := subject.standing.obstacle:
        held = f"{choice.version} is not begun: {obstacle.message}"
        return Decision(None, choice, obstacle.reason, held, ends)
    return Decision(choice.version, choice, reason, words, ends)


def next_opening(calendar: Openings, change: Change, since: datetime) -> Opening | None:
    """The next time that is long enough to begin a change, or the one that is open; None when none is near."""
    found = calendar.openings(change, since, since + HORIZON)
    return next((o for o in found if max(o.start, since) + LEAST_LEFT < o.end), None)


def _earliest(subject: Subject, now: datetime) -> datetime:
    began = subject.standing.began
    return max(now, began + BETWEEN) if began else now


def _why_later(
    subject: Subject, choice: Choice, opening: Opening, earliest: datetime, now: datetime
) -> tuple[str, str]:
    exclusion = subject.calendar.excluded_by(choice.change, now)
    if exclusion is not None:
        return "Excluded", f"an exclusion keeps changes out until {moment(exclusion.until)} ({exclusion.reason})"
    if earliest > now and opening.start <= earliest:
        return "TooSoon", f"the last update was begun less than {BETWEEN // timedelta(hours=1)} hours ago"
    return "OutsideMaintenance", "then the next maintenance window opens"


def moment(time: datetime) -> str:
    """A time in words."""
    return f"{time:%Y-%m-%d %H:%M} UTC"
