"""Months in which node images are bad and machines are lost: a rollback replaces none, what comes is as before."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from kaas.kube.objects import Object
from tests.unit.updates.simulation.invariants import Invariants, is_finished, leftovers
from tests.unit.updates.simulation.machines import Begun
from tests.unit.updates.simulation.member import Member
from tests.unit.updates.simulation.troubles import Fate
from tests.unit.updates.simulation.world import World
from tests.unit.updates.stories.plot import Plot, v
from tests.unit.updates.subjects import NOW, raw_cluster, raw_release, raw_site

VERSION = "v1.36.1"
IMAGES = 6
DAILY = {"recurrence": "FREQ=DAILY", "start": "22:00", "durationMinutes": 240, "timeZone": "UTC"}
DAY = timedelta(days=1)


def image(number: int) -> Object:
    """One image after the other of the version that runs."""
    raw = raw_release(VERSION, f"{NOW + 12 * number * DAY:%Y-%m-%d}")
    raw["metadata"]["name"] = raw["spec"]["image"] = f"ubuntu-{VERSION}-{number}"
    return raw


class Ill(Fate):
    """Of a pool that is in the middle new machines come to nothing, half of the time; then others are lost."""

    def ambush(self, member: Member, begun: Begun) -> None:
        if begun.group and begun.at < NOW + 80 * DAY and self.random.random() < 0.5:
            after = timedelta(minutes=self.random.randint(0, 30))
            self.world.call(begun.at + after, lambda: self.image_of(begun.group, 5 * DAY))
            for _ in range(self.random.randint(1, 4)):
                later = timedelta(minutes=self.random.randint(30, 10 * 24 * 60))
                self.world.call(begun.at + later, lambda: self.lost(begun.group))


def lived(seed: int) -> tuple[World, Member, Invariants]:
    """One Cluster for some months."""
    random = Random(seed)  # noqa: S311 - the same again for the same seed
    world = World(raw_site(), random=random)
    for raw in (raw_release(VERSION, "2026-12-01"), *(image(n) for n in range(1, IMAGES))):
        world.put(raw)
    watched = Invariants(world)
    raw = raw_cluster("1.36", maintenance={"windows": [DAILY]})
    raw["spec"]["controlPlane"]["replicas"] = 1
    raw["spec"]["nodePools"] = [{"name": n, "flavor": "cpu-4", "replicas": 3} for n in ("a", "b")]
    raw["metadata"]["uid"], raw["status"] = "uid-team", None
    member = world.add(raw, VERSION)
    fate = Ill(world, member, random)
    world.on_begin.append(fate.ambush)
    world.call(NOW + 25 * DAY, lambda: world.revise("class-2"))
    for days in (90, 95, 100):
        world.call(NOW + days * DAY, fate.mend_all)
    kills = random.choice((0.0, 0.05))
    world.kills = lambda _write: random.random() < kills
    world.run(NOW + 110 * DAY)
    return world, member, watched


@pytest.mark.parametrize("seed", range(4))
def test_months_of_bad_images(seed: int) -> None:
    _, member, watched = lived(seed)
    watched.holds()
    story = "\n".join(member.log)
    assert is_finished(member), story
    assert not leftovers(member), story
    makings = {(m.made_of.image, m.made_of.revision) for g in member.machines.groups() for m in g.machines}
    assert makings == {(f"ubuntu-{VERSION}-{IMAGES - 1}", "class-2")}, story
    assert "UpdateRolledBack" in story, "months in which nothing is rolled back prove nothing"
    assert watched.compared > 1, story


def test_killed_at_every_write_it_is_rolled_back_once_and_goes_on() -> None:
    plot = Plot(raw_release(VERSION), v(VERSION, "2027-01-04", image=f"ubuntu-{VERSION}-b"))
    team, seen = plot.cluster(pools={"cpu": 3}), set[str]()

    def dies(write: str) -> bool:
        """The first time that it comes to a write, before it and after it."""
        name, known = f"{write}: {plot.world.writes}", len(seen)
        seen.add(name)
        return len(seen) > known

    plot.world.kills = dies
    plot.at("2027-01-05 22:20", lambda: plot.bad_image(team, "cpu"))
    plot.at("2027-01-08 09:00", lambda: plot.good_image(team, "cpu"))
    plot.at("2027-01-12 22:00", lambda: plot.retry(team, "the network is mended"))
    plot.until("2027-01-09 00:00")
    (entry,) = team.update["rolledBack"]
    assert [entry[k] for k in ("what", "pool", "to")] == ["Image", "cpu", f"ubuntu-{VERSION}"]
    made = [m.made_of.image for m in team.machines.pools["cpu"].machines]
    assert made.count(f"ubuntu-{VERSION}") == 1, "the one that had never joined"
    plot.until("2027-01-14 12:00")
    plot.watched.holds()
    assert {m.made_of.image for m in team.machines.pools["cpu"].machines} == {f"ubuntu-{VERSION}-b"}
    assert not leftovers(team)
    assert plot.world.killed > 10
