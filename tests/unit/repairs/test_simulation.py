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
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

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
    world.add((*A, ""), control_plane(), 3, ("az-1", "az-2"))
    world.add((*A, "cpu"), with_limits(vm(), max_in_flight="30%", max_unhealthy="50%"), 7, ("az-1", "az-2"), hosts=1)
    world.add((*A, "dgx"), bare_metal(), 4, ("az-2",))
    world.add((*B, ""), control_plane(), 1, ("az-1",))
    world.add((*B, "gpu"), with_limits(gpu_vm(), max_in_flight=2, max_unhealthy=3), 5, ("",))
    world.run(10)
    return world


NUMBERS = st.integers(0, 19)
KINDS = st.sampled_from(faults.KINDS)
ACTIONS = st.sampled_from(tuple(Action))


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

    @rule(seconds=st.sampled_from((10, 40, 70, 130, 310, 620, 1900)))
    def time_goes_by(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(number=NUMBERS, kind=KINDS, seconds=st.sampled_from((None, None, 100, 700)))
    def a_node_falls_sick(self, number: int, kind: faults.Kind, seconds: float | None) -> None:
        self.world.hurt(self.name(number), kind, seconds)

    @rule(zone=st.sampled_from(("az-1", "az-2")), seconds=st.sampled_from((200, 900)))
    def a_zone_fails(self, zone: str, seconds: float) -> None:
        for node in list(self.world.nodes.values()):
            if node.zone == zone:
                self.world.hurt(node.name, faults.NETWORK, seconds)

    @rule(number=NUMBERS)
    def a_node_is_well_by_itself(self, number: int) -> None:
        self.world.nodes[self.name(number)].faults.clear()

    @rule(number=NUMBERS, action=ACTIONS)
    def a_person_asks(self, number: int, action: Action) -> None:
        self.world.hurt(self.name(number), faults.requested(action))

    @rule(number=NUMBERS)
    def a_person_releases(self, number: int) -> None:
        node = self.world.nodes[self.name(number)]
        if node.progress is not None and node.progress.quarantined is not None:
            node.progress, node.skip = None, False

    @rule(name=st.sampled_from(("zone/az-1", "zone/az-2", "heartbeats/team/a", "heartbeats/team/b")))
    def a_person_confirms(self, name: str) -> None:
        self.world.confirmed[name] = self.world.now + timedelta(hours=1)

    @rule(cluster=st.sampled_from((A, B)))
    def an_api_server_goes_or_comes(self, cluster: tuple[str, str]) -> None:
        self.world.api_down ^= {cluster}

    @rule()
    def the_cloud_goes_or_comes(self) -> None:
        self.world.cloud_down ^= {SITE}

    @rule()
    def nova_refuses_or_not(self) -> None:
        self.world.executor.refusing ^= {SITE}

    @rule(number=NUMBERS)
    def acts_on_a_node_hang_or_not(self, number: int) -> None:
        self.world.executor.hanging ^= {self.name(number)}

    @rule()
    def no_machine_is_deleted_or_all(self) -> None:
        self.world.executor.stuck ^= True

    @rule(pool=st.sampled_from(("cpu", "dgx")), what=st.sampled_from(("paused", "updating")))
    def a_pool_is_held_or_not(self, pool: str, what: str) -> None:
        found = self.world.pools[(*A, pool)]
        setattr(found, what, "" if getattr(found, what) else "somebody said so")

    @rule()
    def new_machines_do_not_join_or_do(self) -> None:
        self.world.pools[(*A, "cpu")].bad_image ^= True

    @rule()
    def a_person_resumes_the_pool(self) -> None:
        self.world.pools[(*A, "cpu")].replaced.clear()

    @rule()
    def a_cluster_goes_or_comes(self) -> None:
        self.world.away = {} if self.world.away else {B: "it is paused"}

    @rule(mode=st.sampled_from((Mode.DRY_RUN, Mode.OFF, Mode.AUTOMATIC, Mode.AUTOMATIC)))
    def somebody_sets_the_mode(self, mode: Mode) -> None:
        self.world.mode = mode

    @rule(before_the_act=st.booleans())
    def the_controller_dies(self, before_the_act: bool) -> None:
        self.world.executor.dies = before_the_act
        self.world.control()
        self.world.executor.dies = False
        self.world.kill()

    @precondition(lambda self: not self.world.running)
    @rule()
    def another_takes_over(self) -> None:
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


SETTINGS = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.parametrize("number", [1, 20260302])
def test_with_fixed_seeds(number: int) -> None:
    run_state_machine_as_test(with_seed(number)(Fleets), settings=SETTINGS)


def test_with_a_seed_of_its_own() -> None:
    run_state_machine_as_test(Fleets, settings=SETTINGS)
