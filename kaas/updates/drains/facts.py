"""What is known of a machine that is to go, and of those beside it; and what is done about it. Plain data; UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kaas.gpu.layouts import NO_LAYOUT, Layout
from kaas.updates.drains.words import Reason

Gpus = Mapping[str, int]
"""GPUs, or slices of them, that a node has to offer: resource to number."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a box of the pool had to offer. layout: of MIG, "" without one; boxes of another cannot be compared."""

    gpus: Gpus
    layout: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the pool says. replicas: machines that it wants. unavailable: those that may be missing at a time.

    timeout: how long Pods are waited for, None for ever. soak: how long all new machines have to be well together
    before an old one goes, None for pools that are replaced a few machines at a time.
    """

    pool: str
    replicas: int
    notice: bool
    unavailable: int = 1
    timeout: timedelta | None = None
    soak: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Departure:
    """A machine that is to go and waits for us. asked: when it was deleted. node: None when it never joined.

    noticed: when its Pods were told, None when they have not been. outdated: a newer one takes its place. repaired: it
    goes because it is sick. now: why a person has it drained at once, None when nobody does.
    """

    name: str
    asked: datetime
    node: str | None
    noticed: datetime | None = None
    outdated: bool = False
    repaired: bool = False
    now: str | None = None

    def place(self, *, lacking: bool) -> tuple[bool, bool, datetime, str]:
        """Where it stands among those of its pool that wait: who was given notice first, then who was asked first.

        lacking: whether it has not all of its GPUs. It goes before those that have, for it does not do its work anyway.
        """
        return self.noticed is None, not lacking, self.noticed or self.asked, self.name


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A Node. since: when it became Ready, or stopped to be. layout: what its labels say of MIG."""

    name: str
    ready: bool
    since: datetime
    gpus: Gpus
    cordoned: bool = False
    layout: Layout = NO_LAYOUT


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another machine of the pool. leaving: it waits as well. gone: it is deleted and is drained, or ends, now.

    outdated: a newer one takes its place, or will. gpus, model: as its flavor has them, 0 and "" when nobody knows.
    """

    name: str
    node: NodeSeen | None
    outdated: bool = False
    leaving: Departure | None = None
    gone: bool = False
    gpus: int = 0
    model: str = ""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A Pod that a drain would end. waited: it is waited for.

    checkpointed: when it last said that it has written down where it is; None when it never did, or never does.
    told: what its annotation says about the drain, None when it says nothing.
    """

    namespace: str
    name: str
    waited: bool
    checkpoints: bool = False
    checkpointed: datetime | None = None
    told: tuple[str | None, str] | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in the workload cluster. away: since when it could not be asked, None when it was.

    node: None when there is no such Node. lacking: why it does not do its work as a box of its pool should, "" when it
    does. whole: what boxes of the pool had before, any of which will do; empty when
    that was never written down, or cannot be compared with, for the pool has another flavor now.
    """

    away: datetime | None = None
    problem: str = ""
    node: NodeSeen | None = None
    lacking: str = ""
    pods: tuple[PodSeen, ...] = ()
    others: tuple[Neighbour, ...] = ()
    whole: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """What is done. drains: Cluster API may drain it now. notice: its Pods are told, if they have not been.

    deadline: when it is drained at the latest, None when nobody knows. until: when the answer may be another one by the
    clock alone.
    """

    drains: bool
    reason: Reason
    message: str
    notice: bool = False
    deadline: datetime | None = None
    until: datetime | None = None
