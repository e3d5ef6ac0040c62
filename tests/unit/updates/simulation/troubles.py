"""What befalls the Clusters of a simulated year: sickness, repairs, bad images, people. All of it ends some day."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Final

from kaas.api.constants import ANNOTATION_UPDATE_POOLS, ANNOTATION_UPDATE_RETRY, ANNOTATION_UPDATES_PAUSED
from kaas.api.release_state import ReleaseState, state_of
from kaas.api.rollout import ANNOTATION_ROLLOUT_RETRY
from kaas.api.versions import KubernetesVersion
from kaas.kube.times import stamp
from kaas.updates.run import Finding, Severity
from tests.unit.updates.simulation.machines import Begun
from tests.unit.updates.simulation.member import Member
from tests.unit.updates.simulation.world import LOOK, ROLL, TELL, World

QUIET: Final = timedelta(days=300)
"""After so many days of a year nothing befalls anyone any more."""
AMBUSHES: Final = 0.15
Trouble = Callable[[], None]


class Fate:
    """Everything that befalls one Cluster."""

    def __init__(self, world: World, member: Member, random: Random) -> None:
        self.world, self.member, self.random = world, member, random
        self.start = world.clock.time

    def befall(self, many: int) -> None:
        """So many troubles, at random times; then somebody mends all that there is."""
        for _ in range(many):
            at = self.start + self._some(QUIET)
            self.world.call(at, self.random.choice(self._kinds()))
        self.world.on_begin.append(self._ambush if many else _nothing)
        self.world.call(self.start + QUIET + timedelta(days=1), self.mend_all)
        self.world.call(self.start + QUIET + timedelta(days=10), self.mend_all)

    def _ambush(self, member: Member, begun: Begun) -> None:
        """Now and then something befalls it in the middle of an update."""
        if member is not self.member or begun.at > self.start + QUIET or self.random.random() > AMBUSHES:
            return
        self.world.call(begun.at + self._some(timedelta(minutes=40)), self.random.choice(self._kinds()))

    def _kinds(self) -> tuple[Trouble, ...]:
        people = (self.pause, self.asks, self.excludes, self.wishes, self.let_go)
        return (self.ill, self.repair, self.away, self.blocked, *people, *(self.image, self.checks) * 2)

    def _some(self, most: timedelta) -> timedelta:
        return timedelta(seconds=self.random.randint(60, int(most.total_seconds())))

    def _for(self, most: timedelta, ends: Trouble) -> None:
        """It ends after some time, before all is quiet."""
        now = self.world.clock.time
        self.world.call(min(now + self._some(most), self.start + QUIET), ends)

    def _note(self, words: str) -> None:
        self.world.note(self.member, f"! {words}")

    def _tell(self) -> None:
        self.world.soon(self.member.key, TELL)

    # -- the world --------------------------------------------------------------------------------------------------

    def ill(self) -> None:
        self._note("the Cluster is not Ready")
        self.member.trouble.ill = "etcd has no leader"
        self._tell()
        self._for(timedelta(days=3), self._well)

    def _well(self) -> None:
        self.member.trouble.ill = ""
        self._tell()

    def repair(self) -> None:
        pool = self.random.choice(["", *self.member.machines.pools])
        self.repair_in(pool)
        self._for(timedelta(hours=6), lambda: self.repaired(pool))

    def repair_in(self, pool: str) -> None:
        trouble = self.member.trouble
        self._note(f"a repair begins in {pool or 'the control plane'}")
        trouble.repairs[pool], trouble.repairs_since[pool] = 1, self.world.clock.time
        self._tell()

    def repaired(self, pool: str) -> None:
        self._note(f"the repair in {pool or 'the control plane'} ends")
        self.member.trouble.repairs.pop(pool, None)
        self._tell()

    def image(self) -> None:
        """Machines of a group never join, until somebody mends it."""
        self.image_of(self.random.choice(["", *self.member.machines.pools]))

    def image_of(self, group: str, most: timedelta = timedelta(days=40)) -> None:
        self._note(f"new machines of {group or 'the control plane'} never join")
        self.member.trouble.never_joins.add(group)
        self._for(most, lambda: self._joins(group))

    def _joins(self, group: str) -> None:
        self._note(f"new machines of {group or 'the control plane'} join again")
        self.member.trouble.never_joins.discard(group)
        self.member.machines.mend(self.world.clock.time)
        self.world.soon(self.member.key, ROLL)
        if self.random.random() < 0.7:
            self._for(timedelta(days=5), self.retry)

    def lost(self, pool: str) -> None:
        """A machine is gone, and Cluster API makes another one."""
        self._note(f"a machine of {pool} is lost")
        self.member.machines.lose(pool, self.world.clock.time)
        self.world.soon(self.member.key, ROLL)
        self._tell()

    def checks(self) -> None:
        """Verification of a step fails."""
        self.checks_of(
            self.random.choice(["ControlPlane", "Verification", *(f"Pool/{p}" for p in self.member.machines.pools)])
        )

    def checks_of(self, step: str) -> None:
        """The same of one step."""
        self.member.trouble.fails.add(step)
        self._note(f"{step} is not well")
        self._for(timedelta(days=40), lambda: self._checked(step))

    def _checked(self, step: str) -> None:
        self.member.trouble.fails.discard(step)
        if self.random.random() < 0.7:
            self._for(timedelta(days=5), self.retry)

    def away(self) -> None:
        self.member.trouble.away = True
        self._note("its API server does not answer")
        self._for(timedelta(hours=20), self._back)

    def _back(self) -> None:
        self.member.trouble.away = False
        self._note("its API server answers")

    def blocked(self) -> None:
        words = "PodDisruptionBudget web/web allows no disruption: raise its replicas"
        self.member.trouble.findings = (Finding("DisruptionBudgets", Severity.BLOCK, words),)
        self._note("something blocks updates")
        self._for(timedelta(days=20), self._free)

    def _free(self) -> None:
        self.member.trouble.findings = ()

    # -- people -----------------------------------------------------------------------------------------------------

    def retry(self) -> None:
        """A person has a stopped update go on."""
        if "stopped" not in self.member.update:
            return
        self._note("a person says: go on")
        self.annotate(ANNOTATION_UPDATE_RETRY, f"mended {self.world.clock.time:%m-%d %H:%M}")

    def let_go(self) -> None:
        """A person lets pools begin whose strategy is Manual."""
        self.annotate(ANNOTATION_UPDATE_POOLS, "*")
        self._for(timedelta(days=30), lambda: self.annotate(ANNOTATION_UPDATE_POOLS, None))

    def annotate(self, name: str, value: str | None) -> None:
        self.member.acted = self.world.clock.time
        self.member.annotations.pop(name, None)
        if value is not None:
            self.member.annotations[name] = value
        self.world.changed(self.member)

    def pause(self) -> None:
        self._note("a person pauses updates")
        self.annotate(ANNOTATION_UPDATES_PAUSED, "a demonstration")
        self._for(timedelta(days=20), self._resume)

    def _resume(self) -> None:
        self.annotate(ANNOTATION_UPDATES_PAUSED, None)

    def asks(self) -> None:
        """A person asks for a version: exactly, or the minor of it. It is done at once."""
        member = self.member
        plane = member.machines.control_plane.oldest(self.world.clock.time)
        oldest = min(g.oldest(self.world.clock.time) for g in member.machines.groups())
        if oldest.minor != plane.minor:
            return
        now = self.world.clock.time
        out = [r for r in self.world.releases() if state_of(r, now) is not ReleaseState.PREVIEW]
        known = {KubernetesVersion.parse(r.spec.version) for r in out}
        ahead = [v for v in known if plane < v and v.minor <= plane.minor + 1]
        if not ahead:
            return
        version = self.random.choice(sorted(ahead))
        pins = self.random.random() < 0.5
        asked = str(version) if pins else f"1.{version.minor}"
        self._note(f"a person asks for {asked}")
        member.by_hand.add(asked)
        updates = {**member.spec.get("updates", {})}
        if pins and updates.get("kubernetes") == "Minor":
            updates["kubernetes"] = "Patch"
        self.change(version=asked, updates=updates)

    def wishes(self) -> None:
        """A person chooses another channel."""
        channel = self.random.choice(("Rapid", "Regular", "Stable", "None"))
        self._note(f"a person chooses the channel {channel}")
        self.change(updates={**self.member.spec.get("updates", {}), "channel": channel})

    def excludes(self) -> None:
        """A person leaves out a time."""
        start = self.world.clock.time + self._some(timedelta(days=10))
        until = start + self._some(timedelta(days=30))
        scope = self.random.choice(("All", "Minor", "Nodes"))
        one = {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        self._note(f"a person excludes {scope} from {start:%m-%d} until {until:%m-%d}")
        said = self.member.spec.get("maintenance", {})
        exclusions = [*said.get("exclusions", ()), {**one, "scope": scope, "reason": "a fair"}]
        self.change(maintenance={**said, "exclusions": exclusions[-8:]})

    def change(self, **spec: object) -> None:
        self.member.acted = self.world.clock.time
        self.member.spec = {**self.member.spec, **spec}
        self.world.changed(self.member)

    def mend_all(self) -> None:
        """Nothing is wrong any more, and nobody keeps anything back."""
        self._note("all is mended")
        trouble = self.member.trouble
        trouble.ill, trouble.away, trouble.findings = "", False, ()
        for repaired in (trouble.repairs, trouble.never_joins, trouble.fails):
            repaired.clear()
        self.member.machines.mend(self.world.clock.time)
        self.annotate(ANNOTATION_UPDATES_PAUSED, None)
        self.annotate(ANNOTATION_UPDATE_POOLS, "*")
        self._tell()
        self.world.soon(self.member.key, ROLL)
        self.world.soon(self.member.key, LOOK)
        self.retry()
        act = {"by": "ann", "at": stamp(self.world.clock.time), "reason": "all is mended"}
        told = {"/".join(key): act for key in self.world.members}
        for name in self.world.waves.raw:
            self.world.tell_rollout(name, ANNOTATION_ROLLOUT_RETRY, json.dumps(told))


def _nothing(_member: Member, _begun: Begun) -> None:
    """A quiet life."""


def until_quiet(start: datetime) -> datetime:
    """When the last trouble has ended, and there was time enough after it."""
    return start + QUIET + timedelta(days=120)
