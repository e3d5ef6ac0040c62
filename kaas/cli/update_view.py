"""What is shown of a Cluster's updates: what is to come, the steps of the one under way, and what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaas.api.update_status import THROUGH, PreflightFinding, UpdateStep, UpdateSummary
from kaas.kube.times import stamp
from kaas.updates.ledger.rollback import told


@dataclass(frozen=True)
class UpdateStepView:
    """One step of an update."""

    name: str
    state: str
    reason: str | None
    message: str | None
    started: str | None
    finished: str | None


@dataclass(frozen=True)
class FindingView:
    """What a check before an update has found. blocks: whether it keeps the update from being begun."""

    check: str
    message: str
    blocks: bool
    override: str | None


@dataclass(frozen=True)
class StoppedView:
    """That an update has stopped."""

    since: str
    step: str
    reason: str
    message: str


@dataclass(frozen=True)
class AvailabilityView:
    """How the API server answered while the update was under way."""

    since: str
    probes: int
    failed: int
    longest_gap_seconds: float


@dataclass(frozen=True)
class UpdateView:
    """What is to come, and what is under way.

    version: it is brought there at `at`, or now. opens, closes: of the next maintenance. steps: of the update under
    way, or of the last one. under_way: whether they are not all through. target: what they bring. checked: when the
    findings were looked at. held: why pools wait for the next window.
    """

    version: str | None
    reason: str | None
    at: str | None
    opens: str | None
    closes: str | None
    message: str | None = None
    target: str | None = None
    changes: Sequence[str] = ()
    under_way: bool = False
    steps: Sequence[UpdateStepView] = ()
    waiting: Sequence[str] = ()
    held: str | None = None
    stopped: StoppedView | None = None
    rolled_back: Sequence[str] = ()
    checked: str | None = None
    findings: Sequence[FindingView] = ()
    availability: AvailabilityView | None = None
    rollout: str | None = None


def of(said: UpdateSummary) -> UpdateView:
    """What is shown of what the status says."""
    window, report = said.next_maintenance, said.preflight
    opens, closes = (stamp(window.start), stamp(window.end)) if window else (None, None)
    return UpdateView(
        version=said.version,
        reason=said.reason,
        at=stamp(said.next_time),
        opens=opens,
        closes=closes,
        message=said.message,
        target=said.target,
        changes=list(said.changes),
        under_way=any(s.state not in THROUGH for s in said.steps),
        steps=[_step(s) for s in said.steps],
        waiting=list(said.waiting),
        held=said.hold.message if said.hold else None,
        stopped=_stopped(said),
        rolled_back=told(said.rolled_back),
        checked=stamp(report.checked) if report else None,
        findings=[_finding(f) for f in (report.findings if report else ())],
        availability=_availability(said),
        rollout=said.rollout,
    )


def _step(step: UpdateStep) -> UpdateStepView:
    return UpdateStepView(step.name, step.state, step.reason, step.message, stamp(step.started), stamp(step.finished))


def _finding(found: PreflightFinding) -> FindingView:
    return FindingView(found.check, found.message, found.blocks, found.override)


def _stopped(said: UpdateSummary) -> StoppedView | None:
    found = said.stopped
    return StoppedView(stamp(found.since), found.step, found.reason, found.message) if found else None


def _availability(said: UpdateSummary) -> AvailabilityView | None:
    found = said.availability
    if found is None:
        return None
    return AvailabilityView(stamp(found.since), found.probes, found.failed, found.longest_gap_milliseconds / 1000)
