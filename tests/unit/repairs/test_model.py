"""Whatever falls ill, fails or is out of sight, in whatever order: the rules hold, and nobody is forgotten."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kaas.api.repair import Action, Limits, Mode
from kaas.repairs.decisions import Hold
from kaas.repairs.ladders import bare_metal, vm
from tests.unit.repairs.virtual_fleet import Pool, World

CURES = (Action.DRAIN, Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.POWER_CYCLE, Action.REPLACE, None)
KINDS = ("silent", "deadlock", "xid")
FAILING: tuple[frozenset[Action], ...] = (
    frozenset(),
    frozenset({Action.SOFT_REBOOT}),
    frozenset({Action.HARD_REBOOT, Action.POWER_CYCLE}),
)


def world(most: int = 1) -> World:
    limits = Limits(max_in_flight=most, max_unhealthy="60%")
    pools = {
        "cpu": Pool(vm().model_copy(update={"limits": limits})),
        "dgx": Pool(bare_metal().model_copy(update={"limits": limits}), gpus=8),
    }
    made = World(pools, limits={"cluster": Limits(max_in_flight=3, max_unhealthy="60%")})
    made.add("cpu", 6, "az-1")
    made.add("cpu", 6, "az-2")
    made.add("dgx", 3, "az-1")
    return made


class Hospital(RuleBasedStateMachine):
    """Hypothesis chooses what happens next; `Rules` are checked in every round of the planner."""

    def __init__(self) -> None:
        super().__init__()
        self.world = world()

    @initialize(most=st.integers(1, 3))
    def begin(self, most: int) -> None:
        self.world = world(most)

    @rule(which=st.integers(0, 100), kind=st.sampled_from(KINDS), cure=st.sampled_from(CURES))
    def fall_ill(self, which: int, kind: str, cure: Action | None) -> None:
        names = sorted(self.world.nodes)
        name = names[which % len(names)]
        self.world.fall_ill(name, "deadlock" if kind == "xid" and name.startswith("cpu") else kind, cure)

    @rule(which=st.integers(0, 100))
    def get_well(self, which: int) -> None:
        names = sorted(self.world.nodes)
        self.world.heal([names[which % len(names)]])

    @rule(minutes=st.sampled_from([1, 5, 20, 60]))
    def time_passes(self, minutes: int) -> None:
        self.world.advance(minutes * 60, pause=20)

    @rule(up=st.booleans())
    def api(self, up: bool) -> None:
        self.world.api_up = up

    @rule(up=st.booleans())
    def cloud(self, up: bool) -> None:
        self.world.cloud_up = up

    @rule(failing=st.sampled_from(FAILING))
    def nova_says_no(self, failing: frozenset[Action]) -> None:
        self.world.failing = failing

    @rule(
        pool=st.sampled_from(["cpu", "dgx"]),
        why=st.sampled_from(["", "two machines wait for newer ones"]),
        held=st.booleans(),
    )
    def update(self, pool: str, why: str, held: bool) -> None:
        self.world.pools[pool] = replace(self.world.pools[pool], updating=why, held=held)

    @rule(pool=st.sampled_from(["cpu", "dgx"]), why=st.sampled_from(["", "we look at it"]))
    def pause(self, pool: str, why: str) -> None:
        self.world.pools[pool] = replace(self.world.pools[pool], paused=why)

    @rule(mode=st.sampled_from([Mode.AUTOMATIC, Mode.AUTOMATIC, Mode.DRY_RUN]))
    def mode(self, mode: Mode) -> None:
        self.world.mode = mode

    @invariant()
    def a_box_is_never_replaced(self) -> None:
        assert sum(name.startswith("dgx") for name in self.world.nodes) == 3


Hospital.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestHospital = Hospital.TestCase


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_in_random_order_everybody_ends_well(seed: int) -> None:
    """Faults that something on the ladder heals, for days: all are healed, or it is said what holds them."""
    chance, made = random.Random(seed), world(2)  # noqa: S311 - the same every time
    for _ in range(25):
        name = chance.choice(sorted(made.nodes))
        cures = (Action.SOFT_REBOOT, Action.HARD_REBOOT) if name.startswith("cpu") else (Action.POWER_CYCLE,)
        made.fall_ill(name, "deadlock" if name.startswith("cpu") else "xid", chance.choice(cures))
        made.advance(chance.choice([600, 3600, 14400]), pause=30)
    made.advance(86400, pause=60)
    held = {d.node[1]: d.reason for d in made.round().decisions if isinstance(d, Hold)}
    ill = {n.name for n in made.nodes.values() if n.ill}
    assert ill <= held.keys()
    assert {held[name] for name in ill} <= {"Quarantined", "TooManySick"}  # boxes with one fault after the other


def test_what_nothing_heals_ends_with_a_person() -> None:
    made = world()
    made.fall_ill("dgx-13", "xid", None)
    made.advance(86400, pause=60)
    node = made.nodes["dgx-13"]
    assert node.progress is not None
    assert node.progress.quarantined is not None
    assert made.acted[Action.REPLACE] == 0
    assert made.acted[Action.QUARANTINE] == 1
    before = made.acted.copy()
    made.advance(86400, pause=60)
    assert made.acted == before


def test_nobody_is_touched_while_all_are_well() -> None:
    made = world()
    made.advance(7 * 86400, pause=3600)
    assert not made.acted
    assert not made.log
