"""A Cluster as repairs see it: pools, replacements that helped, why nothing is done to it."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.kube.objects import Object
from kaas.repairs.facts import ServerView
from kaas.repairs.observe import Observed
from tests.unit.repairs.fake_fleet import KEY, Fleet

CPU = (*KEY, "cpu")


async def seen(fleet: Fleet) -> Observed:
    await fleet.run(60)
    found = fleet.ward.observed(KEY)
    assert found is not None
    return found


async def test_a_well_cluster_is_numbers_only() -> None:
    found = await seen(Fleet())
    assert (found.patients, found.cluster.size, found.pools[CPU].size) == ({}, 6, 6)
    assert (found.zones, sum(found.hosts.values())) == ({"az-1": 6}, 6)


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ({"spec": {"paused": True}}, "the Cluster is paused"),
        ({"status": {"conditions": []}}, "the control plane comes up for the first time"),
    ],
)
async def test_why_nothing_is_done_to_a_cluster(patch: Object, why: str) -> None:
    fleet = Fleet()
    capi = fleet.api.objects["Cluster.cluster.x-k8s.io", *KEY]
    fleet.api.change(capi, patch)
    assert (await seen(fleet)).cluster.away.startswith(why)


async def test_a_server_that_nova_does_not_have_is_gone() -> None:
    fleet = Fleet()
    del fleet.nova.facts["s-1"]
    (patient,) = (await seen(fleet)).patients.values()
    assert patient.server == ServerView("s-1", "DELETED")
    assert "ServerGone" in [f.signal for f in patient.findings]


@pytest.mark.parametrize(("time", "helped"), [("2025-12-31T00:00:00Z", True), ("2026-01-01T00:00:30Z", False)])
async def test_a_replacement_has_helped_when_a_newer_machine_is_well(time: str, *, helped: bool) -> None:
    fleet = Fleet()
    deployment: Any = fleet.api.objects["MachineDeployment.cluster.x-k8s.io", KEY[0], "team-cpu"]
    fleet.annotate(deployment, repair_replaced=f'["{time}"]')
    assert [worked for _, worked in (await seen(fleet)).pools[CPU].replaced] == [helped]


async def test_a_pool_that_rolls_out_is_being_updated() -> None:
    fleet = Fleet()
    deployment = fleet.api.objects["MachineDeployment.cluster.x-k8s.io", KEY[0], "team-cpu"]
    fleet.api.change(deployment, {"status": {"conditions": [{"type": "RollingOut", "status": "True"}]}})
    assert "team-cpu is rolling out" in (await seen(fleet)).pools[CPU].updating


def held(fleet: Fleet, *pools: str) -> None:
    """An update is in the middle of these pools: one machine is as it wants them, and the others wait."""
    for number in range(1, 6):
        old = {"status": {"conditions": [{"type": "UpToDate", "status": "False"}]}}
        fleet.api.change(fleet.machine(f"m-{number}"), old)
    fleet.api.change(fleet.cluster(), {"spec": {"nodePools": [{"name": "cpu", "flavor": "cpu-4", "replicas": 6}]}})
    fleet.api.change(fleet.cluster(), {"status": {"update": {"waiting": list(pools)}}})


@pytest.mark.parametrize(("waits", "is_held"), [("cpu", True), ("other", False)])
async def test_a_pool_whose_update_is_held(waits: str, *, is_held: bool) -> None:
    fleet = Fleet()
    held(fleet, waits)
    found = (await seen(fleet)).pools[CPU]
    assert (found.updating, found.held, found.out) == ("5 of its machines wait for newer ones", is_held, 0)


@pytest.mark.parametrize(
    "away",
    [
        {"status": {"nodeRef": None}},
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["capi"]}},
    ],
    ids=["comes", "goes"],
)
async def test_what_an_update_that_is_held_has_out(away: Object) -> None:
    fleet = Fleet()
    held(fleet, "cpu")
    fleet.api.change(fleet.machine("m-0"), away)
    assert (await seen(fleet)).pools[CPU].out == 1


async def test_a_pool_whose_turn_has_not_come_has_nothing_out() -> None:
    """Its machine that has not joined is the repair's own to mend."""
    fleet = Fleet()
    fleet.api.change(fleet.cluster(), {"status": {"update": {"waiting": ["cpu"]}}})
    fleet.api.change(fleet.machine("m-0"), {"status": {"nodeRef": None}})
    found = (await seen(fleet)).pools[CPU]
    assert (found.updating, found.held, found.out) == ("", True, 0)


async def test_a_machine_beyond_those_wanted_is_not_missed() -> None:
    fleet = Fleet()
    held(fleet, "cpu")
    pools = [{"name": "cpu", "flavor": "cpu-4", "replicas": 5}]
    fleet.api.change(fleet.cluster(), {"spec": {"nodePools": pools}})
    fleet.api.change(fleet.machine("m-0"), {"status": {"nodeRef": None}})
    assert (await seen(fleet)).pools[CPU].out == 0
