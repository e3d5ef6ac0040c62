"""What the ledger of an update is moved on by: how the Cluster's machines are, and what people and the clock say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kaas.api.update_status import RolledBackName
from kaas.updates.run import Verdict

ALL_POOLS = "*"
"""Stands for every pool where a person names those that may be updated."""


@dataclass(frozen=True, slots=True)
class Brought:
    """One thing that the update brings.

    new, old: what it is brought to, and what there was; old is "" for certificates. handed: whether Cluster API has it.
    """

    what: RolledBackName
    new: str
    old: str
    handed: bool


@dataclass(frozen=True, slots=True)
class Part:
    """The machines of the control plane or of one pool, counted.

    desired: how many the spec asks for. machines: how many there are, those on their way out too. new: how many are as
    the update wants them. ready: of the new ones, how many work. well: of all, how many work. handed: whether what the
    update wants has reached those that make machines; until then the counts mean nothing. moved: when a machine was
    made last. coming: since when the oldest machine that has not joined yet is made. going: since when the one that
    takes longest to go is on its way out. repairs: how many are under repair. startup, drain: how long a machine may
    take to join, and to be emptied; drain None means for ever. soak: how long all new ones are well together before the
    first old one goes, None where that is not waited for. settle: the longest that it may take to find the Cluster
    well with them. trouble: why machines are not well, in the deepest words.
    unlaid: that a machine waits for one whose GPUs are not laid out, in the words of its drain; "" when none does.
    unlaid_for_good: whether they could not be, so that waiting helps nobody.
    reached: whether the version of the update has come to what makes machines, for some of them at least. surplus: of
    each MachineDeployment that has machines beyond those wanted, how many, without those on their way out.
    """

    desired: int
    machines: int
    new: int
    ready: int
    well: int
    handed: bool = True
    moved: datetime | None = None
    coming: datetime | None = None
    going: datetime | None = None
    repairs: int = 0
    startup: timedelta = timedelta(minutes=30)
    drain: timedelta | None = timedelta(minutes=10)
    soak: timedelta | None = None
    settle: timedelta = timedelta(minutes=10)
    manual: bool = False
    trouble: str = ""
    unlaid: str = ""
    unlaid_for_good: bool = False
    reached: bool = True
    surplus: tuple[tuple[str, int], ...] = ()

    @property
    def through(self) -> bool:
        """Whether every machine is as the update wants it and works, and the old ones are gone."""
        return self.replaced and self.desired <= self.ready

    @property
    def replaced(self) -> bool:
        """Whether every machine is as the update wants it, working or not, and the old ones are gone."""
        return self.handed and self.new >= self.desired and self.machines <= self.desired


@dataclass(frozen=True, slots=True)
class AddOnPart:
    """An add-on that the update brings from one version to another, as the Cluster's status tells of it.

    through: whether all of it is there and works, or the Cluster is not to have it any more. failing: since when it
    cannot be put there; None when it can. message: what it waits for, or what is wrong. stays: why it could not be
    brought back; "" when it could. unread: whether nobody knows what is to be there, so that it is waited for.
    moved: when more of it was there, or worked, than ever before, for the last time.
    """

    name: str
    old: str
    new: str
    through: bool = False
    failing: datetime | None = None
    message: str = ""
    stays: str = ""
    unread: bool = False
    moved: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Whether machines may be replaced now, and when that becomes another answer by the clock alone."""

    open: bool
    changes: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that moves the ledger on.

    target: the version that the update goes to, for people. pools: by name; one that has left the spec is not there.
    paused: why a person wants nothing begun. released: pools with the strategy Manual that may go now, or `*`. retry:
    why a person has a stopped update go on. verdict: what came of looking at the Cluster after a step, by its name.
    brings: all that the update brings, as far as it is known what there was before. asked: whether a person has asked
    for it, maybe since machines are not well. add_ons: those that it brings to another version. settle: how long these
    may take to work.
    """

    target: str
    control_plane: Part
    pools: Mapping[str, Part] = field(default_factory=dict)
    window: Window = Window(True)
    paused: str = ""
    released: frozenset[str] = frozenset()
    retry: str = ""
    verdict: tuple[str, Verdict] | None = None
    brings: tuple[Brought, ...] = ()
    asked: bool = False
    add_ons: tuple[AddOnPart, ...] = ()
    settle: timedelta = timedelta(minutes=10)

    def may_go(self, pool: str) -> bool:
        """Whether a person has let go of a pool with the strategy Manual."""
        return pool in self.released or ALL_POOLS in self.released
