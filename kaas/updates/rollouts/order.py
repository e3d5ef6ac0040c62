"""In which order the members of a stage are taken: by their maintenance windows. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final

from kaas.updates.planner import LEAST_LEFT
from kaas.updates.rollouts.member import Member

SOON: Final = timedelta(hours=4)
"""A window that opens within so long opens soon, as update runs of Azure Kubernetes Fleet Manager have it."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


class Window(IntEnum):
    """How a member's maintenance window stands, in the order in which members are taken."""

    OPEN = 0
    SOON = 1
    NONE = 2
    CLOSED = 3


def window_of(member: Member, now: datetime) -> Window:
    """How a member's maintenance window stands. Open: with enough left to begin. None: its status names none."""
    found = member.window
    if found is None or found.end - LEAST_LEFT <= now:
        return Window.NONE
    if found.start <= now:
        return Window.OPEN
    return Window.SOON if found.start <= now + SOON else Window.CLOSED


def rank(member: Member, tried: datetime | None, now: datetime) -> tuple[Window, datetime, datetime, tuple[str, str]]:
    """What members are sorted by: the window, who has not had a turn lately, what opens or closes first, the name.

    tried: when it last had its turn and did not begin.
    """
    window = window_of(member, now)
    return window, tried or _FIRST, _edge(member, window), member.key


def _edge(member: Member, window: Window) -> datetime:
    if member.window is None:
        return _NEVER
    return member.window.end if window is Window.OPEN else member.window.start
