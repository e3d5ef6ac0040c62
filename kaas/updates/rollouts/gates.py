"""What must hold before a stage starts, and after it: gates, asked one after the other. Pure.

A gate that has opened stays open for the run. What cannot be found out keeps a gate closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from kaas.api.rollout import ANNOTATION_ROLLOUT_APPROVED, Gate, GateType, PromQLGate, Stage
from kaas.api.rollout_acts import Act
from kaas.api.rollout_status import GateStatus, RolloutMember, State
from kaas.updates.planner import moment
from kaas.updates.rollouts.scene import Ask, Scene

AGAIN: Final = timedelta(seconds=60)
"""After so long metrics are asked again."""
_NAMED: Final = 3  # of members that are not well, so many are named


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to say of one gate now. holds: whether its condition does. until: when to look again."""

    holds: bool
    message: str
    until: datetime | None = None
    approved: datetime | None = None


@dataclass(slots=True)
class Passage:
    """Gates of one place: those that were come to, in order.

    is_open: whether all are. until: when one may open by the clock. again: when metrics are to be asked again.
    """

    gates: list[GateStatus] = field(default_factory=list)
    is_open: bool = True
    asks: list[Ask] = field(default_factory=list)
    until: datetime | None = None
    again: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where gates stand. members: of all stages so far. used: times of approvals that have opened a gate."""

    stage: Stage
    members: Sequence[RolloutMember]
    used: frozenset[datetime]
    scene: Scene


def passage(gates: Iterable[Gate], before: Sequence[GateStatus], place: Place) -> Passage:
    """Go through gates until one is closed."""
    known, found, used = {g.name: g for g in before}, Passage(), set(place.used)
    for gate in gates:
        status = known.get(gate.name)
        if status is None or not status.open:
            here = Place(place.stage, place.members, frozenset(used), place.scene)
            status = _looked_at(gate, status, here, found)
        found.gates.append(status)
        if status.approved:
            used.add(status.approved)
        if not status.open:
            found.is_open = False
            break
    return found


def _looked_at(gate: Gate, before: GateStatus | None, place: Place, found: Passage) -> GateStatus:
    now = place.scene.now
    seen = _FINDERS[gate.type](gate, place, found)
    holds = (before.holds if before and before.holds else now) if seen.holds else None
    opens = holds + timedelta(seconds=gate.sustained_seconds) if holds else None
    is_open = opens is not None and opens <= now
    found.until = None if is_open else opens or seen.until
    found.again = now + AGAIN if gate.type is GateType.PROM_QL and not is_open else None
    is_same = before is not None and not is_open and (before.holds is None) == (holds is None)
    keeps = is_same and gate.type is GateType.PROM_QL and not _is_problem(before, seen)
    return GateStatus(
        name=gate.name,
        open=is_open,
        asked=before.asked if before else now,
        holds=holds,
        opened=now if is_open else None,
        approved=seen.approved,
        message=(before.message if keeps and before else seen.message)[:1024],
    )


def _is_problem(before: GateStatus | None, seen: Found) -> bool:
    """Whether what is found is of another kind than what is said: numbers change all the time, and are not retold."""
    return before is None or before.message.partition(":")[0] != seen.message.partition(":")[0]


# --- the types ----------------------------------------------------------------------------------------------------


def _healthy(_: Gate, place: Place, __: Passage) -> Found:
    """All members that were updated, or tried, are well."""
    unwell = []
    for record in place.members:
        member = place.scene.members.get(record.key)
        if member is None or record.state is State.SKIPPED:
            continue
        if member.ready is not True or member.stopped is not None or record.state is State.FAILED:
            unwell.append(member.name)
    if not unwell:
        return Found(True, f"all members so far are Ready: {len(place.members)}")
    more = f" and {len(unwell) - _NAMED} more" if len(unwell) > _NAMED else ""
    words = f"not Ready, or stopped: {', '.join(unwell[:_NAMED])}{more}: repair them, or leave them out with "
    return Found(False, f"{words}`kaas rollout skip`")


def _approval(gate: Gate, place: Place, _: Passage) -> Found:
    stage, acts = place.stage.name, place.scene.acts.approved
    said = (acts.get(f"{stage}/{gate.name}"), acts.get(stage))
    act = next((a for a in said if a is not None and _counts(a, place)), None)
    if act is not None:
        return Found(True, f"approved by {act.words}", approved=act.at)
    words = (
        f"waits for a person: approve it with `kaas rollout approve`, or the annotation {ANNOTATION_ROLLOUT_APPROVED}"
    )
    return Found(False, f"{words} for stage {stage}")


def _counts(act: Act, place: Place) -> bool:
    """Whether an approval is of this run, and has opened no other gate."""
    return act.at not in place.used and place.scene.counts(act)


def _start_at(gate: Gate, place: Place, _: Passage) -> Found:
    assert gate.start_at is not None  # noqa: S101 - the API refuses it
    time = gate.start_at.time
    if time <= place.scene.now:
        return Found(True, f"it was to open {moment(time)}")
    return Found(False, f"opens {moment(time)}", until=time)


def _prom_ql(gate: Gate, place: Place, found: Passage) -> Found:
    assert gate.prom_ql is not None  # noqa: S101 - the API refuses it
    asks = [Ask(site, gate.prom_ql.query) for site in gate.prom_ql.sites or _sites(place)]
    found.asks.extend(asks)
    if not asks:
        return Found(False, "there is no Site to ask: name some in promQL.sites")
    for ask in asks:
        if wrong := _wrong(ask, gate.prom_ql, place.scene):
            return Found(False, wrong)
    values = ", ".join(f"{place.scene.known.measured[ask].value:.4g} at {ask.site}" for ask in asks)
    return Found(True, f"is {_bounds(gate.prom_ql)}: {values}, {moment(place.scene.now)}")


def _sites(place: Place) -> list[str]:
    """Sites of the members so far, else of the stage's Clusters."""
    name, scene = place.stage.name, place.scene
    sites = {r.site for r in place.members if r.state is not State.SKIPPED}
    return sorted(sites or {m.site for key, m in scene.members.items() if scene.stages.get(key) == name})


def _wrong(ask: Ask, wanted: PromQLGate, scene: Scene) -> str:
    """Why an answer is not good; empty when it is."""
    answer, where = scene.known.measured.get(ask), f"Site {ask.site}"
    if answer is None:
        return f"{where} is asked"
    if answer.problem:
        return f"{where} could not be asked: {answer.problem}"
    if answer.value is None:
        return f"{where} has no data: for none to count as 0, end promQL.query with `or vector(0)`"
    low = wanted.at_least is None or answer.value >= wanted.at_least
    high = wanted.at_most is None or answer.value <= wanted.at_most
    if low and high:  # neither is true of NaN
        return ""
    return f"{where} is not {_bounds(wanted)}: it was {answer.value:.4g}, {moment(scene.now)}"


def _bounds(wanted: PromQLGate) -> str:
    asked = (("at least", wanted.at_least), ("at most", wanted.at_most))
    return " and ".join(f"{words} {bound:g}" for words, bound in asked if bound is not None)


_FINDERS: Final[Mapping[GateType, Callable[[Gate, Place, Passage], Any]]] = {
    GateType.HEALTHY: _healthy,
    GateType.APPROVAL: _approval,
    GateType.START_AT: _start_at,
    GateType.PROM_QL: _prom_ql,
}
