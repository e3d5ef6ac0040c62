"""Cluster API in small: the machines of one Cluster, replaced one by one as its controllers do it.

The control plane goes first; a new version reaches a pool when the control plane has it, one pool after the other, in
the order of the topology, but for pools whose update is deferred. A new image or class reaches all of them at once. A
pool with the strategy OnDelete, or paused, begins no machine; one that has begun comes up nevertheless. A machine is
new by the template that it was made from: one that is made of the same after a change and back is old all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kaas.api.versions import KubernetesVersion


@dataclass(frozen=True, slots=True)
class Makings:
    """What a machine is made of. revision: name of a ClusterClass."""

    version: KubernetesVersion
    image: str
    revision: str


@dataclass(slots=True)
class Machine:
    """One machine.

    ready_at: when it is a Ready node; None when it never will be. before: what the one is made of that goes when it is
    Ready, for a control plane has one more meanwhile. template: number of the one that it was made from.
    """

    name: str
    made_of: Makings
    made: datetime
    ready_at: datetime | None
    before: Makings | None = None
    template: int = 0

    def is_ready(self, now: datetime) -> bool:
        return self.ready_at is not None and self.ready_at <= now


@dataclass(slots=True)
class Group:
    """Machines of one kind: a pool, or with an empty name the control plane. wanted: what new ones are made of.

    template: its number.
    """

    name: str
    wanted: Makings
    machines: list[Machine]
    paused: bool = False
    on_delete: bool = False
    deferred: bool = False
    made_after: datetime | None = None
    generation: int = 1
    observed: int = 1
    template: int = 0

    def outdated(self) -> list[Machine]:
        return [m for m in self.machines if not self._suits(m)]

    def _suits(self, machine: Machine) -> bool:
        return machine.template == self.template and (self.made_after is None or machine.made >= self.made_after)

    def unready(self, now: datetime) -> list[Machine]:
        return [m for m in self.machines if not m.is_ready(now)]

    def is_through(self, now: datetime) -> bool:
        return not self.outdated() and not self.unready(now)

    def oldest(self, now: datetime) -> KubernetesVersion:
        """The oldest version that one of its machines runs; those that go when another has come count."""
        still = (m.before.version for m in self.machines if m.before and not m.is_ready(now))
        return min((*still, *(m.made_of.version for m in self.machines)), default=self.wanted.version)


@dataclass(frozen=True, slots=True)
class Begun:
    """A machine that is replaced. aged: for no other reason than when it was made."""

    at: datetime
    group: str
    machine: str
    old: Makings
    new: Makings
    aged: bool
    number: int


@dataclass(frozen=True, slots=True)
class Topology:
    """What the topology of a Cluster says.

    images: by version. kept: images that pools have of their own for its version. made_after: older machines of the
    control plane are replaced.
    """

    version: KubernetesVersion
    images: Mapping[str, str]
    revision: str
    deferred: frozenset[str] = frozenset()
    on_delete: frozenset[str] = frozenset()
    kept: Mapping[str, str] = field(default_factory=dict)
    made_after: datetime | None = None

    def makings(self, version: KubernetesVersion, pool: str = "") -> Makings:
        own = self.kept.get(pool) if version == self.version else None
        return Makings(version, own or self.images.get(str(version), ""), self.revision)


TakesTime = Callable[[str, Makings], timedelta | None]
"""How long it takes until the new machine of a group is Ready; None when it never is."""


@dataclass(slots=True)
class Machines:
    """All machines of one Cluster."""

    control_plane: Group
    pools: dict[str, Group]
    takes: TakesTime
    topology: Topology
    on_begin: Callable[[Begun], None]
    made: int = 0
    on_make: Callable[[Group, Machine], None] = lambda _group, _machine: None
    generation: int = 1
    observed: int = 1
    _rolled: dict[str, int] = field(default_factory=dict)

    def groups(self) -> Iterator[Group]:
        yield self.control_plane
        yield from self.pools.values()

    def want(self, topology: Topology) -> None:
        """The topology is written."""
        self.topology, self.generation = topology, self.generation + 1

    def roll(self, now: datetime) -> bool:
        """One pass of the controllers, each after the other: whether there is more to do at once."""
        for group in self.groups():
            group.observed = group.generation
            if not group.paused and not group.on_delete:
                self._replace_one(group, now)
        self.observed = self.generation
        self._reach(now)
        return any(g.observed < g.generation for g in self.groups())

    def _reach(self, now: datetime) -> None:
        """What is wanted reaches the control plane and the pools."""
        plane, version = self.control_plane, self.topology.version
        for pool in self.pools.values():
            pool.deferred, held = pool.name in self.topology.deferred, pool.name in self.topology.on_delete
            pool.generation += held != pool.on_delete
            pool.on_delete = held
        rolling = [p for p in self.pools.values() if p.outdated() and p.wanted.version == plane.wanted.version]
        may_go = plane.wanted.version == version or (plane.is_through(now) and not rolling)
        self._set(plane, version if may_go else plane.wanted.version)
        if plane.made_after != self.topology.made_after:
            plane.made_after, plane.generation = self.topology.made_after, plane.generation + 1
        for pool in self.pools.values():
            self._set(pool, version if self._may_reach(pool, now) else pool.wanted.version)

    def _may_reach(self, pool: Group, now: datetime) -> bool:
        """Whether the version of the topology reaches a pool that does not have it yet."""
        plane, version = self.control_plane, self.topology.version
        if pool.deferred or plane.wanted.version != version or not plane.is_through(now):
            return False
        return not any(p.wanted.version == version and not p.is_through(now) for p in self.pools.values())

    def _set(self, group: Group, version: KubernetesVersion) -> None:
        wanted = self.topology.makings(version, group.name)
        if group.wanted != wanted:
            group.wanted, group.generation, group.template = wanted, group.generation + 1, group.template + 1
            self._rolled[group.name] = 0

    def _replace_one(self, group: Group, now: datetime) -> None:
        outdated = group.outdated()
        if not outdated or group.unready(now):
            return
        old, self.made = outdated[0], self.made + 1
        number = self._rolled[group.name] = self._rolled.get(group.name, 0) + 1
        before = None if group.name else old.made_of
        new = self._new(group, now)
        new.before = before
        group.machines[group.machines.index(old)] = new
        aged = old.template == new.template
        self.on_begin(Begun(now, group.name, new.name, old.made_of, new.made_of, aged, number))

    def _new(self, group: Group, now: datetime) -> Machine:
        takes = self.takes(group.name, group.wanted)
        ready_at = None if takes is None else now + takes
        name = f"{group.name or 'cp'}-{self.made}"
        return Machine(name, group.wanted, now, ready_at, template=group.template)

    def lose(self, pool: str, now: datetime) -> None:
        """A machine of a pool is gone, and another one is made in its place."""
        group = self.pools[pool]
        if ready := [m for m in group.machines if m.is_ready(now)]:
            self.made += 1
            group.machines[group.machines.index(ready[-1])] = new = self._new(group, now)
            self.on_make(group, new)

    def mend(self, now: datetime) -> None:
        """Machines that never came are made anew."""
        for group in self.groups():
            for machine in group.machines:
                if machine.ready_at is None and (takes := self.takes(group.name, group.wanted)) is not None:
                    machine.made_of, machine.template, machine.ready_at = group.wanted, group.template, now + takes
                    self.on_make(group, machine)

    def next_ready(self, now: datetime) -> datetime | None:
        times = (m.ready_at for g in self.groups() for m in g.machines if m.ready_at is not None and m.ready_at > now)
        return min(times, default=None)
