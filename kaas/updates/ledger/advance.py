"""How the ledger of an update goes on. Pure and idempotent: what was said before and what is seen decide, nothing else.

A step ends, and the next one begins, in the same look; so a controller that is killed at any time finds where it was
in what was written last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from kaas.api.constants import ANNOTATION_UPDATE_POOLS, ANNOTATION_UPDATE_RETRY
from kaas.api.update_status import THROUGH, Hold, Retried, RolledBack, Stopped, UpdateStep, UpdateSummary
from kaas.updates.ledger import add_ons, rollback
from kaas.updates.ledger.seen import Part, Seen
from kaas.updates.ledger.steps import Steps, pool_of, pools_behind, told, unfinished
from kaas.updates.ledger.stuck import stuck
from kaas.updates.run import ADD_ONS, CONTROL_PLANE, FINISHED, VERIFICATION

SETTLING: Final = timedelta(seconds=5)
"""Cluster API counts machines as up to date until it looks at them, a moment after a change."""
POLL: Final = timedelta(seconds=10)
LOOK: Final = timedelta(minutes=1)
"""Until a step under way is looked at again without an event: its machines may be late."""

WINDOW: Final = "OutsideMaintenance"
REPLACING: Final = "Replacing"
APPLYING: Final = "Applying"
VERIFYING: Final = "Verifying"
BY_HAND: Final = "WaitsForPerson"
_ENDS_WHAT_HAS_BEGUN: Final = frozenset({WINDOW, BY_HAND})
"""Reasons of a hold during which Cluster API brings machines to an end that were begun, and begins no other."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was said of an update before. retried: the last time that a person had it go on.

    rolled_back: what is made as before meanwhile; empty unless it has stopped.
    """

    steps: Steps
    stopped: Stopped | None = None
    retried: Retried | None = None
    hold: Hold | None = None
    rolled_back: tuple[RolledBack, ...] = ()

    @classmethod
    def of(cls, said: UpdateSummary) -> Ledger:
        """As the status has it."""
        return cls(said.steps, said.stopped, said.retried, said.hold, said.rolled_back)

    @property
    def under_way(self) -> bool:
        """Whether there is an update that is not through; one that has stopped is not."""
        return unfinished(self.steps)


@dataclass(frozen=True, slots=True)
class Progress:
    """What is to be said now, and done.

    waiting: pools of which no further machine may be begun. wants: the step after which the Cluster is to be looked at;
    its verdict is given to `advance` again. until: when it is to be looked at again without an event.
    """

    ledger: Ledger
    waiting: tuple[str, ...] = ()
    wants: str | None = None
    until: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether the update is through, or was called off."""
        return not self.ledger.under_way


def advance(ledger: Ledger, seen: Seen, now: datetime) -> Progress:
    """The ledger as far as it has come."""
    if not ledger.under_way:
        return Progress(replace(ledger, hold=None))
    ledger = _tried_again(ledger, seen.retry, now)
    if ledger.stopped is None:
        ledger = _stopped(replace(ledger, steps=_moved_on(ledger.steps, seen, now)), seen, now)
    else:
        ledger = replace(ledger, rolled_back=rollback.still(ledger.rolled_back, seen))
    ledger = replace(ledger, hold=_hold(ledger, seen, now))
    return Progress(ledger, waiting_of(ledger), _wanted(ledger, now), _until(ledger, seen, now))


def called_off(ledger: Ledger, why: str, now: datetime) -> Ledger:
    """The ledger of an update that is not wanted any more: what is not through is left out, and nothing is held."""
    steps = (s if s.state in THROUGH else told(s, "Skipped", "CalledOff", why, now) for s in ledger.steps)
    return Ledger(tuple(steps), retried=ledger.retried)


def waiting_of(ledger: Ledger) -> tuple[str, ...]:
    """Pools of which no further machine may be begun: all that are behind, but for the one that is under way."""
    under_way = {pool_of(s) for s in ledger.steps if s.state == "Running"} if ledger.stopped is None else set()
    return tuple(p for p in pools_behind(ledger.steps) if p not in under_way)


# --- from step to step --------------------------------------------------------------------------------------------


def _moved_on(steps: Steps, seen: Seen, now: datetime) -> Steps:
    found: list[UpdateStep] = list(steps)
    for place in _in_order(steps):
        step = steps[place]
        if step.state in THROUGH or (pool_of(step) is None and not _reached(found[:place])):
            continue
        found[place] = new = _next(step, seen, now)
        if new.state not in THROUGH and not _keeps_nobody(new):
            break
    return tuple(found)


def _in_order(steps: Steps) -> list[int]:
    """Places of the steps; a pool that has begun comes before those that have not, which a person may let go late."""
    pools = [place for place, step in enumerate(steps) if pool_of(step) is not None]
    pools_first = sorted(pools, key=lambda place: steps[place].started is None)
    first, last = (pools[0], pools[-1] + 1) if pools else (0, 0)
    return [*range(first), *pools_first, *range(last, len(steps))]


