"""How far the add-ons of an update are, when they are late, and which of them go back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from kaas.api.update_status import RolledBack
from kaas.updates.ledger.seen import AddOnPart, Seen
from kaas.updates.ledger.steps import Steps
from kaas.updates.run import ADD_ONS

PATIENCE: Final = timedelta(minutes=10)
"""How long an add-on may fail to be put into the Cluster; and the least for which nothing more of it has to work."""


def counted(seen: Seen, behind: Sequence[AddOnPart]) -> str:
    """How far they are, for people."""
    done = len(seen.add_ons) - len(behind)
    waits = f": {behind[0].name} {behind[0].new}" if behind else ""
    why = f" ({behind[0].message})" if behind and behind[0].message else ""
    return f"{done} of {len(seen.add_ons)} add-ons are new and work{waits}{why}"


def late(behind: Iterable[AddOnPart], since: datetime, settle: timedelta, now: datetime) -> tuple[str, str] | None:
    """Why it makes no sense to wait longer: a reason, and words; None while it does. since: when they were begun.

    One that comes further is waited for, as a DaemonSet on many nodes.
    """
    for part in (p for p in behind if not p.unread):
        words = f"add-on {part.name} {part.new}: {part.message}" if part.message else f"add-on {part.name} {part.new}"
        if part.failing is not None and now >= max(part.failing, since) + PATIENCE:
            return "AddOnFailed", f"{words}; it could not be put into the Cluster for {_minutes(PATIENCE)} minutes"
        began, patience = max(since, part.moved or since), max(settle, PATIENCE)
        if now >= began + patience:
            idle = "it does not work, and has come no further for" if began > since else "it does not work after"
            return "AddOnNotReady", f"{words}; {idle} {_minutes(patience)} minutes"
    return None


def _minutes(time: timedelta) -> int:
    return time // timedelta(minutes=1)


def rolled_back(steps: Steps, seen: Seen, now: datetime) -> Iterator[RolledBack]:
    """Those that go back when the update stops: all that it has begun with, as far as there is a way back."""
    if _begun(steps):
        for part in seen.add_ons:
            if not part.stays:
                yield RolledBack(what="AddOn", add_on=part.name, from_=part.new, to=part.old, since=now)


def stays(steps: Steps, seen: Seen) -> Iterator[str]:
    """Those that do not, and why, for people."""
    if _begun(steps):
        for part in seen.add_ons:
            if part.stays:
                yield f"add-on {part.name} stays at {part.new}: {part.stays}"


def _begun(steps: Steps) -> bool:
    return any(s.name == ADD_ONS and s.started is not None for s in steps)
