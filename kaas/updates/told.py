"""What is told of a Cluster's updates: `status.update`, a condition, and Events on transitions. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kaas.api.constants import CONDITION_UPDATES
from kaas.api.update_status import EXPIRED, VERSION_CHANGED, RolledBack
from kaas.api.versions import KubernetesVersion
from kaas.kube.conditions import MAX_MESSAGE, condition_of
from kaas.kube.objects import Object
from kaas.kube.ports import EventType
from kaas.kube.times import stamp
from kaas.updates.addons import ADD_ON_LIMIT, changes_of
from kaas.updates.conduct import Conduct
from kaas.updates.expiry import Notice, announcement
from kaas.updates.facts import Change, Decision
from kaas.updates.ledger import rollback
from kaas.updates.ledger.steps import put_up_with
from kaas.updates.limits import SITE_LIMIT
from kaas.updates.places import SITE_BUSY
from kaas.updates.planner import next_opening
from kaas.updates.run import FINISHED
from kaas.updates.subject import Subject
from kaas.updates.targets import EXPIRED_ALONE
from kaas.updates.unread import UNKNOWN
from kaas.updates.unusable import INVALID

HELD: Final = frozenset({INVALID, "NotReady", "Paused", "RepairInFlight", "NoMaintenanceWindow", "Excluded", SITE_BUSY})
"""Reasons for which an update that is due is held back."""
_WRONG: Final = frozenset({INVALID, EXPIRED_ALONE, SITE_LIMIT, ADD_ON_LIMIT, VERSION_CHANGED})
"""Reasons for which nothing is to be done, and yet what runs is not what should."""
_BROUGHT: Final = ("changes", "image", "classRevision", "certificates", "addOns", "forcedFrom")
_SEVERE: Final = frozenset({INVALID, "NoMaintenanceWindow"})


@dataclass(frozen=True, slots=True)
class Told:
    """One Event."""

    reason: str
    message: str
    type: EventType = "Normal"


def status(
    subject: Subject,
    decision: Decision,
    said: Notice | None,
    before: Object,
    now: datetime,
    conduct: Conduct,
) -> Object:
    """The status to write. before: the status as it is."""
    target, held = followed(subject, decision), conduct.ledger.hold
    going_to, turn = _going_to(decision), subject.ruling.about(decision)
    found = {
        "target": str(target) if target else None,
        "version": str(going_to) if going_to else None,
        "change": str(decision.choice.change) if decision.choice else None,
        "since": stamp(decision.choice.since) if decision.choice else None,
        "reason": decision.reason,
        "message": decision.message[:MAX_MESSAGE],
        "nextTime": stamp(decision.begins),
        "nextMaintenance": _maintenance(subject, decision, now),
        "began": stamp(now if is_begun(decision) else subject.standing.began),
        "announced": _announced(said),
        "hold": held.to_json() if held else None,
        "rollout": turn.rollout if turn else None,
        **_conducted(conduct, before["update"], target),
    }
    is_known = subject.running is not None and decision.reason not in UNKNOWN
    holds = going_to is None and decision.reason not in _WRONG if is_known else None
    condition = condition_of(CONDITION_UPDATES, holds, decision.reason, decision.message, before, now)
    return {"update": {k: v for k, v in found.items() if v not in (None, [])}, "conditions": [condition]}


def _conducted(conduct: Conduct, before: Object, target: KubernetesVersion | None) -> Object:
    """What is said of the update under way, or of the last one as long as what it brought is followed."""
    aims, ledger = conduct.aims, conduct.ledger
    brought: Object = {k: before.get(k) for k in _BROUGHT} if target and not conduct.begun else {}
    if aims is not None:
        brought = {
            "changes": [str(c) for c in aims.changes],
            "image": aims.image,
            "classRevision": aims.class_revision,
            "certificates": stamp(aims.certificates),
            "addOns": [c.to_json() for c in changes_of(aims.add_ons)],
            "forcedFrom": stamp(conduct.decision.forced_from),
        }
    parts = {
        "preflight": conduct.preflight,
        "baseline": conduct.baseline,
        "availability": conduct.availability,
        "stopped": ledger.stopped,
        "retried": ledger.retried,
        "before": conduct.before,
    }
    said = {name: part.to_json() if part else None for name, part in parts.items()}
    lists = {"steps": ledger.steps, "rolledBack": ledger.rolled_back}
    return brought | said | {k: [i.to_json() for i in v] for k, v in lists.items()} | {"waiting": [*conduct.waiting]}


def followed(subject: Subject, decision: Decision) -> KubernetesVersion | None:
    """What the Cluster is to run: stays when it runs, for it may be newer than what its spec asks for.

    It stays too while nothing is known of the control plane: without it all pools that wait would be let go.
    """
    before, running = subject.standing.target, subject.running
    stays = before is not None and (running is None or before <= running)
    return decision.target or (before if stays else None)


def _going_to(decision: Decision) -> KubernetesVersion | None:
    return decision.choice.version if decision.choice else decision.target


def is_begun(decision: Decision) -> bool:
    """Whether this decision is the one that begins an update."""
    return decision.target is not None and decision.choice is not None


def _maintenance(subject: Subject, decision: Decision, now: datetime) -> Object | None:
    changes = decision.aims.changes if decision.aims else (Change.PATCH,)
    change = decision.choice.change if decision.choice else changes[0]
    opening = next_opening(subject.calendar, change, now)
    return {"start": stamp(opening.start), "end": stamp(opening.end)} if opening else None


def _announced(said: Notice | None) -> Object | None:
    if said is None or said.announced is None:
        return None
    known = said.announced
    return {"version": str(known.version), "first": stamp(known.first), "daysBefore": known.days}


def transitions(
    decision: Decision, said: Notice | None, before: Object, after: Object, now: datetime
) -> Iterator[Told]:
    """What has changed, for people. before, after: the `update` of the status as it was, and as it is now."""
    yield from _ended(before, after)
    if "hold" in after and "hold" not in before:
        yield Told("UpdateHeld", after["hold"]["message"])
    if said is not None and said.is_new:
        yield Told("VersionExpires", announcement(said, now), "Warning")
    yield from _decided(decision, before, after)
    yield from _blocked(before, after)
    yield from _stopped(before, after)


def ended(before: Object, after: Object) -> str | None:
    """How an update has ended since it was told last: Done, or Skipped when it was called off; None if it has not."""
    was, is_now = (_state_of_step(update, FINISHED) for update in (before, after))
    return is_now if was not in (None, is_now) and is_now in ("Done", "Skipped") else None


def _ended(before: Object, after: Object) -> Iterator[Told]:
    """That an update is through, or called off."""
    state, target = ended(before, after), before.get("target")
    if state == "Done":
        yield Told("Updated", f"the update to {target} is through")
    elif state == "Skipped":
        yield Told("UpdateCalledOff", f"the update to {target} is called off: {after.get('message')}")


def _state_of_step(update: Object, name: str) -> str | None:
    return next((s["state"] for s in update.get("steps") or () if s["name"] == name), None)


def _decided(decision: Decision, before: Object, after: Object) -> Iterator[Told]:
    if is_begun(decision):
        yield Told("UpdateBegun", decision.message)
        yield from _overridden(after)
    elif decision.reason in HELD and decision.reason != before.get("reason"):
        yield Told("UpdateHeld", decision.message, "Warning" if decision.reason in _SEVERE else "Normal")
    elif (
        decision.choice is not None
        and decision.target is None
        and str(decision.choice.version) != before.get("version")
    ):
        yield Told("UpdateAnnounced", decision.message, "Warning" if decision.reason == EXPIRED else "Normal")


def _overridden(after: Object) -> Iterator[Told]:
    """That the update which begins puts up with what would block it."""
    found = (after.get("preflight") or {}).get("findings") or ()
    if said := put_up_with({f["check"]: f["override"] for f in found if f.get("override")}):
        words = f"the update to {after.get('target')} is begun although checks are against it: {said}"
        yield Told("PreflightOverridden", words, "Warning")


def _blocked(before: Object, after: Object) -> Iterator[Told]:
    """That other checks than before keep the next update from being begun: told as soon as it is found, also early."""
    blocking = _blocking(after)
    if blocking and blocking.keys() != _blocking(before).keys():
        version = after.get("version") or "the next update"
        yield Told("UpdateBlocked", f"{version} cannot be begun: {'; '.join(blocking.values())}"[:1024], "Warning")


def _blocking(update: Object) -> dict[str, str]:
    """Words of the checks that block, by check."""
    found = (update.get("preflight") or {}).get("findings") or ()
    blocking = (f for f in found if f["severity"] == "Block" and not f.get("override"))
    return {f["check"]: f"{f['check']}: {f['message']}" for f in blocking}


def _stopped(before: Object, after: Object) -> Iterator[Told]:
    stopped, was = after.get("stopped"), before.get("stopped")
    if stopped and (was is None or was["since"] != stopped["since"]):
        yield Told("UpdateStopped", f"step {stopped['step']}: {stopped['message']}", "Warning")
        if back := [RolledBack.model_validate(e) for e in after.get("rolledBack") or ()]:
            yield Told("UpdateRolledBack", "; ".join(rollback.told(back)))
    if was and (retried := after.get("retried")) and retried != before.get("retried"):
        yield Told("UpdateRetried", f"the update goes on: {retried['reason']}")


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
