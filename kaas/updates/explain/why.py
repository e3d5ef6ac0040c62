"""Why a Cluster has not been updated: what the planner says, what the status tells, and what a person can do. Pure.

Of several obstacles the one that must go first is the answer: what is under way before what is to come, and what only a
person can remove before what time removes. The others are in the chain of reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

from kaas.api.update_status import AHEAD, EXPIRED, VERSION_CHANGED
from kaas.updates.addons import ADD_ON_LIMIT
from kaas.updates.conduct import BLOCKED, LOOKED_AT
from kaas.updates.explain.facts import Because, Coming, Explanation, State
from kaas.updates.explain.runs import of_run
from kaas.updates.explain.untaken import better, previews
from kaas.updates.explain.view import SILENT, View, opening, unmet, unready
from kaas.updates.explain.ways import ways
from kaas.updates.facts import ROLLOUT_PENDING, Choice
from kaas.updates.forecast import forecast
from kaas.updates.kinds import what
from kaas.updates.limits import SITE_LIMIT
from kaas.updates.places import SITE_BUSY
from kaas.updates.planner import moment
from kaas.updates.subject import Subject
from kaas.updates.targets import EXPIRED_ALONE
from kaas.updates.unread import RELEASE_UNREADABLE
from kaas.updates.unusable import INVALID, as_it_counts, decide

PREVIEW_ONLY: Final = "PreviewOnly"
"""Reason when the only newer versions are previews."""
NOT_LOOKED_AT: Final = "NotLookedAt"
"""Reason when the controller has not said yet what there is to say."""
DELETING: Final = "Deleting"

_LEFT: Final = frozenset(
    {"Pinned", "ChannelNone", "KubernetesNone", AHEAD, EXPIRED_ALONE, SITE_LIMIT, ADD_ON_LIMIT, RELEASE_UNREADABLE}
)
_UNFIT: Final = frozenset({"ReleaseUnfit", "KubernetesPatch", "MinorSkipped"})
"""Reasons for which nothing is to come, and which only a person can change; the second are about a Rollout."""
_HELD: Final = frozenset({INVALID, "NoMaintenanceWindow", "Paused", "NotReady", VERSION_CHANGED})
"""Reasons for which what is to come is held back until a person acts."""
_MOST_AHEAD: Final = 3


def explain(subject: Subject, now: datetime, problem: str = "") -> Explanation:
    """Why a Cluster has not been updated, as it stands. problem: what is wrong with its maintenance; "" for nothing."""
    view = View(as_it_counts(subject, problem), decide(subject, now, problem), now)
    looks: tuple[Callable[[View], Explanation | None], ...] = (_deleting, of_run, _unseen, _hard, _due, _preview)
    found = next((e for look in looks if (e := look(view))), None) or _decided(view)
    because = tuple(link for link in found.because if link.message != found.answer)
    return replace(found, because=because, coming=tuple(_in_order(found.coming)), ways=tuple(ways(view, found)))


def _in_order(coming: Iterable[Coming]) -> list[Coming]:
    """By time; what has none comes last."""
    return sorted(coming, key=lambda c: (c.at is None, c.at.timestamp() if c.at else 0.0))


# --- what comes before all plans ----------------------------------------------------------------------------------


def _deleting(view: View) -> Explanation | None:
    since = view.cluster.metadata.deletion_timestamp
    if since is None:
        return None
    words = f"it is being deleted since {moment(since)}: nothing is updated any more"
    return view.explanation(State.BLOCKED, DELETING, words)


def _unseen(view: View) -> Explanation | None:
    """The controller has not looked at it, or not at what was written last."""
    status, meta = view.cluster.status, view.cluster.metadata
    seen = status.observed_generation if status else None
    if status is None or status.update is None:
        words = f"the controller has not looked at its updates yet ({SILENT})"
    elif seen is not None and meta.generation is not None and seen < meta.generation:
        words = f"the controller has not looked at the latest change of its spec yet ({SILENT})"
    else:
        return None
    because = Because(view.decision.reason, f"what it will find: {view.decision.message}")
    return view.explanation(State.UNKNOWN, NOT_LOOKED_AT, words, [because], _begins(view))


# --- obstacles that are there now ---------------------------------------------------------------------------------


def _hard(view: View) -> Explanation | None:
    """What no window will help against: somebody has paused it, or a check before the update blocks."""
    choice = view.decision.choice
    if choice is None or view.decision.reason == INVALID:
        return None
    obstacle, blocking = view.subject.standing.obstacle, view.blocking
    if obstacle is not None and obstacle.reason == "Paused":
        words = f"{what(choice)} is not begun: {obstacle.message}"
        return view.explanation(State.BLOCKED, obstacle.reason, words, _chain(view, choice), _begins(view))
    if not blocking or (obstacle is not None and obstacle.reason == view.decision.reason):
        return None
    many = "a check" if len(blocking) == 1 else f"{len(blocking)} checks"
    words = f"{what(choice)} is not begun, for {many} before the update failed: {blocking[0].message}"
    return view.explanation(State.BLOCKED, BLOCKED, words, _chain(view, choice), _begins(view))


def _checked(view: View) -> Iterator[Because]:
    """What the checks before the update have found that keeps it from being begun."""
    report, blocking = view.update.preflight, view.blocking
    if report is not None and blocking:
        yield Because("Preflight", f"looked at {moment(report.checked)}, and every few minutes while it is due")
    for finding in blocking:
        yield Because(finding.check, finding.message)


def _due(view: View) -> Explanation | None:
    """The planner begins it at this moment."""
    decision = view.decision
    if decision.target is None or decision.choice is None:
        return None
    if view.is_about_what_comes and view.update.reason == LOOKED_AT:
        words = view.update.message or f"{what(decision.choice)} is about to begin"
        return view.explanation(State.WAITS, LOOKED_AT, words, _chain(view, decision.choice))
    if view.is_about_what_comes and view.update.reason == SITE_BUSY:
        coming = Coming(decision.until, "it waits no longer: the window closes") if decision.until else None
        because, later = _chain(view, decision.choice), [coming] if coming else []
        return view.explanation(State.WAITS, SITE_BUSY, view.update.message or "its Site is busy", because, later)
    words = f"{what(decision.choice)} is due now, and the controller has not begun it yet ({SILENT})"
    return view.explanation(State.UNKNOWN, NOT_LOOKED_AT, words, _chain(view, decision.choice))


def _preview(view: View) -> Explanation | None:
    """Nothing newer is there but previews."""
    early = previews(view.subject, view.now)
    if view.decision.reason != "UpToDate" or not early or better(view.subject, view.now):
        return None
    words = f"{early[0].version} is a preview, and a preview comes to nobody by itself"
    because = Because(view.decision.reason, view.decision.message)
    return view.explanation(State.CURRENT, PREVIEW_ONLY, words, [because], _ahead(view))


# --- what the planner says ----------------------------------------------------------------------------------------


def _decided(view: View) -> Explanation:
    decision = view.decision
    reason, words = decision.reason, decision.message
    if reason == ROLLOUT_PENDING:
        return _not_its_turn(view)
    if reason == "NotRunning":
        return _made(view)
    if decision.choice is None:
        return view.explanation(_state_of(reason, State.CURRENT), reason, words, _beyond(view), _ahead(view))
    because = _chain(view, decision.choice)
    is_dated = reason == INVALID and decision.begins is not None  # that waits for no window, so it comes by itself
    state = State.WAITS if is_dated else _state_of(reason, State.WAITS)
    return view.explanation(state, reason, words, because, _begins(view))


def _not_its_turn(view: View) -> Explanation:
    """A Rollout that is only not so far goes on by itself; one that is held, or has left the Cluster out, does not."""
    turn, decision = view.turn, view.decision
    state = State.WAITS if turn is None or turn.reason == ROLLOUT_PENDING else State.BLOCKED
    chain = _chain(view, decision.choice) if decision.choice else _beyond(view)
    found = view.explanation(state, decision.reason, decision.message, chain, _turns(view))
    return replace(found, rollout=turn.rollout if turn else None)


def _made(view: View) -> Explanation:
    """Those who make Clusters are at it still: it goes on, or waits for what their plan says."""
    status, decision = view.cluster.status, view.decision
    waiting = next((s for s in (status.plan if status else ()) if s.waits_for), None)
    words = f"{decision.message}; it waits for this: {waiting.waits_for}" if waiting else decision.message
    state = State.BLOCKED if waiting else State.WAITS
    return view.explanation(state, decision.reason, words, (*unready(view), *unmet(view)), _ahead(view))


def _state_of(reason: str, otherwise: State) -> State:
    if reason in _LEFT | _UNFIT | _HELD:
        return State.BLOCKED
    return State.WAITS if reason == "NotInChannel" else otherwise


def _chain(view: View, choice: Choice) -> Iterator[Because]:
    """From the version that is to come down to what else is in its way."""
    decision, obstacle = view.decision, view.subject.standing.obstacle
    yield Because(EXPIRED if choice.forced else str(choice.change), choice.message)
    if not choice.asked:
        yield from opening(view, choice)
    if decision.message != choice.message:
        yield Because(decision.reason, decision.message)
    if obstacle is not None and obstacle.reason != decision.reason:
        yield Because(obstacle.reason, f"it is not begun as long as this holds: {obstacle.message}")
    yield from unmet(view)
    yield from _checked(view)


def _beyond(view: View) -> Iterator[Because]:
    """What the Cluster would be brought to if a Rollout, its owner, its Site or a date did not keep it from it."""
    turn = view.subject.ruling.kubernetes
    if turn is not None:
        said = f"Rollout {turn.rollout} brings {turn.version} in its stage {turn.stage}"
        yield Because("Rollout", said if turn.version else f"Rollout {turn.rollout} brings no version yet")
        return
    found = better(view.subject, view.now)
    if found is not None:
        yield Because(str(found.change), f"without that it would be brought to {found.version}: {found.message}")
    for early in previews(view.subject, view.now):
        yield Because("Preview", f"{early.version} is a preview")


def _begins(view: View) -> Iterator[Coming]:
    """When the planner begins what is to come."""
    decision, obstacle = view.decision, view.subject.standing.obstacle
    if decision.choice is not None and decision.begins is not None:
        yield Coming(decision.begins, f"{what(decision.choice)} is begun, when nothing else is in its way then")
    elif decision.choice is not None and obstacle is not None and obstacle.reason == decision.reason:
        yield Coming(None, f"{what(decision.choice)} is begun as soon as that is over, while the window is open")
        if decision.until is not None:
            yield Coming(decision.until, "from then on it waits for the next maintenance window")
    elif decision.until is not None:
        yield Coming(decision.until, "it is decided anew")


def _turns(view: View) -> Iterator[Coming]:
    """When a Rollout may say that it is the Cluster's turn."""
    turn = view.turn
    if turn is not None:
        yield Coming(turn.until, f"Rollout {turn.rollout} looks whether its turn has come")


def _ahead(view: View) -> Iterator[Coming]:
    """What is foretold for a Cluster to which nothing is to be done now."""
    for event in forecast(view.subject, view.now)[:_MOST_AHEAD]:
        yield Coming(event.at, f"{event.kind} {event.version}: {event.message}")
