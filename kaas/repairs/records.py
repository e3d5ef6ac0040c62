"""How far a repair is, as it is written down: in the status of its NodeRepair, and afterwards on its Machine. Pure.

What is written down is enough for another process to go on: every step is written before it is begun.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from kaas.api.constants import ANNOTATION_HISTORY, ANNOTATION_REPLACED
from kaas.api.repair import Action, RepairPolicy
from kaas.api.repair_status import MAX_MESSAGE
from kaas.kube.objects import Object, annotation, metadata, owner_reference
from kaas.kube.resources import CLUSTER_NAME_LABEL, NODE_REPAIR
from kaas.kube.times import at, stamp, whole
from kaas.repairs.decisions import Act
from kaas.repairs.facts import CALLED_OFF, FAILED, SKIPPED, SUCCEEDED, TIMED_OUT, Progress, Try

KEPT_TRIES: Final = 10
"""Tries that are remembered of a machine, and replacements of a pool."""
MOST_TRIED: Final = 20
"""Tries that the status of one repair tells."""
MOST_WORDS: Final = MAX_MESSAGE

_CORDONS: Final = frozenset({Action.DRAIN, Action.QUARANTINE})


def begun(before: Progress | None, act: Act, now: datetime, boot_id: str) -> Progress:
    """The repair with the next step begun; what was tried before is closed."""
    base = before or Progress(began=whole(now), cause=act.cause)
    tried = (*_ended(base, now), *(Try(a, act.cause, whole(now), whole(now), SKIPPED, why) for a, why in act.skipped))
    return replace(
        base,
        step=act.step,
        action=act.action,
        started=whole(now),
        acted=None,
        number=act.number,
        failed="",
        not_before=None,
        boot_id=boot_id,
        cordoned=base.cordoned or act.action in _CORDONS,
        tried=tried[-MOST_TRIED:],
    )


def over(progress: Progress, now: datetime, *, healed: bool, why: str = "") -> tuple[Try, ...]:
    """Everything that was tried, the last with how it ended. why: for people, when it has not healed."""
    if healed:
        return _ended(progress, now, SUCCEEDED)
    return _ended(progress, now, CALLED_OFF, why)


def _ended(progress: Progress, now: datetime, outcome: str | None = None, why: str = "") -> tuple[Try, ...]:
    """What was tried, the current step included. A drain that came to its end has done what it is for."""
    if progress.action is None or progress.started is None:
        return progress.tried
    if outcome is None:
        drained = progress.action is Action.DRAIN and progress.acted is not None
        outcome = SUCCEEDED if drained else FAILED if progress.failed else TIMED_OUT
    last = Try(progress.action, progress.cause, progress.started, now, outcome, progress.failed or why)
    return (*progress.tried, last)


def status_of(progress: Progress) -> Object:
    """The part of a NodeRepair's status that says how far it is."""
    told: Object = {
        "began": stamp(progress.began),
        "cause": progress.cause,
        "step": progress.step,
        "action": progress.action,
        "started": stamp(progress.started),
        "acted": stamp(progress.acted),
        "number": progress.number or None,
        "failed": progress.failed or None,
        "notBefore": stamp(progress.not_before),
        "bootId": progress.boot_id or None,
        "cordoned": progress.cordoned or None,
        "quarantined": stamp(progress.quarantined),
        "tried": [_try_json(t) for t in progress.tried],
    }
    return {k: v for k, v in told.items() if v is not None}


def progress_of(repair: Object) -> Progress | None:
    """What a NodeRepair says; None for one that nothing was done about yet."""
    status = repair.get("status") or {}
    if "began" not in status:
        return None
    return Progress(
        began=at(status["began"]),
        cause=status.get("cause", ""),
        step=status.get("step"),
        action=Action(status["action"]) if "action" in status else None,
        started=_time(status, "started"),
        acted=_time(status, "acted"),
        number=status.get("number", 0),
        failed=status.get("failed", ""),
        not_before=_time(status, "notBefore"),
        boot_id=status.get("bootId", ""),
        cordoned=status.get("cordoned", False),
        quarantined=_time(status, "quarantined"),
        tried=tuple(_try_of(t) for t in status.get("tried") or ()),
    )


def node_repair(machine: Object, policy: RepairPolicy) -> Object:
    """The NodeRepair of a Machine as Cluster API makes it: named as the Machine and owned by it."""
    meta = metadata(machine)
    return {
        "apiVersion": NODE_REPAIR.api_version,
        "kind": NODE_REPAIR.kind,
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": {CLUSTER_NAME_LABEL: (meta.get("labels") or {}).get(CLUSTER_NAME_LABEL, "")},
            "ownerReferences": [owner_reference(machine, controller=False, block_deletion=False)],
        },
        "spec": policy.to_json(),
    }


def history_of(machine: Object) -> tuple[Try, ...]:
    """Tries of earlier repairs of a Machine, oldest first. What is not readable counts as not there."""
    return tuple(_read(annotation(machine, ANNOTATION_HISTORY), _try_of))


def with_history(before: Iterable[Try], tried: Iterable[Try]) -> str:
    """Value of the Machine's annotation after a repair; the same repair told twice counts once."""
    every = {(t.action, t.began): t for t in (*before, *tried)}
    last = sorted(every.values(), key=lambda t: t.began)[-KEPT_TRIES:]
    return json.dumps([_try_json(t) for t in last], separators=(",", ":"))


def replaced_of(deployment: Object) -> tuple[datetime, ...]:
    """When machines of a MachineDeployment were replaced by a repair, oldest first."""
    return tuple(_read(annotation(deployment, ANNOTATION_REPLACED), at))


def with_replaced(before: Iterable[datetime], now: datetime) -> str:
    """Value of the MachineDeployment's annotation after one more."""
    last = sorted({*before, whole(now)})[-KEPT_TRIES:]
    return json.dumps([stamp(t) for t in last], separators=(",", ":"))


def _read(text: str | None, parse: Any) -> list[Any]:
    """Items of an annotation that is a JSON list: anyone may have written it."""
    try:
        found = json.loads(text or "[]")
        return [parse(item) for item in found]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


def _try_json(tried: Try) -> Object:
    told = {
        "action": str(tried.action),
        "cause": tried.cause,
        "began": stamp(tried.began),
        "ended": stamp(tried.ended),
        "outcome": tried.outcome,
        "message": tried.message or None,
    }
    return {k: v for k, v in told.items() if v is not None}


def _try_of(told: Mapping[str, Any]) -> Try:
    return Try(
        action=Action(told["action"]),
        cause=told["cause"],
        began=at(told["began"]),
        ended=at(told["ended"]),
        outcome=told["outcome"],
        message=told.get("message", ""),
    )


def _time(status: Mapping[str, Any], name: str) -> datetime | None:
    return at(status[name]) if status.get(name) else None
