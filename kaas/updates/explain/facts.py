"""Why a Cluster has not been updated: what an answer consists of. Plain data; times are aware, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """The answer in one word.

    Current: there is nothing newer for it. UnderWay: it is being updated. Waits: it is updated by itself, later.
    Blocked: it is not until a person acts. Unknown: the controller has yet to look at it.
    """

    CURRENT = "Current"
    UNDER_WAY = "UnderWay"
    WAITS = "Waits"
    BLOCKED = "Blocked"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Because:
    """One link of the chain of reasons. reason: one CamelCase word. message: for a person."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Coming:
    """What happens by itself. at: None when that is not known."""

    at: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class Way:
    """What a person can do now. command: to be typed as it stands, but for what is in <>; empty when there is none."""

    message: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a Cluster has not been updated.

    reason: the obstacle as one CamelCase word. decided: what the planner says at this moment, which may be another one
    of several obstacles. running: None while no control plane runs. version: what it is to be brought to; None when
    there is nothing. answer: one line. because: from the version down to the obstacle. coming: in order of time.
    rollout: the one whose turn it waits for; None for none.
    """

    state: State
    reason: str
    decided: str
    running: str | None
    version: str | None
    answer: str
    because: tuple[Because, ...] = ()
    coming: tuple[Coming, ...] = ()
    ways: tuple[Way, ...] = ()
    rollout: str | None = None
