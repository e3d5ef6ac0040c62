"""What people are told when a Rollout's status changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kaas.api.rollout_status import ABORTED, PAUSED, GateStatus, RolloutStatus, StageStatus, State
from kaas.updates.rollouts.progress import CHANGED, GONE
from kaas.updates.rollouts.scene import Told

_MOST = 10
"""Members that are told of one by one in a round."""
_TOLD = {State.FAILED: ("MemberFailed", True), State.SKIPPED: ("MemberSkipped", False)}


def transitions(before: RolloutStatus, after: RolloutStatus) -> Iterator[Told]:
    """What has changed, for people."""
    if after.run and after.run != before.run:
        yield Told("RolloutStarted", f"run {after.run}: {after.brings} goes through the fleet")
        before = RolloutStatus()
    known = {stage.name: stage for stage in before.stages}
    for stage in after.stages:
        yield from _of_stage(known.get(stage.name), stage)
    yield from _of_all(before, after)
    wrong = next((c for c in after.conditions if c.type == "AnnotationsRead" and c.status == "False"), None)
    if wrong and not any(c.type == wrong.type and c.status == "False" for c in before.conditions):
        yield Told("AnnotationUnreadable", wrong.message, warning=True)


def _of_all(before: RolloutStatus, after: RolloutStatus) -> Iterator[Told]:
    words = after.message or ""
    if after.halt and not before.halt:
        yield Told("RolloutStopped", after.halt.message, warning=True)
    if after.state is State.COMPLETED and before.state is not State.COMPLETED:
        yield Told("RolloutCompleted", words)
    for reason, name in ((ABORTED, "RolloutAborted"), (PAUSED, "RolloutPaused")):
        if after.reason == reason != before.reason:
            yield Told(name, words)
    held = (State.STOPPING, State.STOPPED)
    if before.state in held and after.state not in held:
        yield Told("RolloutResumed", words)


def _of_stage(before: StageStatus | None, after: StageStatus) -> Iterator[Told]:
    yield from _of_gates(before.before_gates if before else (), after.before_gates, after.name)
    if after.started and not (before and before.started):
        yield Told("StageStarted", f"stage {after.name}, members: {len(after.members)}")
    yield from _of_members(before, after)
    yield from _of_gates(before.after_gates if before else (), after.after_gates, after.name)
    if after.state is State.COMPLETED and not (before and before.state is State.COMPLETED):
        yield Told("StageCompleted", f"stage {after.name} is through")


def _of_members(before: StageStatus | None, after: StageStatus) -> Iterator[Told]:
    known = {r.key: r.state for r in before.members} if before else {}
    new = [r for r in after.members if r.state in _TOLD and known.get(r.key) is not r.state]
    new = [r for r in new if r.state is State.FAILED or r.reason in (CHANGED, GONE)]
    for record in new[:_MOST]:
        name, is_warning = _TOLD[record.state]
        yield Told(name, f"{record.namespace}/{record.name}: {record.message}", is_warning)
    if len(new) > _MOST:
        yield Told("MembersEnded", f"stage {after.name}: {len(new) - _MOST} more members failed or were left out", True)


def _of_gates(before: Sequence[GateStatus], after: Sequence[GateStatus], stage: str) -> Iterator[Told]:
    known = {(g.name, g.asked): g.open for g in before}
    for gate in after:
        was = known.get((gate.name, gate.asked))
        if not gate.open and was is None:
            yield Told("GateWaits", f"stage {stage}, gate {gate.name}: {gate.message}")
        elif gate.open and not was:
            yield Told("GateOpened", f"stage {stage}, gate {gate.name}: {gate.message}")