def _keeps_nobody(step: UpdateStep) -> bool:
    """Whether others go on meanwhile: it waits for a person, and Cluster API has nothing to do with it yet."""
    return step.reason == BY_HAND and step.started is None


def _reached(before: Sequence[UpdateStep]) -> bool:
    """Whether everything before a step is through."""
    return all(s.state in THROUGH for s in before)


def _next(step: UpdateStep, seen: Seen, now: datetime) -> UpdateStep:
    pool = pool_of(step)
    if pool is not None:
        return _pool(step, pool, seen, now)
    if step.name == CONTROL_PLANE:
        return _machines(step, seen.control_plane, seen, now)
    if step.name == ADD_ONS:
        return _add_ons(step, seen, now)
    if step.name == VERIFICATION:
        return _verified(step, seen, now)
    return told(step, "Done", FINISHED, f"the Cluster runs {seen.target}", now)


def _pool(step: UpdateStep, pool: str, seen: Seen, now: datetime) -> UpdateStep:
    part = seen.pools.get(pool)
    if part is None:
        return told(step, "Skipped", "PoolGone", f"the spec has no pool {pool} any more", now)
    if step.reason == VERIFYING and not part.handed:  # how it is replaced is handed anew: what was counted still holds
        return step
    begun = step.started is not None  # until then it keeps what it has, and counts are about that
    if not (begun and part.through) and (held := _held(step, pool, part, seen)) is not None:
        return _waits(step, part, held, now)
    return _machines(step, part, seen, now) if begun else told(step, "Running", REPLACING, _counted(part), now)


def _waits(step: UpdateStep, part: Part, held: tuple[str, str], now: datetime) -> UpdateStep:
    """A pool of which no machine is begun now. Those that were are brought to an end, and are late if they are not."""
    if step.started is None or held[0] not in _ENDS_WHAT_HAS_BEGUN:
        return told(step.model_copy(update={"replaced": None}), "Held", *held, now)
    waits = told(_marked(step, part, now), "Held", *held, now)
    late = stuck(part, waits.since or now, now, replaced=waits.replaced, held=True)
    return told(waits, "Failed", *late, now) if late else waits


def _marked(step: UpdateStep, part: Part, now: datetime) -> UpdateStep:
    """The step with the time from which on all its machines were new, kept while none of them is made or goes."""
    first = step.replaced
    if part.handed and (not part.replaced or (first and part.moved and part.moved > first)):
        first = None
    return step.model_copy(update={"replaced": first or (now if part.through else None)})


def _held(step: UpdateStep, pool: str, part: Part, seen: Seen) -> tuple[str, str] | None:
    """Why no machine of a pool is begun now; None when the next may be."""
    return next(_obstacles(step, pool, part, seen), None)


def _obstacles(step: UpdateStep, pool: str, part: Part, seen: Seen) -> Iterator[tuple[str, str]]:
    if seen.paused:
        yield "Paused", seen.paused
    if part.manual and not seen.may_go(pool):
        yield BY_HAND, f"pool {pool} is Manual: name it in the annotation {ANNOTATION_UPDATE_POOLS} of the Cluster"
    if not seen.window.open:
        yield WINDOW, _closed(seen, "machine")
    if part.repairs:
        yield "RepairInFlight", f"{part.repairs} of its machines under repair: updates and repairs draw on one budget"
    if step.started is None and part.well < part.desired and not seen.asked:
        trouble = f": {part.trouble}" if part.trouble else ""
        yield "MachinesNotReady", f"{part.well} of {part.desired} machines work; it begins when all do{trouble}"


def _closed(seen: Seen, what: str) -> str:
    until = seen.window.changes
    when = f"it goes on {until:%Y-%m-%d %H:%M} UTC" if until else "no window is in sight: change spec.maintenance"
    return f"the maintenance window is closed: no {what} is begun; {when}"


def _add_ons(step: UpdateStep, seen: Seen, now: datetime) -> UpdateStep:
    """Add-ons are begun while the window is open, and the Cluster is to be found well with them."""
    if not seen.add_ons:
        return told(step, "Skipped", "NothingToDo", "no add-on of the Cluster has another version to go to", now)
    if step.started is None and seen.paused:
        return told(step, "Held", "Paused", seen.paused, now)
    if step.started is None and not seen.window.open:
        return told(step, "Held", WINDOW, _closed(seen, "add-on"), now)
    behind = [a for a in seen.add_ons if not a.through]
    if not behind and step.started is not None:
        return _verified(step, seen, now)
    going_on = told(step, "Running", APPLYING, add_ons.counted(seen, behind), now)
    late = add_ons.late(behind, going_on.since or now, seen.settle, now)
    return told(step, "Failed", *late, now) if late else going_on


def _machines(step: UpdateStep, part: Part, seen: Seen, now: datetime) -> UpdateStep:
    """A step that replaces machines, and ends when the Cluster is found well with the new ones."""
    step = _marked(step, part, now)
    if part.through:
        return _verified(step, seen, now)
    going_on = told(step, "Running", REPLACING, _counted(part), now)
    late = stuck(part, going_on.since or now, now, replaced=going_on.replaced)
    return told(step, "Failed", *late, now) if late else going_on


