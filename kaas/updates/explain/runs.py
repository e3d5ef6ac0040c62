"""An update that is under way: which step since when, what it waits for, and why it has stopped. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kaas.api.pool_update import Strategy
from kaas.api.update_status import UpdateStep
from kaas.updates.explain.facts import Because, Coming, Explanation, State
from kaas.updates.explain.view import View, unmet
from kaas.updates.planner import moment
from kaas.updates.run import POOL_PREFIX

STOPPED: Final = "Stopped"
"""Reason when an update has stopped by itself."""
WINDOW_CLOSED: Final = "WindowClosed"
"""Reason when the maintenance window closed before the update was through."""
MANUAL: Final = "PoolManual"
"""Reason when a pool waits for a person to say that it may begin."""
HELD: Final = "StepHeld"
UNDER_WAY: Final = "UnderWay"
_THROUGH: Final = frozenset({"Done", "Skipped"})


def of_run(view: View) -> Explanation | None:
    """What is to be said of the update that is under way; None when none is."""
    run = view.subject.standing.run
    if run is None:
        return _without_ledger(view)
    if run.stopped:
        return _stopped(view)
    step = current(view)
    if step is None:
        words = f"it is being updated to {run.aims.version}: all steps but the last are through"
        return view.explanation(State.UNDER_WAY, UNDER_WAY, words, _steps(view))
    if pool := manual_pool(view, step):
        words = (
            f"pool {pool} is updated only when a person says so (its update.strategy is Manual), and nobody has: "
            "all before it is through"
        )
        return view.explanation(State.BLOCKED, MANUAL, words, _steps(view), _following(view))
    return _at(view, step)


def current(view: View) -> UpdateStep | None:
    """The step that the update is at: the first that is not through."""
    return next((s for s in view.update.steps if s.state not in _THROUGH), None)


def manual_pool(view: View, step: UpdateStep) -> str | None:
    """The pool of a step that waits for a person; None when it waits for something else, or does not wait."""
    name = step.name.removeprefix(POOL_PREFIX)
    waits = step.name.startswith(POOL_PREFIX) and step.state in ("Pending", "Held") and step.started is None
    pools = view.cluster.spec.node_pools if waits else ()
    found = next((p for p in pools if p.name == name), None)
    return name if found and found.update.strategy is Strategy.MANUAL else None


def _at(view: View, step: UpdateStep) -> Explanation:
    """At a step that a person has nothing to do with."""
    hold, target = view.update.hold, view.update.target
    if hold is not None:
        return view.explanation(State.WAITS, WINDOW_CLOSED, hold.message, _steps(view), _following(view))
    told = f": {step.message}" if step.message else ""
    if step.state == "Held":
        words = f"the update to {target} is held at step {step.name}{told}"
        return view.explanation(State.WAITS, step.reason or HELD, words, _steps(view), _following(view))
    since = f" since {moment(step.started)}" if step.started else ""
    words = f"it is being updated to {target}: step {step.name}{since}{told}"
    return view.explanation(State.UNDER_WAY, UNDER_WAY, words, _steps(view), _following(view))


def _stopped(view: View) -> Explanation:
    stopped = view.update.stopped
    run = view.subject.standing.run
    step, since = (stopped.step, f" {moment(stopped.since)}") if stopped else ("", "")
    said = stopped.message if stopped else run.stopped if run else ""
    words = f"the update to {view.update.target} stopped at step {step}{since}: {said}"
    because = (Because(stopped.reason if stopped else STOPPED, said), *_steps(view), *unmet(view))
    return view.explanation(State.BLOCKED, STOPPED, words, because)


def _without_ledger(view: View) -> Explanation | None:
    """A target that is gone to without steps, or pools that are behind."""
    decision, hold = view.decision, view.update.hold
    if hold is not None:
        because = (Because(WINDOW_CLOSED, hold.message), *_waiting(view))
        return view.explanation(State.WAITS, WINDOW_CLOSED, hold.message, because, _following(view))
    if decision.target is None or decision.choice is not None:
        return None
    began = f"it was begun {moment(view.update.began)}" if view.update.began else "it is not known since when"
    because = (Because("Began", began), *_waiting(view), *unmet(view))
    return view.explanation(State.UNDER_WAY, UNDER_WAY, decision.message, because, _following(view))


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
