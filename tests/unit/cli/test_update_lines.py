"""What `kaas status NAME` shows of updates; the statuses are what the real reconciler has written."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.console import Console

from kaas.api.cluster import Cluster
from kaas.api.update_status import UpdateSummary
from kaas.cli import update_lines, update_view
from kaas.cli.tree import tree
from kaas.cli.view import view
from kaas.updates.run import Finding, Severity, Verdict
from tests.unit.clusters.builders import snapshot
from tests.unit.updates.office import World, release
from tests.unit.updates.subjects import TUESDAYS, at

OPEN, SHUT = at("2027-01-05 22:00"), at("2027-01-06 02:00")
AGAIN = "pool cpu makes machines of ubuntu-a again, not of ubuntu-b: all of them are replaced when the update goes on"
POOL = {"name": "cpu", "replicas": 1, "ready": 1, "upToDate": 1, "available": 1}


@pytest.fixture(name="world")
def new_world() -> World:
    world = World()
    world.releases(release("v1.36.1"), release("v1.36.3"))
    world.change(nodePools=[{**POOL, "version": "v1.36.1"}])
    return world


def shown(world: World) -> list[str]:
    return text(update_view.of(UpdateSummary.model_validate(world.update)))


def text(said: update_view.UpdateView) -> list[str]:
    out = io.StringIO()
    for line in update_lines.lines(said):
        Console(file=out, width=400, no_color=True).print(line)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


async def begun(world: World) -> None:
    """The update has begun, and was looked at a moment later."""
    for seconds in (0, 10):
        world.clock.time = OPEN + timedelta(seconds=seconds)
        await world.look()
    assert world.update["target"] == "v1.36.3"


async def test_what_is_to_come_is_one_line(world: World) -> None:
    await world.look()
    assert shown(world) == ["maintenance 2027-01-05 22:00 to 2027-01-06 02:00 UTC v1.36.3"]


async def test_the_steps_of_an_update_under_way(world: World) -> None:
    await begun(world)
    lines = shown(world)
    assert lines[1] == "update v1.36.3 Patch"
    assert lines[2:4] == ["✔ Announced Done 2027-01-05 22:00 UTC", "✔ Preflight Done 2027-01-05 22:00 UTC"]
    assert lines[4].startswith("… ControlPlane Running 2027-01-05 22:00 UTC ")
    assert lines[5].startswith("· Pool/cpu Pending")
    assert "· Finished Pending" in lines
    assert "pool cpu waits" in lines
    assert lines[-1].startswith("API server longest time without a good answer so far: 0.5 s asked 1 times since")


async def test_pools_that_wait_for_the_next_window(world: World) -> None:
    await begun(world)
    masters = {"replicas": 3, "ready": 3, "upToDate": 3}
    world.change(version="v1.36.3", controlPlane=masters)
    for minutes in range(5):
        world.clock.time = SHUT + timedelta(minutes=minutes)
        await world.look()
    lines = shown(world)
    assert any(line.startswith("… Pool/cpu Held the maintenance window is closed") for line in lines)
    assert any(line.startswith("pool cpu waits: the maintenance window closed before the update") for line in lines)


async def test_an_update_that_has_stopped(world: World) -> None:
    world.checks.verdicts["ControlPlane"] = Verdict(False, "etcd has lost a member", ("EtcdHealth",))
    await begun(world)
    world.change(version="v1.36.3", controlPlane={"replicas": 3, "ready": 3, "upToDate": 3})
    for minutes in range(1, 5):
        world.clock.time = OPEN + timedelta(minutes=minutes)
        await world.look()
    lines = shown(world)
    assert any(line.startswith("✘ ControlPlane Failed ") for line in lines)
    assert any(line.startswith("stopped ControlPlane since 2027-01-05 22:0") for line in lines)
    assert any("VerificationFailed: EtcdHealth: etcd has lost a member" in line for line in lines)


async def test_what_is_rolled_back_since_it_has_stopped(world: World) -> None:
    await test_an_update_that_has_stopped(world)
    back = {"what": "Image", "pool": "cpu", "from": "ubuntu-b", "to": "ubuntu-a", "since": "2027-01-05T22:00:00Z"}
    world.change(update={**world.update, "rolledBack": [back]})
    lines = shown(world)
    (place,) = (n for n, line in enumerate(lines) if line.startswith("stopped ControlPlane"))
    assert lines[place + 1] == f"rolled back {AGAIN}"


async def test_what_blocks_stands_before_what_warns(world: World) -> None:
    world.checks.findings = (
        Finding("Webhooks", Severity.WARN, "a webhook matches leases"),
        Finding("EtcdHealth", Severity.BLOCK, "one is gone", "known, INC-7"),
        Finding("ImageActive", Severity.BLOCK, "there is no image ubuntu-v1.36.3"),
    )
    world.clock.time = OPEN
    await world.look()
    assert shown(world)[-4:] == [
        "checks before the update looked at 2027-01-05 22:00 UTC",
        "✘ ImageActive blocks there is no image ubuntu-v1.36.3",
        "… Webhooks warns a webhook matches leases",
        "… EtcdHealth warns one is gone (put up with: known, INC-7)",
    ]


async def test_the_tree_has_them_and_so_has_the_data(world: World) -> None:
    await begun(world)
    found = view(snapshot(Cluster.model_validate(world.cluster)))
    out = io.StringIO()
    Console(file=out, width=400, no_color=True).print(tree(found))
    assert "… ControlPlane  Running" in out.getvalue()
    said = found.to_json()["update"]
    assert said["underWay"] is True
    assert [s["name"] for s in said["steps"]][:3] == ["Announced", "Preflight", "ControlPlane"]
    assert said["availability"]["longestGapSeconds"] == 0.5
    assert said["waiting"] == ["cpu"]


async def test_of_an_update_that_is_through_the_longest_gap_is_left(world: World) -> None:
    world.spec(maintenance={"windows": [{**TUESDAYS, "durationMinutes": 1440}]})
    await begun(world)
    world.change(version="v1.36.3", controlPlane={"replicas": 3, "ready": 3, "upToDate": 3})
    for minutes in range(1, 10):
        world.change(nodePools=[{**POOL, "version": "v1.36.3"}])
        world.clock.time = OPEN + timedelta(minutes=minutes)
        await world.look()
    assert world.update["steps"][-1]["state"] == "Done"
    lines = shown(world)
    assert not any("Running" in line or "Done" in line for line in lines)
    assert "longest time without a good answer during the last update: 0.5 s" in lines[-1]
