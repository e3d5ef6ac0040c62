"""What is said of a node to people: one state, one reason, one sentence, and the time of the next look. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kaas.api.repair import Action
from kaas.api.repair_status import MAX_MESSAGE
from kaas.kube.conditions import condition_of
from kaas.kube.times import stamp
from kaas.repairs.decisions import Act, Decision, Hold, Wait, Watch
from kaas.repairs.facts import Finding, Patient
from kaas.repairs.reasons import Reason

_HELD: Final[dict[str, str]] = {Reason.QUARANTINED: "Quarantined", Reason.DRY_RUN: "DryRun"}
_PHASES: Final = {"Watching": "Pending", "Repairing": "Repairing", "Waiting": "Repairing", "Healed": "Succeeded"}


@dataclass(frozen=True, slots=True)
class Words:
    """One node in words. state: as in `SickNode.state`. reason: what holds it back, "" for nothing."""

    state: str
    reason: str
    message: str
    step: Action | None
    next_time: datetime | None


def words(decision: Decision | None, patient: Patient | None) -> Words:
    """A decision in words; without one, that nothing is decided yet."""
    progress = patient.progress if patient else None
    step = progress.action if progress else None
    if isinstance(decision, Hold):
        state = _HELD.get(decision.reason, "Held")
        return Words(state, decision.reason, decision.message, decision.action, decision.until)
    if isinstance(decision, Watch):
        return Words("Watching", decision.reason, decision.message, step, decision.until)
    if isinstance(decision, Act):
        return Words("Repairing", "", decision.message, decision.action, None)
    if isinstance(decision, Wait):
        return Words(_waiting(patient), "", decision.message, step, decision.until)
    healed = "Healed" if decision and decision.healed else "Watching"
    return Words(healed, "", decision.message if decision else "it has just been found", step, None)


def _waiting(patient: Patient | None) -> str:
    acted = patient is not None and patient.progress is not None and patient.progress.acted is not None
    return "Waiting" if acted else "Repairing"


def told(
    decision: Decision | None, patient: Patient | None, before: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The part of a NodeRepair's status that is for people. before: the status as it is, for times of transitions."""
    said = words(decision, patient)
    phase = said.state if said.state in ("Held", "Quarantined", "DryRun") else _PHASES[said.state]
    found: dict[str, Any] = {
        "phase": phase,
        "message": said.message[:MAX_MESSAGE],
        "node": patient.machine.node if patient else None,
        "pool": (patient.machine.pool[2] or None) if patient else None,
        "findings": [_finding(f) for f in patient.findings] if patient else [],
        "nextTime": stamp(said.next_time),
        "conditions": [
            _condition("Progressing", phase in ("Pending", "Repairing"), said, before, now),
            _condition("Held", phase in ("Held", "Quarantined", "DryRun"), said, before, now),
        ],
    }
    return {k: v for k, v in found.items() if v is not None}


def _finding(finding: Finding) -> dict[str, Any]:
    return {"signal": finding.signal, "since": stamp(finding.since), "message": finding.message[:MAX_MESSAGE]}


def _condition(name: str, holds: bool, said: Words, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    reason = (said.reason or said.state) if holds else said.state
    return condition_of(name, holds, reason, said.message if holds else "", before, now)
