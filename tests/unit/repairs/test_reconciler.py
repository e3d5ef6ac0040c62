"""What the reconciler knows when it has looked, and what it asks for; whole repairs are in test_carry."""

from __future__ import annotations

import asyncio

import pytest

from kaas.repairs.decisions import Plan
from kaas.repairs.facts import Sight
from kaas.repairs.reconciler import AWAY_CLOUD_SECONDS, CLOUD_SECONDS, FLEET
from tests.unit.repairs.fake_fleet import KEY, Fleet


async def test_a_look_that_finds_nothing_new_plans_nothing() -> None:
    fleet = Fleet()
    fleet.nodes.known = None
    await fleet.run(10)
    fleet.due.clear()
    fleet.clock.step(5)
    assert await fleet.reconciler.reconcile(("cluster", *KEY)) is None
    assert fleet.due == {}


async def test_a_cloud_that_is_away_is_looked_at_more_often() -> None:
    fleet = Fleet()
    assert await fleet.reconciler.reconcile(("site", "north")) == CLOUD_SECONDS
    fleet.nova.away = True
    assert await fleet.reconciler.reconcile(("site", "north")) == AWAY_CLOUD_SECONDS
    assert not fleet.ward.site_sights["north"].clear
    assert len(fleet.ward.servers["north"]) == 6


async def test_what_is_decided_stays_said_while_it_is_looked_at_again() -> None:
    fleet = Fleet()
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(30)
    said = fleet.ward.decisions["tenants", "m-1"]
    fleet.kubelet("m-2", "False")
    await fleet.reconciler.reconcile(("cluster", *KEY))
    assert fleet.ward.decisions["tenants", "m-1"] == said


async def test_a_cluster_that_goes_leaves_nothing_behind() -> None:
    fleet = Fleet(helps="nothing")
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(400)
    assert fleet.ward.treatments
    fleet.api.remove(fleet.cluster())
    await fleet.run(10)
    assert (fleet.ward.treatments, fleet.ward.patients, fleet.ward.decisions) == ({}, {}, {})


async def test_many_silent_nodes_at_once_are_not_believed() -> None:
    fleet = Fleet()
    await fleet.run(60)
    for name in ("m-1", "m-2", "m-3"):
        fleet.kubelet(name, "Unknown")
    await fleet.run(1800)
    assert fleet.nova.actions == {}
    assert fleet.ward.cluster_sights[KEY].heartbeats
    assert {n["reason"] for n in fleet.cluster()["status"]["repair"]["nodes"]} == {"BlindToHeartbeats"}
    fleet.nodes.known = Sight(False, fleet.clock.now(), "it does not answer")
    fleet._add(("cluster", *KEY))
    await fleet.run(60)
    assert {n["reason"] for n in fleet.cluster()["status"]["repair"]["nodes"]} == {"BlindToCluster"}


async def test_planning_takes_a_tenth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet()
    await fleet.run(60)
    planned: list[Plan] = []

    def plan_for_long(found: Plan, _: object) -> None:
        planned.append(found)
        fleet.clock.step(0.1)

    monkeypatch.setattr(fleet.ward, "planned", plan_for_long)
    await fleet.reconciler.reconcile(FLEET)
    assert await fleet.reconciler.reconcile(FLEET) == pytest.approx(1.0)
    fleet.clock.step(1.0)
    await fleet.reconciler.reconcile(FLEET)
    assert len(planned) == 2


@pytest.mark.parametrize(("becomes", "begun"), [("Unknown", True), ("False", False), ("True", False)])
async def test_a_node_that_changes_while_it_is_planned_for_is_planned_for_again(becomes: str, *, begun: bool) -> None:
    fleet = Fleet()
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(60)
    fleet.clock.step(900)
    assert not fleet.ward.treatments

    async def meanwhile() -> None:
        if becomes != "Unknown":
            fleet.kubelet("m-1", becomes)
        await fleet.reconciler.reconcile(("cluster", *KEY))

    await asyncio.gather(fleet.reconciler.reconcile(FLEET), meanwhile())
    assert bool(fleet.ward.treatments) is begun
    assert begun or FLEET in fleet.due
