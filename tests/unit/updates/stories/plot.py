"""What stories are made of: one small Cluster, some Releases, and what happens to them, each thing at its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from kaas.api.constants import ANNOTATION_UPDATE_RETRY
from kaas.kube.objects import Object
from tests.unit.updates.simulation.invariants import Invariants
from tests.unit.updates.simulation.member import Member
from tests.unit.updates.simulation.world import LOOK, RENDER, ROLL, TELL, World
from tests.unit.updates.subjects import TUESDAYS, at, raw_cluster, raw_release, raw_site

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Plot:
    """A world in which everything happens at once and in order. made: a Cluster with Tuesdays from 22:00 to 02:00."""

    def __init__(self, *releases: Object) -> None:
        self.world = World(raw_site())
        self.watched = Invariants(self.world)
        for release in releases or (v("v1.36.1"), v("v1.36.2", "2027-01-04")):
            self.world.put(release)

    def cluster(self, name: str = "team", running: str = "v1.36.1", **more: Any) -> Member:
        """A Cluster with one machine in its control plane and three in a pool, unless told otherwise."""
        pools = more.pop("pools", {"cpu": 3})
        labels, minutes = more.pop("labels", {}), more.pop("minutes", 240)
        maintenance = more.pop("maintenance", {"windows": [{**TUESDAYS, "durationMinutes": minutes}]})
        raw = raw_cluster(more.pop("asked", "1.36"), name=name, maintenance=maintenance, **more)
        raw["spec"]["controlPlane"]["replicas"] = 1
        raw["spec"]["nodePools"] = [{"name": p, "flavor": "cpu-4", "replicas": n} for p, n in pools.items()]
        raw["metadata"] |= {"uid": f"uid-{name}", "labels": labels}
        raw["status"] = None
        return self.world.add(raw, running)

    def until(self, when: str) -> None:
        """Time goes on."""
        self.world.run(at(when))

    def at(self, when: str, do: Callable[[], None]) -> None:
        """Something happens at a time."""
        self.world.call(at(when), do)

    def told(self) -> list[str]:
        """The whole story; of several Clusters, each after the other."""
        self.watched.holds()
        several = len(self.world.members) > 1
        return [
            line
            for member in self.world.members.values()
            for line in ([f"[{member.key[1]}]"] if several else []) + member.log
        ]

    def of_fleet(self) -> list[str]:
        """What people would see of the whole fleet: Events and what people do, without steps and machines."""
        self.watched.holds()
        return [line for line in self.world.log if "]   " not in line]

    # -- what happens -----------------------------------------------------------------------------------------------

    def says(self, member: Member, words: str) -> None:
        """A line of what others do."""
        self.world.note(member, f"! {words}")

    def bad_image(self, member: Member, group: str) -> None:
        self.says(member, f"new machines of {group} never join")
        member.trouble.never_joins.add(group)

    def good_image(self, member: Member, group: str) -> None:
        self.says(member, f"new machines of {group} join again")
        member.trouble.never_joins.discard(group)
        member.machines.mend(self.world.clock.time)
        self.world.soon(member.key, ROLL)

    def lost(self, member: Member, pool: str) -> None:
        self.says(member, f"a machine of {pool} is lost")
        member.machines.lose(pool, self.world.clock.time)
        self.world.soon(member.key, ROLL)

    def fails(self, member: Member, step: str) -> None:
        member.trouble.fails.add(step)

    def well(self, member: Member, step: str) -> None:
        self.says(member, "it is well again")
        member.trouble.fails.discard(step)

    def retry(self, member: Member, why: str) -> None:
        """A person has a stopped update go on."""
        self.says(member, f"a person says: go on, {why}")
        member.acted = self.world.clock.time
        member.annotations[ANNOTATION_UPDATE_RETRY] = why
        self.world.changed(member)

    def change(self, member: Member, **spec: Any) -> None:
        """A person changes the spec."""
        member.acted = self.world.clock.time
        member.spec = {**member.spec, **spec}
        self.world.changed(member)
        for what in (LOOK, RENDER, TELL):
            self.world.soon(member.key, what)


def v(version: str, regular: str | None = "2026-12-01", expires: str | None = None, image: str | None = None) -> Object:
    """A Release; with an image of its own it is a newer one of the same version."""
    raw = raw_release(version, regular, expires)
    if image:
        raw["metadata"]["name"], raw["spec"]["image"] = image, image
    return raw


def excluded(start: str, end: str, reason: str, scope: str = "All") -> Mapping[str, str]:
    """An exclusion, with days as 2026-12-20."""
    return {"from": f"{start}T00:00:00Z", "until": f"{end}T00:00:00Z", "scope": scope, "reason": reason}
