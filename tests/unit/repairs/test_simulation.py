"""Whatever happens to a fleet, in whatever order: what must hold holds at every step, and every repair comes to an end.

Beside `test_model`, which has one cluster and real signals, this has control planes, five budgets that are spent, zones
and hypervisors that fail, people who ask, confirm and pause, and a controller that dies.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from kaas.api.repair import Action, Limits, Mode, RepairPolicy
from kaas.repairs.decisions import Act, Hold, Plan
from kaas.repairs.facts import Fleet
from kaas.repairs.ladders import bare_metal, control_plane, gpu_vm, vm
from tests.unit.repairs.simulation import faults, invariants
from tests.unit.repairs.simulation.world import SITE, World

A, B = ("team", "a"), ("team", "b")
NOT_FINAL = {"BackOff", "BlindToCloud", "Paused", "DryRun", "UpdateUnderWay", "ClusterAway", "FactsMissing"}
"""What no node may be held by for ever once nobody pauses anything and the cloud is there."""


def with_limits(policy: RepairPolicy, **limits: Any) -> RepairPolicy:
    return policy.model_copy(update={"limits": Limits(**limits)})


def a_fleet() -> World:
    """Two clusters, virtual machines, GPUs and whole computers, with budgets that are easily spent."""
    world = World()
    world.limits = {
        "cluster": Limits(max_in_flight=2, max_unhealthy="60%"),
        "zone": Limits(max_in_flight=2, max_unhealthy="70%"),
        "site": Limits(max_in_flight=3, max_unhealthy="60%"),
        "fleet": Limits(max_in_flight=3, max_unhealthy="80%"),
    }
    zones = ("az-1", "az-2", "az-3")
    world.add((*A, ""), control_plane(), 5, ("az-1", "az-2"))
    world.add((*A, "cpu"), with_limits(vm(), max_in_flight="30%", max_unhealthy="40%"), 9, zones, hosts=1)
    world.add((*A, "dgx"), bare_metal(), 4, ("az-2",))
    world.add((*B, ""), control_plane(), 1, ("az-1",))
    world.add((*B, "gpu"), with_limits(gpu_vm(), max_in_flight=2, max_unhealthy=2), 5, ("az-1", ""))
    world.run(10)
    return world


NUMBERS = st.integers(0, 21)
KINDS = st.sampled_from(faults.KINDS)
ACTIONS = st.sampled_from(tuple(Action))
LASTING = st.sampled_from((None, None, None, 100, 700))
TROUBLES = (
    "api a",
    "api b",
    "cloud",
    "nova",
    "deletions",
    "hang cpu",
    "image cpu",
    "away",
    "mode DryRun",
    "mode Off",
    "paused cpu",
    "updating dgx",
    "updating cpu",
    "held cpu",
)


class Fleets(RuleBasedStateMachine):
    """What may happen, and what must hold meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.world = a_fleet()
        self.acts: dict[str, list[Act]] = {}
        self.world.watchers.append(self.watch)

    def watch(self, fleet: Fleet, plan: Plan, now: Any) -> None:
        invariants.check(fleet, plan, now)
        for act in plan.decisions:
            if isinstance(act, Act):
                self.acts.setdefault(act.node[1], []).append(act)
                node = self.world.nodes[act.node[1]]
                assert node.faults or not node.works, "a healthy node is touched"
                assert act.action is not Action.REPLACE or node.pool[2] != "dgx", "a whole computer is replaced"

    def name(self, number: int) -> str:
        names = sorted(self.world.nodes)
        return names[number % len(names)]

    @rule(seconds=st.sampled_from((10, 40, 70, 130, 310, 620)))
    def time_goes_by(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(number=NUMBERS, kind=KINDS, seconds=LASTING)
    def a_node_falls_sick(self, number: int, kind: faults.Kind, seconds: float | None) -> None:
        self.world.hurt(self.name(number), kind, seconds)
        self.world.run(300)

    @rule(numbers=st.sets(NUMBERS, min_size=2, max_size=6), kind=KINDS, seconds=LASTING)
    def several_fall_sick(self, numbers: set[int], kind: faults.Kind, seconds: float | None) -> None:
        for number in sorted(numbers):
            self.world.hurt(self.name(number), kind, seconds)
        self.world.run(100)

    @rule(zone=st.sampled_from(("az-1", "az-2", "az-3")), seconds=st.sampled_from((200, 900)))
    def a_zone_fails(self, zone: str, seconds: float) -> None:
        for node in list(self.world.nodes.values()):
            if node.zone == zone:
                self.world.hurt(node.name, faults.NETWORK, seconds)
        self.world.run(400)

    @rule(number=NUMBERS, action=ACTIONS)
    def a_person_asks(self, number: int, action: Action) -> None:
        self.world.hurt(self.name(number), faults.requested(action))
        self.world.run(100)

    @rule(number=NUMBERS, heals=st.booleans())
    def a_node_is_given_back(self, number: int, heals: bool) -> None:
        """It is well by itself, or a person releases it."""
        node = self.world.nodes[self.name(number)]
        if heals:
            node.faults.clear()
        elif node.progress is not None and node.progress.quarantined is not None:
            node.progress, node.skip = None, False

    @rule(name=st.sampled_from(("zone/az-2", "zone/az-3", "heartbeats/team/a", "heartbeats/team/b")))
    def a_person_confirms(self, name: str) -> None:
        self.world.confirmed[name] = self.world.now + timedelta(hours=1)

    @rule(what=st.sampled_from(TROUBLES), seconds=st.sampled_from((20, 400, 1000)), number=NUMBERS, kind=KINDS)
    def there_is_trouble_for_a_while(self, what: str, seconds: float, number: int, kind: faults.Kind) -> None:
        """And meanwhile a node falls sick."""
        self.switch(what)
        self.world.hurt(self.name(number), kind)
        self.world.run(seconds)
        self.switch(what)

    @rule(what=st.sampled_from(TROUBLES))
    def trouble_comes_or_goes(self, what: str) -> None:
        self.switch(what)

    def switch(self, what: str) -> None:
        """Turn something on that is off, or off that is on."""
        world, (kind, _, which) = self.world, what.partition(" ")
        match kind:
            case "api":
                world.api_down ^= {("team", which)}
            case "cloud":
                world.cloud_down ^= {SITE}
            case "nova":
                world.executor.refusing ^= {SITE}
            case "deletions":
                world.executor.stuck ^= True
            case "hang":
                world.executor.hanging ^= {n.name for n in world.nodes.values() if n.pool[2] == which}
            case "image":
                world.pools[(*A, which)].bad_image ^= True
            case _:
                self.say(kind, which)

    def say(self, kind: str, which: str) -> None:
        """What people say, and take back."""
        world = self.world
        if kind == "away":
            world.away = {} if world.away else {B: "it is paused"}
        elif kind == "held":
            world.pools[(*A, which)].held ^= True
        elif kind == "mode":
            world.mode = Mode.AUTOMATIC if world.mode is not Mode.AUTOMATIC else Mode(which)
        else:
            pool = world.pools[(*A, which)]
            setattr(pool, kind, "" if getattr(pool, kind) else "somebody said so")

    @rule()
    def a_person_resumes_the_pool(self) -> None:
        self.world.pools[(*A, "cpu")].replaced.clear()

    @rule(before_the_act=st.booleans(), seconds=st.sampled_from((0, 100, 1000)))
    def the_controller_dies_and_another_takes_over(self, before_the_act: bool, seconds: float) -> None:
        self.world.executor.dies = before_the_act
        self.world.control()
        self.world.executor.dies = False
        self.world.kill()
        self.world.run(seconds)
        self.world.running = True

    @invariant()
    def nothing_is_repeated_for_ever(self) -> None:
        """Not more than the whole ladder, with its retries, in each of the repairs that memory allows."""
        for name, acts in self.acts.items():
            assert len(acts) <= 60, f"{name}: {[a.action for a in acts]}"

    def teardown(self) -> None:
        """When nothing more happens everybody is healed, or waits for a person or for what a person has to mend."""
        world = self.world
        world.running, world.mode, world.away = True, Mode.AUTOMATIC, {}
        world.api_down.clear()
        world.cloud_down.clear()
        world.executor.refusing.clear()
        world.executor.hanging.clear()
        world.executor.stuck = False
        for pool in world.pools.values():
            pool.paused = pool.updating = ""
        world.run(12 * 3600, tick=timedelta(seconds=60))
        for decision in world.control().decisions:
            assert isinstance(decision, Hold), decision
            assert decision.reason not in NOT_FINAL, decision


SETTINGS = settings(max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.parametrize("number", [1, 20260302])
def test_with_fixed_seeds(number: int) -> None:
    run_state_machine_as_test(with_seed(number)(Fleets), settings=SETTINGS)


def test_with_a_seed_of_its_own() -> None:
    run_state_machine_as_test(Fleets, settings=SETTINGS)
