"""The steps of one update, and how one of them comes to say something else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from kaas.api.update_status import THROUGH, StepState, UpdateStep
from kaas.updates.facts import Aims
from kaas.updates.run import (
    ADD_ONS,
    ANNOUNCED,
    CONTROL_PLANE,
    FINISHED,
    POOL_PREFIX,
    PREFLIGHT,
    VERIFICATION,
    Report,
)

MAX_MESSAGE: Final = 1024
MAX_POOLS: Final = 50
_MOST_REASONS: Final = 900
"""Characters of a message that reasons of overrides take."""

Steps = tuple[UpdateStep, ...]


def begin(
    aims: Aims, pools: Iterable[str], now: datetime, report: Report | None = None, *, reason: str = "Announced"
) -> Steps:
    """The steps of an update that begins now. pools: in the order in which they are updated.

    reason: of the first, under which it is found again why it was begun, whatever the update says meanwhile.
    """
    words = f"to {aims.version}: {', '.join(aims.changes)}"
    machines = [CONTROL_PLANE, *(POOL_PREFIX + p for p in [*pools][:MAX_POOLS])] if aims.replaces else []
    names = [*machines, ADD_ONS, VERIFICATION, FINISHED]
    first = (_done(ANNOUNCED, reason, words, now), _done(PREFLIGHT, "Checked", _checked(report), now))
    return (*first, *(UpdateStep(name=name, state="Pending", since=now) for name in names))


def _checked(report: Report | None) -> str:
    if report is None:
        return "nothing was checked"
    if not report.findings:
        return "all is well"
    warnings = "; ".join(f.message for f in report.findings)
    said = put_up_with({f.check: f.override for f in report.findings if f.override})
    blocks = f"put up with: {said}; nothing else blocks it" if said else "nothing blocks it"
    return f"{blocks}; warnings: {warnings}"


def put_up_with(reasons: Mapping[str, str]) -> str:
    """Why checks do not block although they would, by check: each is named, whatever room the others take."""
    most = _MOST_REASONS // max(len(reasons), 1)
    return "; ".join(f"{check}: {reason}"[:most] for check, reason in reasons.items())


def _done(name: str, reason: str, message: str, now: datetime) -> UpdateStep:
    return told(UpdateStep(name=name, state="Pending"), "Done", reason, message, now)


def told(step: UpdateStep, state: StepState, reason: str, message: str, now: datetime) -> UpdateStep:
    """The step in a state for a reason; its times change only when these do.

    When its machines were replaced stays known as long as it is under way, whatever the reason.
    """
    same = (step.state, step.reason) == (state, reason)
    started = step.started if state == "Pending" or step.started else now
    return UpdateStep(
        name=step.name,
        state=state,
        reason=reason,
        message=message[:MAX_MESSAGE],
        since=step.since if same and step.since else now,
        started=None if state in ("Held", "Skipped") and step.started is None else started,
        finished=(step.finished or now) if state in (*THROUGH, "Failed") else None,
        replaced=step.replaced if state in ("Running", "Held") else None,
    )


def pool_of(step: UpdateStep) -> str | None:
    """The pool that a step is about; None for other steps."""
    return step.name.removeprefix(POOL_PREFIX) if step.name.startswith(POOL_PREFIX) else None


def unfinished(steps: Sequence[UpdateStep]) -> bool:
    """Whether there is an update that is not through."""
    return bool(steps) and not all(s.state in THROUGH for s in steps)


def pools_behind(steps: Sequence[UpdateStep]) -> tuple[str, ...]:
    """Pools whose step is not through, in order."""
    return tuple(p for s in steps if s.state not in THROUGH and (p := pool_of(s)) is not None)
