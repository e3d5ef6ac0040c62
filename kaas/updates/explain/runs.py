"""An update that is under way: which step since when, what it waits for, and why it has stopped. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kaas.api.update_status import THROUGH, UpdateStep
from kaas.updates.explain.facts import Because, Coming, Explanation, State
from kaas.updates.explain.view import View, unmet
from kaas.updates.ledger.advance import BY_HAND
from kaas.updates.ledger.rollback import told
from kaas.updates.ledger.steps import pool_of
from kaas.updates.planner import STOPPED, moment

WINDOW_CLOSED: Final = "WindowClosed"
"""Reason when the maintenance window closed before the update was through."""
HELD: Final = "StepHeld"
UNDER_WAY: Final = "UnderWay"


def of_run(view: View) -> Explanation | None:
    """What is to be said of the update that is under way; None when none is.

    A person's own word about the version counts more than one that has begun: the planner then goes on with it no more.
    """
    run, decision = view.subject.standing.run, view.decision
    if run is None or decision.target is None or decision.choice is not None:
        return None
    if run.stopped:
        return _stopped(view)
    step = current(view)
    if step is None:
        words = f"it is being updated to {run.aims.version}: all steps but the last are through"
        return view.explanation(State.UNDER_WAY, UNDER_WAY, words, _steps(view))
    if waits_for_person(step):
        words = (
            f"pool {pool_of(step)} is updated only when a person says so, for its strategy is Manual, and nobody has"
        )
        return view.explanation(State.BLOCKED, BY_HAND, words, _steps(view), _following(view))
    return _at(view, step)


def current(view: View) -> UpdateStep | None:
    """The step that the update is at: the one under way, else one that is held, else the first that is not through.

    A pool that waits for a person keeps no other waiting: it is what the update is at when nothing else is left.
    """
    left = [s for s in view.update.steps if s.state not in THROUGH]
    under_way = (s for s in left if s.state == "Running")
    held = (s for s in left if s.state != "Pending" and not waits_for_person(s))
    return next(under_way, None) or next(held, None) or next(iter(left), None)


def waits_for_person(step: UpdateStep) -> bool:
    """Whether it is a pool's that is updated by hand only, and nobody has said so."""
    return step.reason == BY_HAND


def _at(view: View, step: UpdateStep) -> Explanation:
    """At a step that a person has nothing to do with."""
    hold, target = view.update.hold, view.update.target
    if hold is not None:
        return view.explanation(State.WAITS, WINDOW_CLOSED, hold.message, _steps(view), _following(view))
    told = f": {step.message}" if step.message else ""
    if step.state == "Held":
        words = f"the update to {target} is held at step {step.name}{told}"
        state = State.BLOCKED if step.reason == "Paused" else State.WAITS
        return view.explanation(state, step.reason or HELD, words, _steps(view), _following(view))
    since = f" since {moment(step.started)}" if step.started else ""
    words = f"it is being updated to {target}: step {step.name}{since}{told}"
    because = (*_steps(view), *unmet(view))
    return view.explanation(State.UNDER_WAY, UNDER_WAY, words, because, _following(view))


def _stopped(view: View) -> Explanation:
    stopped = view.update.stopped
    run = view.subject.standing.run
    step, since = (stopped.step, f" {moment(stopped.since)}") if stopped else ("", "")
    said = stopped.message if stopped else run.stopped if run else ""
    words = f"the update to {view.update.target} stopped at step {step}{since}: {said}"
    back = (Because("RolledBack", t) for t in told(view.update.rolled_back))
    because = (Because(stopped.reason if stopped else STOPPED, said), *back, *_steps(view), *unmet(view))
    return view.explanation(State.BLOCKED, STOPPED, words, because)


def _steps(view: View) -> Iterator[Because]:
    """What has been gone through, and where it is."""
    for step in view.update.steps:
        if step.state == "Pending":
            break
        times = [moment(t) for t in (step.started, step.finished) if t]
        words = "; ".join(filter(None, (" to ".join(times), step.message)))
        yield Because(step.state, f"{step.name}: {words}" if words else step.name)
    yield from _waiting(view)


def _waiting(view: View) -> Iterator[Because]:
    pools = view.update.waiting
    if pools:
        verb = "waits" if len(pools) == 1 else "wait"
        yield Because("PoolsWait", f"pool{'s' * (len(pools) > 1)} {', '.join(pools)} {verb}: not to begin yet")


def _following(view: View) -> Iterator[Coming]:
    """When it goes on, and with what."""
    hold = view.update.hold
    if hold is not None:
        yield Coming(hold.until, "the update goes on" if hold.until else "it goes on when a window opens")
    ahead = [s.name for s in view.update.steps if s.state == "Pending"]
    if ahead:
        yield Coming(None, f"then {', '.join(ahead)}")
