"""Years of Clusters with everything that may befall them, in virtual time: the real reconciler, and what must hold."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.updates.simulation.invariants import Invariants, is_finished, leftovers
from tests.unit.updates.simulation.member import Member
from tests.unit.updates.simulation.troubles import Fate, until_quiet
from tests.unit.updates.simulation.world import World
from tests.unit.updates.simulation.years import a_fleet
from tests.unit.updates.stories.plot import Plot

SEEDS = (*range(6), 25, 43, 55, 56, 60, 62, 79, 84, 108, 217)
SETTLED = frozenset(
    {"UpToDate", "Pinned", "ChannelNone", "KubernetesNone", "NotInChannel", "SiteLimit", "AddOnLimit", "AheadOfVersion"}
)
BY_ROLLOUT = frozenset({"RolloutDone", "RolloutPending", "ReleaseUnfit", "KubernetesPatch", "MinorSkipped"})
DATED = frozenset({"OutsideMaintenance", "TooSoon", "Excluded", "NoMaintenanceWindow", "Expired"})


def lived(seed: int) -> tuple[World, Invariants]:
    random = Random(seed)  # noqa: S311 - the same again for the same seed
    world = a_fleet(random, clusters=2)
    watched = Invariants(world)
    for member in world.members.values():
        Fate(world, member, random).befall(random.choice((0, 4, 15)))
    kills = random.choice((0.0, 0.0, 0.05))
    world.kills = lambda _write: random.random() < kills
    world.run(until_quiet(world.clock.time))
    settled(world)
    return world, watched


def settled(world: World) -> None:
    """One that is in the middle of its window comes to the window's end, or to its own."""
    for _ in range(5):
        if all(map(rests, world.members.values())):
            break
        world.run(world.clock.time + timedelta(hours=12))


def rests(member: Member) -> bool:
    return is_finished(member) or "hold" in member.update


def check(world: World, watched: Invariants) -> None:
    watched.holds()
    for member in world.members.values():
        ends_well(member)


def ends_well(member: Member) -> None:
    """It has come to rest, or says why not, and when that changes."""
    story = "\n".join(member.log[-40:])
    if not is_finished(member) and "hold" in member.update:  # short windows, and many machines: it is not through yet
        assert member.update["hold"].get("until"), story
        return
    assert is_finished(member), story
    assert not leftovers(member), f"{leftovers(member)}\n{story}"
    assert member.update["message"]
    assert member.reason in SETTLED | DATED | BY_ROLLOUT | {"ExpiredWithoutNext"}, f"{member.reason}\n{story}"
    now = member.machines
    assert len({m.made_of for g in now.groups() for m in g.machines}) == 1, f"machines differ\n{story}"


@pytest.mark.parametrize("seed", SEEDS)
def test_years_of_fixed_seeds(seed: int) -> None:
    check(*lived(seed))


def test_a_repair_in_its_pool_holds_an_update_in_the_middle() -> None:
    plot = Plot()
    team = plot.cluster(pools={"cpu": 3})
    fate = Fate(plot.world, team, Random(0))  # noqa: S311 - nothing is left to chance here
    plot.at("2027-01-05 22:07", lambda: fate.repair_in("cpu"))
    plot.at("2027-01-05 23:30", lambda: fate.repaired("cpu"))
    plot.until("2027-01-06 12:00")
    plot.watched.holds()
    ends_well(team)
    assert [f"{b.at:%H:%M}" for b in team.begun if b.group] == ["22:06", "23:30", "23:36"]


@settings(max_examples=5)
@given(seed=st.integers(min_value=1000))
def test_years_of_random_seeds(seed: int) -> None:
    check(*lived(seed))