def _counted(part: Part) -> str:
    if not part.handed:
        return "what it is brought to is being handed to Cluster API"
    old = part.machines - part.new
    there = f", old ones that are there still: {old}" if old > 0 else ""
    return f"{part.ready} of {part.desired} machines are new and work{there}"


def _verified(step: UpdateStep, seen: Seen, now: datetime) -> UpdateStep:
    name, verdict = seen.verdict or ("", None)
    if name != step.name or verdict is None:
        said = step.message if step.reason == VERIFYING and step.message else "the Cluster is looked at"
        return told(step, "Running", VERIFYING, said, now)
    if verdict.passed is None:
        return told(step, "Running", VERIFYING, verdict.message, now)
    if verdict.passed:
        return told(step, "Done", "Verified", verdict.message, now)
    unhealthy = ", ".join(verdict.unhealthy)
    return told(step, "Failed", "VerificationFailed", f"{unhealthy}: {verdict.message}".lstrip(": "), now)


# --- stopping, and going on ---------------------------------------------------------------------------------------


def _stopped(ledger: Ledger, seen: Seen, now: datetime) -> Ledger:
    """The ledger with the reason why it has stopped, if a step has failed, and with what is rolled back then."""
    failed = next((s for s in ledger.steps if s.state == "Failed"), None)
    if failed is None:
        return ledger
    back = rollback.rolled_back(ledger.steps, seen, now)
    said = rollback.words(back, rollback.stays(ledger.steps, seen))
    way_out = (
        f"nothing further is begun; when it is put right, set the annotation {ANNOTATION_UPDATE_RETRY} of the Cluster "
        "to the reason why it may go on"
    )
    rest = "; ".join(filter(None, (said, way_out)))
    words = f"{(failed.message or '')[: 1000 - len(rest)]}; {rest}"
    stopped = Stopped(since=now, step=failed.name, reason=failed.reason or "Failed", message=words)
    return replace(ledger, stopped=stopped, rolled_back=back)


def _tried_again(ledger: Ledger, retry: str, now: datetime) -> Ledger:
    """The same reason counts once: it stays where a person has written it."""
    served = ledger.retried is not None and ledger.retried.reason == retry
    if ledger.stopped is None or not retry or served:
        return ledger
    words = f"tried again: {retry}"
    went_back = any(entry.what == "AddOn" for entry in ledger.rolled_back)
    steps = ledger.steps
    if went_back:  # the add-ons come first again, and what came behind them after that
        steps = tuple(UpdateStep(name=s.name, state="Pending", since=now) if s.state == "Failed" else s for s in steps)
    again = (s.state == "Failed" or (went_back and s.name == ADD_ONS) for s in steps)
    steps = tuple(told(s, "Running", "Retried", words, now) if g else s for s, g in zip(steps, again, strict=True))
    return replace(ledger, steps=steps, stopped=None, retried=Retried(since=now, reason=retry), rolled_back=())


def _hold(ledger: Ledger, seen: Seen, now: datetime) -> Hold | None:
    held = [pool_of(s) for s in ledger.steps if (s.state, s.reason) == ("Held", WINDOW)]
    if not held or ledger.stopped is not None:
        return None
    until = seen.window.changes
    when = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "for no window is in sight"
    names = ", ".join(pools_behind(ledger.steps))
    what = f"pool {names} waits" if names else "the add-ons wait"
    words = f"the maintenance window closed before the update to {seen.target} was through: {what} {when}"
    return Hold(since=ledger.hold.since if ledger.hold else now, until=until, message=words[:1024])


# --- what comes next ----------------------------------------------------------------------------------------------


def _wanted(ledger: Ledger, now: datetime) -> str | None:
    verifying = next((s for s in ledger.steps if (s.state, s.reason) == ("Running", VERIFYING)), None)
    if verifying is None or verifying.since is None or ledger.stopped is not None:
        return None
    return verifying.name if now >= verifying.since + SETTLING else None


def _until(ledger: Ledger, seen: Seen, now: datetime) -> datetime | None:
    if not ledger.under_way or ledger.stopped is not None:
        return None
    running = [s for s in ledger.steps if s.state == "Running"]
    looks = [(s.since or now) + SETTLING if s.reason == VERIFYING else now + LOOK for s in running]
    looks = [t if t > now else now + POLL for t in looks]
    looks += [now + LOOK for s in ledger.steps if s.state == "Held" and _may_be_late(s, seen)]
    return min([*looks, *([seen.window.changes] if seen.window.changes else [])], default=None)


def _may_be_late(step: UpdateStep, seen: Seen) -> bool:
    """Whether a pool that is held has a machine that was begun before, and is not through yet."""
    part = seen.pools.get(pool_of(step) or "")
    if part is None or step.started is None or step.reason not in _ENDS_WHAT_HAS_BEGUN:
        return False
    return part.replaced or part.coming is not None or part.going is not None
