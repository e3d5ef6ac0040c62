"""Clusters of one Site that are due in the same window: so many at once as the Site says, and the others wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kaas.kube.objects import Object
from kaas.runtime.index import Index
from kaas.updates.explain.facts import State
from kaas.updates.explain.why import explain
from kaas.updates.facts import Aims, Change, Choice, Decision, Ruling, Turn
from kaas.updates.line import Line
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.places import AGAIN, SITE_BUSY
from kaas.updates.planner import CERTIFICATES_END, plan
from kaas.updates.standing import Present
from kaas.updates.subject import Subject
from tests.unit.updates.simulation.crowd import Crowd
from tests.unit.updates.simulation.invariants import Invariants, is_finished
from tests.unit.updates.simulation.world import World
from tests.unit.updates.stories.plot import Plot, v
from tests.unit.updates.subjects import TUESDAYS, at, calendar, cluster, raw_cluster, raw_site, release, site, version

OPEN = at("2027-01-05 22:00")
OLD, NEW = release("v1.36.1"), release("v1.36.3")


# --- who waits --------------------------------------------------------------------------------------------------------


def subject(name: str = "team", most: int | str = 1, **update: Any) -> Subject:
    of = cluster(name=name, status={"update": update} if update else {})
    where = site(updates={"maxConcurrent": most})
    return Subject.of(of, version("v1.36.1"), [OLD, NEW], where, calendar(of, where))


def busy(most: int | str = 1) -> Line:
    """A Site of which one Cluster is updated."""
    line = Line(Index(), UpdateMetrics(CollectorRegistry()))
    steps = [{"name": "ControlPlane", "state": "Running", "since": "2027-01-05T22:00:00Z"}]
    line.seen(("tenants", "other"), subject("other", most), {"reason": "Updating", "steps": steps}, OPEN)
    return line


def admitted(of: Subject, decision: Decision | None = None, most: int | str = 1) -> Decision:
    return busy(most).admit(("tenants", "team"), of, decision or plan(of, OPEN), OPEN)


def test_who_has_to_wait_is_told_why_and_until_when() -> None:
    found = admitted(subject(most="25%"), most="25%")
    assert (found.target, found.reason, found.until) == (None, SITE_BUSY, OPEN + AGAIN)
    assert found.choice is not None
    assert found.choice.version == version("v1.36.3")
    assert "no more Clusters of Site north are updated at once" in found.message
    assert "spec.updates.maxConcurrent, 25%: 1 of 1" in found.message
    assert "until the window closes 2027-01-06 01:45 UTC" in found.message


def test_explain_says_so_and_what_can_be_done() -> None:
    words = "v1.36.3 waits: no more Clusters of Site north are updated at once"
    found = explain(subject(version="v1.36.3", change="Patch", reason=SITE_BUSY, message=words), OPEN)
    assert (found.state, found.reason, found.answer) == (State.WAITS, SITE_BUSY, words)
    assert "kubectl edit sites.kaas.internal north" in [w.command for w in found.ways]
    assert [c.at for c in found.coming] == [at("2027-01-06 01:45")]


def turn(*, allowed: bool) -> Turn:
    return Turn("fleet", "all", version("v1.36.3"), allowed, "RolloutReleased", "its turn has come")


def replaced(**fields: Any) -> Subject:
    return replace(subject(), **fields)


def test_what_cannot_be_put_off_is_not() -> None:
    certificates = Aims(version("v1.36.1"), (Change.CERTIFICATES,), certificates=OPEN)
    forced = Choice(version("v1.36.3"), Change.PATCH, OPEN, forced=True, message="it has expired")
    soon = Choice(version("v1.36.1"), Change.CERTIFICATES, OPEN, forced=False, message="they end", aims=certificates)
    for choice, reason in ((forced, "Expired"), (forced, "Updating"), (soon, CERTIFICATES_END)):
        decision = Decision(choice.version, choice, reason, "now", None)
        assert admitted(subject(), decision) is decision
    ends = replaced(present=Present(certificates_end=OPEN + timedelta(days=14)))
    assert admitted(ends).target is not None
    assert admitted(replaced(present=Present(certificates_end=OPEN + timedelta(days=16)))).target is None


def test_whose_turn_a_rollout_says_that_it_is_waits_for_no_other() -> None:
    assert admitted(replaced(ruling=Ruling(kubernetes=turn(allowed=True)))).target is not None
    image = Choice(version("v1.36.1"), Change.IMAGE, OPEN, forced=False, message="newer")
    decision = Decision(image.version, image, "Updating", "now", None)
    assert admitted(replaced(ruling=Ruling(kubernetes=turn(allowed=True))), decision).reason == SITE_BUSY


def test_a_new_controller_reads_who_is_under_way() -> None:
    index = Index()
    steps = [{"name": "ControlPlane", "state": "Running", "since": "2027-01-05T22:00:00Z"}]
    index.put(raw_cluster(name="other", status={"update": {"reason": "Updating", "steps": steps}}))
    line = Line(index, UpdateMetrics(CollectorRegistry()))
    of = subject()
    assert line.admit(("tenants", "team"), of, plan(of, OPEN), OPEN).reason == SITE_BUSY


# --- fleets -----------------------------------------------------------------------------------------------------------


def a_site(plot: Plot, many: int, most: int | str, running: str = "v1.36.1") -> Crowd:
    plot.world.site = raw_site(updates={"maxConcurrent": most})
    plot.world.put(plot.world.site)
    for number in range(many):
        plot.cluster(f"c-{number}", running)
    return Crowd(plot.world, most if isinstance(most, int) else 1)


def versions(world: World) -> set[str]:
    return {str(m.machines.control_plane.oldest(world.clock.time)) for m in world.members.values() if is_finished(m)}


def test_a_site_of_eight_two_at_once() -> None:
    plot = Plot()
    crowd = a_site(plot, 8, 2)
    plot.until("2027-01-20 12:00")
    plot.watched.holds()
    crowd.holds()
    assert (crowd.fullest, len(crowd.order)) == (2, 8)
    assert {name for _, name in crowd.order} == {f"c-{n}" for n in range(8)}
    assert versions(plot.world) == {"v1.36.2"}


def test_the_default_lets_a_quarter_go() -> None:
    plot = Plot()
    crowd = Crowd(plot.world, 2)
    for number in range(8):
        plot.cluster(f"c-{number}")
    plot.until("2027-01-20 12:00")
    crowd.holds()
    assert crowd.fullest == 2


def test_what_expires_first_goes_first() -> None:
    plot = Plot(v("v1.36.0", expires="2027-02-20"), v("v1.36.1"), v("v1.36.2", "2027-01-04"))
    crowd = a_site(plot, 3, 1)
    plot.cluster("old", "v1.36.0")
    plot.until("2027-01-20 12:00")
    crowd.holds()
    assert next(name for _, name in crowd.order) == "old"
    assert crowd.fullest == 1


def test_one_that_stops_holds_up_no_other() -> None:
    plot = Plot()
    crowd = a_site(plot, 4, 1)
    world = plot.world
    sick = world.members["tenants", "c-2"]
    plot.at("2027-01-05 21:00", lambda: plot.bad_image(sick, "cpu"))
    plot.until("2027-01-27 12:00")
    crowd.holds()
    assert len(crowd.order) == 4
    assert "stopped" in sick.update
    assert [n for n, m in world.members.items() if m is not sick and not is_finished(m)] == []


@pytest.mark.parametrize("seed", range(4))
def test_whatever_befalls_the_controller(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - the same again for the same seed
    most, many = random.randint(1, 3), random.randint(3, 7)
    world = World(raw_site(updates={"maxConcurrent": most}), random=random, kills=lambda _: random.random() < 0.01)
    for obj in (v("v1.36.1"), v("v1.36.2", "2027-01-04")):
        world.put(obj)
    watched, crowd = Invariants(world), Crowd(world, most)
    for number in range(many):
        world.add(_cluster(random, number), "v1.36.1")
    world.run(at("2027-02-20 12:00"))
    watched.holds()
    crowd.holds()
    assert len(crowd.order) >= many
    assert versions(world) == {"v1.36.2"}


def _cluster(random: Random, number: int) -> Object:
    raw = raw_cluster(name=f"c-{number}", maintenance={"windows": [{**TUESDAYS, "durationMinutes": 240}]})
    raw["metadata"]["uid"] = f"{random.getrandbits(64):016x}"
    raw["spec"]["controlPlane"]["replicas"] = random.choice((1, 3))
    raw["spec"]["nodePools"] = [{"name": "cpu", "flavor": "cpu-4", "replicas": random.randint(1, 3)}]
    raw["status"] = None
    return raw
