"""What is decided when what was said of a Cluster's maintenance cannot be used: no window ever opens then. Pure.

What nobody may put off for ever is begun all the same: away from what has expired, and before certificates end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from kaas.api.maintenance import Exclusion
from kaas.updates.facts import Change, Decision, Opening
from kaas.updates.kinds import what
from kaas.updates.planner import moment, plan
from kaas.updates.subject import Subject

INVALID: Final = "MaintenanceInvalid"


class _Shut:
    """A calendar of which no window ever opens."""

    def openings(self, change: Change, since: datetime, until: datetime) -> Iterator[Opening]:
        """None."""
        return iter(())

    def first(self, change: Change, since: datetime, least: timedelta) -> Opening | None:
        """None."""
        return None

    def excluded_by(self, change: Change, now: datetime) -> Exclusion | None:
        """None: there is nothing to keep a change out of."""
        return None

    def taken_by(self, change: Change, since: datetime, until: datetime, least: timedelta) -> Exclusion | None:
        """None likewise."""
        return None


_SHUT: Final = _Shut()


def as_it_counts(subject: Subject, problem: str) -> Subject:
    """The Cluster as its updates are planned. problem: what is wrong with its maintenance; "" when nothing is."""
    return replace(subject, calendar=_SHUT) if problem else subject


def decide(subject: Subject, now: datetime, problem: str) -> Decision:
    """What is to be done about a Cluster now, as `plan` has it; while its maintenance is wrong, that is told.

    Nothing is begun then but what waits for no window. What is under way goes on in the windows that there still are;
    a Namespace that cannot be read leaves none (see `layers`).
    """
    found = plan(as_it_counts(subject, problem), now)
    if not problem:
        return found
    obstacle = subject.standing.obstacle
    held = found.choice is not None and obstacle is not None and found.reason == obstacle.reason
    if found.target is not None or held:
        return replace(found, message=f"{found.message}; {problem}")
    return Decision(None, found.choice, INVALID, problem + _all_the_same(found), found.until, found.begins)


def _all_the_same(found: Decision) -> str:
    if found.choice is None or found.begins is None:
        return ""
    return f"; {what(found.choice)} is begun {moment(found.begins)} all the same: it waits for no window then"
