"""A management cluster in virtual time: the real reconciler of updates, and played controllers around it.

Nothing is polled: whoever has a reason to look does so, in random order where there is chance, at once where there is
none. The reconciler is looked at again when it said so, and when what it watches has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar
from unittest.mock import patch

from prometheus_client import CollectorRegistry

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.parsed import Parsed
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.versions import KubernetesVersion
from kaas.clusters.target import ReleaseMissingError
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.kube.ports import EventType
from kaas.runtime.index import Index
from kaas.updates import layers, reconciler
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.reconciler import Office, UpdateReconciler
from kaas.updates.run import FINISHED
from kaas.updates.watched import concern
from tests.unit.updates.simulation import manifests
from tests.unit.updates.simulation.agenda import Agenda
from tests.unit.updates.simulation.doctor import Doctor
from tests.unit.updates.simulation.machines import Begun, Group, Machine, Makings, Topology
from tests.unit.updates.simulation.member import FOREVER, Key, Member, machines_of, model
from tests.unit.updates.simulation.rendering import CLASS, cluster_class, rendered
from tests.unit.updates.simulation.waves import Waves
from tests.unit.updates.subjects import NOW, Clock

FOLLOWED: Final = ("target", "image", "classRevision", "certificates", "waiting", "hold", "rolledBack")
LOOK, TELL, RENDER, ROLL, WAVE = "look", "tell", "render", "roll", "wave"
UNTOLD: Final = frozenset({"Announced", "Checked", "Verifying", "NothingToDo", FINISHED})
NONE: Final = timedelta()
DELAYS: Final = {LOOK: timedelta(seconds=1)}
"""Where there is no chance, who decides looks when all others have told what they see."""
RESTART: Final = timedelta(seconds=15)
CLUSTER_KIND: Final = {"apiVersion": API_VERSION, "kind": "Cluster"}
Watcher = Callable[[Member, Begun], None]
T = TypeVar("T")


class KilledError(BaseException):
    """The controller dies here."""


@dataclass
class World:
    """All Clusters of one Site. random: None for everything at once and in order."""

    site: Object
    random: Random | None = None
    clock: Clock = field(default_factory=Clock)
    members: dict[Key, Member] = field(default_factory=dict)
    on_begin: list[Watcher] = field(default_factory=list)
    on_make: list[Callable[[Member, Group, Machine], None]] = field(default_factory=list)
    on_look: list[Callable[[Member, float | None], None]] = field(default_factory=list)
    on_told: list[Callable[[Member], None]] = field(default_factory=list)
    kills: Callable[[str], bool] = lambda _write: False
    settles: timedelta = timedelta(seconds=10)
    writes: int = 0
    looks: int = 0
    killed: int = 0

    def __post_init__(self) -> None:
        self.index = Index()
        self.parsed = Parsed()
        self.waves = Waves(self.index, self.parsed, self.clock)
        self.log: list[str] = []
        self.concerns: dict[Key, Any] = {}
        self._agenda = Agenda()
        self._count = 0
        self.classes = {CLASS: cluster_class(CLASS)}
        self.newest = manifests.Newest(CLASS, self.clock.time - timedelta(days=100))
        self._releases: list[Release] = []
        self._parts: dict[Key, dict[str, tuple[Any, Object]]] = {}
        self.put(self.site)
        self.start()

    # -- the controller ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new controller, which remembers nothing."""
        metrics = UpdateMetrics(CollectorRegistry())
        self.doctor = Doctor(self.members, self.clock, self.settles)
        self.waves.start(self, self)
        turn = self.waves.turns.of
        office = Office(self.index, self, self.clock, self, metrics, self.parsed, examiner=self.doctor, ruling=turn)
        self.reconciler = UpdateReconciler(office)

    def _maybe_die(self, write: str) -> None:
        if self.kills(write):
            raise KilledError(write)

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        if obj["kind"] == "Rollout":
            return self._wave_written(obj)
        member = self._of(obj)
        self._maybe_die(f"before status of {member.key[1]}")
        self.writes += 1
        before = member.update
        member.said[manager] = obj["status"]
        self.show(member)
        if member.update != before:
            self._note_steps(member, before)
            self.soon(member.key, RENDER)
            for watcher in self.on_told:
                watcher(member)
        self._maybe_die(f"after status of {member.key[1]}")
        return obj

    def _wave_written(self, obj: Object) -> Object:
        name = obj["metadata"]["name"]
        self._maybe_die(f"before status of Rollout {name}")
        self.put(self.waves.written(obj))
        for key in self.waves.woken(name):
            self.soon(key, LOOK)
        self._maybe_die(f"after status of Rollout {name}")
        return obj

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        self._maybe_die(f"before event {reason}")
        member = self.members.get((about["metadata"].get("namespace") or "", about["metadata"]["name"]))
        if member:
            self.note(member, f"{reason}: {message}")
        else:
            self.log.append(self._line(f"Rollout {about['metadata']['name']}", f"{reason}: {message}"))
        return True

    def _of(self, obj: Object) -> Member:
        return self.members[(obj["metadata"]["namespace"], obj["metadata"]["name"])]

    # -- objects ----------------------------------------------------------------------------------------------------

    def put(self, obj: Object) -> None:
        """Others, or we, change an object; the watch shows it."""
        self._count += 1
        obj["metadata"] = {**obj["metadata"], "resourceVersion": str(self._count)}
        self.index.put(obj)

    def releases(self) -> list[Release]:
        if not self._releases:
            self._releases += [self.parsed(Release.model_validate, r) for r in self.index.list(resources.RELEASE)]
        return self._releases

    def release(self, raw: Object) -> None:
        """A Release is added or changed: everyone looks."""
        self.put(raw)
        self._releases.clear()
        for key in self.members:
            self.soon(key, LOOK)

    def roll_out(self, name: str, spec: Object) -> None:
        """A person makes a Rollout."""
        self._wave_put(self.waves.add(name, spec))

    def tell_rollout(self, name: str, annotation: str, value: str) -> None:
        """A person says something to a Rollout."""
        self.log.append(self._line(f"Rollout {name}", f"! a person says {annotation}"))
        self._wave_put(self.waves.annotated(name, annotation, value))

    def _wave_put(self, raw: Object) -> None:
        self.put(raw)
        for key in self.waves.woken(raw["metadata"]["name"]):
            self.soon(key, LOOK)
        self._wave_soon()

    def _wave_soon(self) -> None:
        for name in self.waves.raw:
            self.soon(name, WAVE, timedelta(seconds=2))

    def revise(self, name: str) -> None:
        """A newer controller has another ClusterClass."""
        self.classes[name] = cluster_class(name)
        self.newest = manifests.Newest(name, self.clock.time)
        for key in self.members:
            self.soon(key, TELL)

    def add(self, raw: Object, running: str, *, made: datetime = NOW - timedelta(days=30)) -> Member:
        """A Cluster that runs, made by `raw`."""
        key, version = (raw["metadata"]["namespace"], raw["metadata"]["name"]), KubernetesVersion.parse(running)
        machines = machines_of(raw["spec"], Topology(version, {running: f"ubuntu-{running}"}, CLASS), made)
        member = Member(key, raw["spec"], machines, self._calendar(raw), dict(raw["metadata"].get("annotations") or {}))
        member.labels, member.uid = dict(raw["metadata"].get("labels") or {}), raw["metadata"]["uid"]
        machines.takes = lambda group, wanted: self._takes(member, group, wanted)
        machines.on_begin = lambda begun: self._began(member, begun)
        machines.on_make = lambda group, machine: self._made(member, group, machine)
        self.members[key] = member
        self._tell(member)
        self._show_parts(member)
        self.soon(key, LOOK)
        return member

    def changed(self, member: Member) -> None:
        """A person has changed the Cluster."""
        member.calendar = self._calendar(member.raw(CLUSTER_KIND))
        self.show(member)
        self.soon(member.key, RENDER)

    def _calendar(self, raw: Object) -> Any:
        site = self.parsed(Site.model_validate, self.site)
        return layers.calendar(model(raw), None, site)[0]

    def show(self, member: Member) -> None:
        """The Cluster as it is now; whoever it concerns looks at it."""
        raw = member.raw(CLUSTER_KIND)
        self.put(raw)
        if self.waves.are_concerned(member.key, raw):
            self._wave_soon()
        concerns = concern(raw)
        if concerns != self.concerns.get(member.key):
            self.concerns[member.key] = concerns
            self.soon(member.key, LOOK)

    def _show_parts(self, member: Member) -> None:
        """What Cluster API has, as far as it has changed; the watch keeps little of it."""
        known = self._parts.setdefault(member.key, {})
        now, machines = self.clock.time, member.machines
        there: dict[str, tuple[Any, Callable[[], Object]]] = {}
        for name, seen, make in manifests.parts(member.key, machines, now):
            there[name] = (seen, make)
        for name in known.keys() - there.keys():
            self.index.remove(known.pop(name)[1])
        changed = [name for name, (seen, _) in there.items() if name not in known or known[name][0] != seen]
        for name in changed:
            seen, make = there[name]
            obj = make()
            known[name] = (seen, obj)
            self.put(obj)
        if changed:
            self.soon(member.key, LOOK)
            self.soon(member.key, RENDER)

    # -- time -------------------------------------------------------------------------------------------------------

    def soon(self, key: Any, what: str, after: timedelta = NONE) -> None:
        """Somebody has a reason to look."""
        if not after:
            after = timedelta(seconds=self.random.randint(0, 20)) if self.random else DELAYS.get(what, NONE)
        self.at(self.clock.time + after, key, what)

    def at(self, time: datetime, key: Any, what: str) -> None:
        """Somebody looks at a time, or before."""
        self._agenda.put(time, self.random.random() if self.random else 0.0, (key, what))

    def call(self, time: datetime, do: Callable[[], None]) -> None:
        """Something happens at a time."""
        self.at(time, do, "call")

    def run(self, until: datetime) -> None:
        """Everything that happens before a time."""
        with patch.object(reconciler, "LONGEST", FOREVER.total_seconds()):
            for time, (key, what) in self._agenda.before(until):
                self.clock.time = max(time, self.clock.time)
                self._do(key, what)
        self.clock.time = max(until, self.clock.time)

    def _do(self, key: Any, what: str) -> None:
        if what == "call":
            key()
            return
        if what == WAVE:
            self._wave(key)
            return
        member = self.members[key]
        {LOOK: self._look, TELL: self._tell, RENDER: self._render, ROLL: self._roll}[what](member)

    # -- who acts ---------------------------------------------------------------------------------------------------

    def _look(self, member: Member) -> None:
        """The real reconciler."""
        self.looks += 1
        try:
            again = finished(self.reconciler.reconcile(member.key))
        except KilledError:
            self._restart()
            return
        if again is not None and again < FOREVER.total_seconds():
            self.at(self.clock.time + timedelta(seconds=max(again, 1.0)), member.key, LOOK)
        for watcher in self.on_look:
            watcher(member, again)

    def _restart(self) -> None:
        """The controller died; another one begins."""
        self.killed += 1
        self.start()
        for key in self.members:
            self.soon(key, LOOK, RESTART)
        for name in self.waves.raw:
            self.soon(name, WAVE, RESTART)

    def _wave(self, name: str) -> None:
        """The real reconciler of Rollouts."""
        try:
            again = self.waves.look(name)
        except KilledError:
            self._restart()
            return
        if again is not None:
            self.at(self.clock.time + again, name, WAVE)

    def _tell(self, member: Member) -> None:
        """The clusters feature says how the Cluster is."""
        trouble = member.trouble
        now = self.clock.time
        told = manifests.status_of(member.machines, self.newest, trouble.ill, trouble.repairs, member.played, now)
        if told != member.played:
            member.played = told
            self.show(member)

    def _render(self, member: Member) -> None:
        """The clusters feature writes the topology; the same again when nothing has changed that it is made of."""
        machines = member.machines
        pools = [(p.on_delete, p.wanted.version) for p in machines.pools.values()]
        said = [member.update.get(f) for f in FOLLOWED], [s["started"] for s in member.steps if "started" in s]
        made_of = (id(member.spec), said, machines.topology, pools)
        if made_of == member.rendered:
            return
        member.rendered = made_of
        raw = self.index.get(resources.CLUSTER, *member.key)
        assert raw is not None
        cluster, now = self.parsed(Cluster.model_validate, raw), self.clock.time
        try:
            site = self.parsed(Site.model_validate, self.site)
            topology = rendered(member, cluster, site, self.releases(), self.classes, now)
        except ReleaseMissingError:
            member.rendered = None
            return
        if topology != member.machines.topology:
            member.machines.want(topology)
            self._show_parts(member)
            self.soon(member.key, ROLL)
            self.soon(member.key, TELL)
            self.soon(member.key, RENDER)

    def _roll(self, member: Member) -> None:
        """Cluster API's controllers."""
        now = self.clock.time
        if member.machines.roll(now):
            self.soon(member.key, ROLL)
        ready = member.machines.next_ready(now)
        if ready is not None:
            self.at(ready, member.key, ROLL)
        self._show_parts(member)
        self.soon(member.key, TELL)

    def _takes(self, member: Member, group: str, _: Makings) -> timedelta | None:
        if group in member.trouble.never_joins:
            return None
        return timedelta(minutes=self.random.randint(3, 25) if self.random else 6)

    # -- what is noted ----------------------------------------------------------------------------------------------

    def _began(self, member: Member, begun: Begun) -> None:
        member.begun.append(begun)
        self.note(member, f"  machine {begun.machine} begins: {_difference(begun)}")
        for watcher in self.on_begin:
            watcher(member, begun)

    def _made(self, member: Member, group: Group, machine: Machine) -> None:
        self.note(member, f"  machine {machine.name} is made of {machine.made_of.image}")
        for watcher in self.on_make:
            watcher(member, group, machine)

    def note(self, member: Member, words: str) -> None:
        """A line of what happened."""
        member.log.append(f"{self.clock.time:%a %m-%d %H:%M:%S} {words}")
        self.log.append(self._line(member.key[1], words))

    def _line(self, name: str, words: str) -> str:
        return f"{self.clock.time:%a %m-%d %H:%M:%S} [{name}] {words}"

    def _note_steps(self, member: Member, before: Object) -> None:
        known = {s["name"]: (s["state"], s.get("reason")) for s in before.get("steps") or ()}
        for step in member.update.get("steps") or ():
            state, reason = step["state"], step.get("reason")
            if known.get(step["name"]) != (state, reason) and state != "Pending" and reason not in UNTOLD:
                told = f": {step['message']}" if step.get("message") and state in ("Held", "Failed") else ""
                self.note(member, f"  step {step['name']} {state}, {reason}{told}")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that waits for nothing returns."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise AssertionError("it waits for something that never comes")


def _difference(begun: Begun) -> str:
    old, new = begun.old, begun.new
    pairs = ((old.version, new.version), (old.image, new.image), (old.revision, new.revision))
    return ", ".join(f"{a} to {b}" for a, b in pairs if a != b) or ("certificates" if begun.aged else "once more")
