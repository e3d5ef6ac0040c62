"""One machine at one moment, as the signals look at it, and what they answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from kaas.api.repair import Action, RepairPolicy
from kaas.repairs.facts import MachineView, NodeCondition, NodeView, PoolFacts, Progress, ServerView, Try
from kaas.repairs.traces import Trace


@dataclass(frozen=True, slots=True)
class Past:
    """What was done to the machine. progress: of the repair under way. history: tries of earlier ones."""

    progress: Progress | None = None
    history: tuple[Try, ...] = ()


NO_PAST: Final = Past()

_TAKES_DOWN: Final = frozenset(
    {Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.POWER_CYCLE, Action.REBUILD, Action.REPLACE}
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything that is known of a machine. bad: the Node's conditions that are bad, by signal."""

    machine: MachineView
    node: NodeView | None
    server: ServerView | None
    pool: PoolFacts
    trace: Trace
    past: Past
    now: datetime
    bad: Mapping[str, tuple[NodeCondition, ...]] = field(default_factory=dict)

    @property
    def joined(self) -> bool:
        """Whether the machine ever had a Node."""
        return self.machine.node is not None

    @property
    def metal(self) -> bool:
        """Whether the pool's machines are whole computers."""
        return bare_metal(self.pool.policy)

    @property
    def taken_down(self) -> bool:
        """Whether a repair has the machine down, or had it down and waits for it to come back."""
        progress = self.past.progress
        return progress is not None and progress.action in _TAKES_DOWN


def bare_metal(policy: RepairPolicy) -> bool:
    """Whether a ladder is one for bare metal: it power-cycles, which is a hard reboot for virtual machines."""
    return any(step.action is Action.POWER_CYCLE for step in policy.steps)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a signal sees. since: None for what carries no time of its own. gpus: None for what the signal's row says.

    entry: None for what the signal's row says. xids: those that it is about.
    """

    message: str
    since: datetime | None = None
    gpus: int | None = None
    entry: Action | None = None
    xids: tuple[int, ...] = ()
