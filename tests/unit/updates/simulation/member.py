"""One Cluster of the simulation: what it is, what others did to it, and what was done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kaas.api.cluster import Cluster
from kaas.api.update_status import EXPIRED
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.kube.objects import Object
from kaas.updates.run import Finding
from kaas.updates.windows import Calendar
from tests.unit.updates.simulation.machines import Begun, Group, Machine, Machines, Topology

Key = tuple[str, str]
FOREVER = timedelta(days=100_000)


@dataclass
class Trouble:
    """What is wrong with a Cluster now."""

    ill: str = ""
    never_joins: set[str] = field(default_factory=set)
    repairs: dict[str, int] = field(default_factory=dict)
    repairs_since: dict[str, datetime] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    fails: set[str] = field(default_factory=set)
    away: bool = False


@dataclass
class Member:
    """One Cluster. said: what each field manager says in its status. by_hand: versions a person asked for."""

    key: Key
    spec: Object
    machines: Machines
    calendar: Calendar
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    uid: str = ""
    played: Object = field(default_factory=dict)
    said: dict[str, Object] = field(default_factory=dict)
    pauses: dict[tuple[str, str], bool] = field(default_factory=dict)
    trouble: Trouble = field(default_factory=Trouble)
    by_hand: set[str] = field(default_factory=set)
    acted: datetime | None = None
    stopped: datetime | None = None
    machines_done: bool = False
    waits: dict[str, datetime] = field(default_factory=dict)
    rendered: object = None
    settles: dict[str, datetime] = field(default_factory=dict)
    begun: list[Begun] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    addons: dict[str, Object] = field(default_factory=dict)

    def raw(self, kind: Mapping[str, str]) -> Object:
        """The object as the API server has it."""
        meta = {"name": self.key[1], "namespace": self.key[0], "uid": self.uid, "generation": 1}
        meta |= {"annotations": dict(self.annotations), "labels": dict(self.labels)}
        return {**kind, "metadata": meta, "spec": self.spec, "status": self.status()}

    def status(self) -> Object:
        found = self.played
        for said in self.said.values():
            found = merged(found, said)
        return {**found, "addOns": [*self.addons.values()]} if self.addons else found

    @property
    def update(self) -> Object:
        """`status.update`: whoever says something of it says all of it."""
        return next((s["update"] for s in self.said.values() if s.get("update")), {})

    @property
    def steps(self) -> list[Object]:
        """`status.update.steps`."""
        found: list[Object] = self.update.get("steps") or []
        return found

    def is_by_hand(self, old: KubernetesVersion, new: KubernetesVersion) -> bool:
        """Whether a person has asked for this step, which is done at once, or for one for which it is in the way."""
        newer = (new, self.machines.topology.version)
        if any(str(v) in self.by_hand or (old.minor < v.minor and f"1.{v.minor}" in self.by_hand) for v in newer):
            return True
        asked: str = self.spec["version"]
        return KubernetesVersion.parse(asked) > old if asked.startswith("v") else minor_of(asked) > old.minor

    @property
    def is_forced(self) -> bool:
        return self.update.get("reason") == EXPIRED

    @property
    def reason(self) -> str:
        return str(self.update.get("reason"))


def merged(one: Object, other: Mapping[str, Any]) -> Object:
    """What two managers own together; lists of conditions are maps by their type."""
    found = dict(one)
    for name, value in other.items():
        before = found.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            found[name] = merged(before, value)
        elif name == "conditions" and before:
            types = {c["type"] for c in value}
            found[name] = [*(c for c in before if c["type"] not in types), *value]
        else:
            found[name] = value
    return found


def machines_of(spec: Object, topology: Topology, born: datetime) -> Machines:
    """All machines that a spec asks for, Ready, and made of the same."""
    makings = topology.makings(topology.version)

    def group(name: str, count: int) -> Group:
        numbers = range(1, count + 1)
        return Group(name, makings, [Machine(f"{name or 'cp'}-{n}", makings, born, born) for n in numbers])

    plane = group("", spec["controlPlane"].get("replicas", 3))
    pools = {p["name"]: group(p["name"], p.get("replicas", 1)) for p in spec.get("nodePools", ())}
    made = max(len(g.machines) for g in (plane, *pools.values()))
    return Machines(plane, pools, lambda _name, _made: timedelta(minutes=6), topology, lambda _begun: None, made)


def model(raw: Object) -> Cluster:
    return Cluster.model_validate(raw)
