"""What the planner says: one decision a patient, and the state of the breakers. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kaas.api.repair import Action
from kaas.repairs.facts import NodeKey


@dataclass(frozen=True, slots=True)
class Watch:
    """Nothing yet: what is wrong is still tolerated, or a healed node is watched until it counts as healed."""

    node: NodeKey
    reason: str
    message: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A step is due and something holds it back. until: when it is looked at again at the latest."""

    node: NodeKey
    reason: str
    message: str
    until: datetime
    step: int
    action: Action


@dataclass(frozen=True, slots=True)
class Act:
    """Begin a step (try `number` of it, from 1). skipped: why steps before it were passed over, for the history."""

    node: NodeKey
    step: int
    action: Action
    number: int
    cause: str
    message: str
    skipped: tuple[tuple[Action, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """A step is under way: its act is not done, or it has not yet helped. until: its time-out."""

    node: NodeKey
    message: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Finish:
    """The repair is over. healed: nothing is wrong any more; otherwise the message says why it ended."""

    node: NodeKey
    healed: bool
    message: str


Decision = Watch | Hold | Act | Wait | Finish


@dataclass(frozen=True, slots=True)
class Breaker:
    """An open breaker.

    scope: `pool/<ns>/<cluster>/<pool>`, `cluster/<ns>/<name>`, `zone/<site>/<zone>`, `site/<name>` or `fleet`.
    reason: one CamelCase word. message: the numbers, and the way out.
    """

    scope: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Decisions by node, in a stable order, open breakers, and when to plan again without news; None for never."""

    decisions: tuple[Decision, ...]
    breakers: tuple[Breaker, ...]
    look_again: datetime | None
