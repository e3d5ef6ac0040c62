"""Years of Clusters with add-ons: the real planner and the real word on what is to be there, in virtual time."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.updates.simulation.invariants import Invariants
from tests.unit.updates.simulation.stock import Stock, Watch, befall, supply
from tests.unit.updates.simulation.troubles import Fate, until_quiet
from tests.unit.updates.simulation.years import a_fleet
from tests.unit.updates.test_fleet_years import check, settled

SEEDS = range(14)


def lived(seed: int) -> Watch:
    random = Random(seed)  # noqa: S311 - the same again for the same seed
    world = a_fleet(random, clusters=2)
    stock, watched = Stock(world, random), Invariants(world)
    watch = Watch(world, stock, watched)
    supply(stock, random)
    for member in world.members.values():
        fate = Fate(world, member, random)
        fate.befall(random.choice((0, 4, 10)))
        befall(fate, random)
    kills = random.choice((0.0, 0.0, 0.05))
    world.kills = lambda _write: random.random() < kills
    world.run(until_quiet(world.clock.time))
    settled(world)
    check(world, watched)
    return watch


def test_years_of_fixed_seeds() -> None:
    compared = Counter[str]()
    for seed in SEEDS:
        compared.update(lived(seed).compared)
    assert min(compared[kind] for kind in ("first", "update", "back")) > 3, compared


@settings(max_examples=4)
@given(seed=st.integers(min_value=1000))
def test_years_of_random_seeds(seed: int) -> None:
    lived(seed)
