"""What is told of a Cluster's updates: `status.update`, a condition, and Events on transitions. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kaas.api.constants import CONDITION_UPDATES
from kaas.api.update_status import EXPIRED
from kaas.api.versions import KubernetesVersion
from kaas.kube.conditions import MAX_MESSAGE, condition_of
from kaas.kube.objects import Object
from kaas.kube.ports import EventType
from kaas.kube.times import stamp
from kaas.updates.expiry import Notice, announcement
from kaas.updates.facts import Change, Decision
from kaas.updates.holding import hold
from kaas.updates.planner import Subject, next_opening
from kaas.updates.targets import EXPIRED_ALONE

INVALID: Final = "MaintenanceInvalid"
HELD: Final = frozenset({INVALID, "NotReady", "Paused", "RepairInFlight", "NoMaintenanceWindow", "Excluded"})
"""Reasons for which an update that is due is held back."""
_WRONG: Final = frozenset({INVALID, EXPIRED_ALONE, "SiteLimit", "VersionChanged"})
"""Reasons for which nothing is to be done, and yet what runs is not what should."""
_SEVERE: Final = frozenset({INVALID, "NoMaintenanceWindow"})


@dataclass(frozen=True, slots=True)
class Told:
    """One Event."""

    reason: str
    message: str
    type: EventType = "Normal"


def without_maintenance(decision: Decision, problem: str) -> Decision:
    """A decision when nobody knows when the Cluster may be changed: what is under way goes on, nothing is begun."""
    if not problem or (decision.target is not None and decision.choice is None):
        return decision
    return Decision(None, decision.choice, INVALID, problem, decision.until)


def status(subject: Subject, decision: Decision, said: Notice | None, before: Object, now: datetime) -> Object:
    """The status to write. before: the status as it is."""
    held = hold(subject, followed(subject, decision), decision.reason, now)
    found = {
        "target": str(target) if (target := followed(subject, decision)) else None,
        "version": str(_going_to(decision)) if _going_to(decision) else None,
        "change": str(decision.choice.change) if decision.choice else None,
        "since": stamp(decision.choice.since) if decision.choice else None,
        "reason": decision.reason,
        "message": decision.message[:MAX_MESSAGE],
        "nextTime": stamp(decision.begins),
        "nextMaintenance": _maintenance(subject, decision, now),
        "began": stamp(now if is_begun(subject, decision) else subject.standing.began),
        "announced": _announced(said),
        "hold": held.to_json() if held else None,
    }
    holds = None if subject.running is None else _going_to(decision) is None and decision.reason not in _WRONG
    condition = condition_of(CONDITION_UPDATES, holds, decision.reason, decision.message, before, now)
    return {"update": {k: v for k, v in found.items() if v is not None}, "conditions": [condition]}


def followed(subject: Subject, decision: Decision) -> KubernetesVersion | None:
    """What the Cluster is to run: stays when it runs, for it may be newer than what its spec asks for."""
    before, running = subject.standing.target, subject.running
    return decision.target or (before if before and running and before <= running else None)


def _going_to(decision: Decision) -> KubernetesVersion | None:
    return decision.choice.version if decision.choice else decision.target


def is_begun(subject: Subject, decision: Decision) -> bool:
    """Whether this decision is the one that begins an update."""
    return decision.target is not None and decision.choice is not None and decision.target != subject.standing.target


def _maintenance(subject: Subject, decision: Decision, now: datetime) -> Object | None:
    change = decision.choice.change if decision.choice else Change.PATCH
    opening = next_opening(subject.calendar, change, now)
    return {"start": stamp(opening.start), "end": stamp(opening.end)} if opening else None


def _announced(said: Notice | None) -> Object | None:
    if said is None or said.announced is None:
        return None
    known = said.announced
    return {"version": str(known.version), "first": stamp(known.first), "daysBefore": known.days}


def transitions(
    subject: Subject, decision: Decision, said: Notice | None, before: Object, after: Object, now: datetime
) -> Iterator[Told]:
    """What has changed, for people. before, after: the `update` of the status as it was, and as it is now."""
    running, target = subject.running, before.get("target")
    if target and before.get("version") == target and running and running >= KubernetesVersion.parse(target):
        yield Told("Updated", f"runs {running}")
    if "hold" in after and "hold" not in before:
        yield Told("UpdateHeld", after["hold"]["message"])
    if said is not None and said.is_new:
        yield Told("VersionExpires", announcement(said, now), "Warning")
    if is_begun(subject, decision):
        yield Told("UpdateBegun", decision.message)
    elif decision.reason in HELD and decision.reason != before.get("reason"):
        yield Told("UpdateHeld", decision.message, "Warning" if decision.reason in _SEVERE else "Normal")
    elif (
        decision.choice is not None
        and decision.target is None
        and str(decision.choice.version) != before.get("version")
    ):
        yield Told("UpdateAnnounced", decision.message, "Warning" if decision.reason == EXPIRED else "Normal")


def same(one: Any, other: Any) -> bool:
    """Whether two statuses say the same, but for the time at which a condition changed."""
    return bool(_timeless(one) == _timeless(other))


def _timeless(status: Object) -> Object:
    conditions = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in status.get("conditions") or ()]
    return {"update": status.get("update") or {}, "conditions": conditions}


def ours(live: Object) -> Object:
    """Of a Cluster's status, what this feature writes."""
    found = live.get("status") or {}
    conditions = [c for c in found.get("conditions") or () if c["type"] == CONDITION_UPDATES]
    return {"update": found.get("update") or {}, "conditions": conditions}
