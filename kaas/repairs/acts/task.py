"""What an act is given and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kaas.api.repair import Step
from kaas.repairs.facts import NodeView, Patient


@dataclass(frozen=True, slots=True)
class Task:
    """One step to be done on one node.

    node: as last seen, None when it never joined. started: when this try began (UTC), which was written down before the
    first call: what was done to the node since then, was done by this try. reason: for people, in Events and on Pods.
    """

    patient: Patient
    node: NodeView | None
    step: Step
    started: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """What one pass has come to. done: the act is complete; whether it helped is found out by watching the node."""

    done: bool
    message: str


class ActFailed(Exception):
    """The act cannot be done, and trying it again at once is of no use; the message says why, in the deepest words."""


class Act(Protocol):
    """One pass of a step: does what is to be done next and does not wait for it.

    It is called again every few seconds until it is done, also by another process after a crash: nothing that was begun
    since `started` may be begun twice. Whatever is not answered in time (Unavailable, CloudError) is raised as it is,
    and tried again.
    """

    async def __call__(self, task: Task, now: datetime) -> Result:
        """Do the next thing."""
