"""Updates before they begin: checks, what they put up with, and how the Cluster was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.constants import (
    ANNOTATION_UPDATES_PAUSED,
)
from kaas.updates.run import Finding, Severity
from tests.unit.updates.conducting import OPEN, QUOTA, annotate, due, states
from tests.unit.updates.office import KEY, World


@pytest.fixture(name="world")
def new_world() -> World:
    return due()


async def test_it_begins_with_all_of_it_in_one_write(world: World) -> None:
    await world.look()
    assert world.checks.calls == ["preflight", "baseline"]
    (_, status), *more = world.writes
    assert not more
    update = status["update"]
    assert (update["target"], update["waiting"], update["changes"]) == ("v1.36.3", ["cpu"], ["Patch"])
    assert update["preflight"] == {"checked": "2027-01-05T22:00:00Z", "findings": []}
    assert update["baseline"]["taken"] == "2027-01-05T22:00:00Z"
    assert states(world)["ControlPlane"] == "Running"
    assert world.checks.watched == {KEY}


async def test_what_blocks_it_is_told_and_looked_at_again(world: World) -> None:
    world.checks.findings = (QUOTA,)
    assert await world.look() == 300.0
    assert "target" not in world.update
    assert world.condition["reason"] == "PreflightBlocks"
    assert "QuotaForSurge: quota of Site north has no server left" in world.condition["message"]
    assert [event[:2] for event in world.events if event[0] == "UpdateBlocked"] == [("UpdateBlocked", "Warning")]
    world.clock.time += timedelta(minutes=1)
    await world.look()
    assert world.checks.calls == ["preflight"]
    world.clock.time += timedelta(minutes=4)
    world.checks.findings = ()
    await world.look()
    assert world.update["target"] == "v1.36.3"


async def test_what_a_person_puts_up_with_is_recorded_and_does_not_block(world: World) -> None:
    world.checks.findings = (Finding(QUOTA.check, Severity.BLOCK, QUOTA.message, "the other project frees some"),)
    await world.look()
    assert world.update["target"] == "v1.36.3"
    (found,) = world.update["preflight"]["findings"]
    assert found["override"] == "the other project frees some"


async def test_it_waits_until_it_is_known_how_the_cluster_was_before(world: World) -> None:
    world.checks.measured = False
    assert await world.look() == 10.0
    assert ("target" in world.update, world.update["reason"]) == (False, "Preflight")
    world.checks.measured = True
    await world.look()
    assert world.update["target"] == "v1.36.3"
    assert world.checks.calls == ["preflight", "baseline", "baseline"]


@pytest.mark.parametrize("kept_back", ["paused", "blocked"])
async def test_how_the_cluster_was_before_is_looked_at_anew_when_it_was_kept_back(
    world: World, kept_back: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.checks.measured = False
    await world.look()
    assert world.update["reason"] == "Preflight"
    forgotten: list[Any] = []
    monkeypatch.setattr(world.checks, "forget", forgotten.append)
    await world.look()
    assert forgotten == []
    if kept_back == "paused":
        annotate(world, ANNOTATION_UPDATES_PAUSED, "a fair")
    else:
        world.checks.findings = (QUOTA,)
        world.clock.time += timedelta(minutes=5)
    await world.look()
    assert forgotten == [KEY]


async def test_it_is_checked_once_in_the_day_before(world: World) -> None:
    world.checks.findings = (Finding("MachinesHealthy", Severity.WARN, "one is slow"),)
    world.clock.time = OPEN - timedelta(hours=30)
    await world.look()
    assert world.checks.calls == []
    world.clock.time = OPEN - timedelta(hours=23)
    await world.look()
    world.clock.time = OPEN - timedelta(hours=22)
    await world.look()
    assert world.checks.calls == ["preflight"]
    assert world.update["preflight"]["findings"][0]["message"] == "one is slow"


async def test_what_will_block_it_is_told_a_day_before_and_again_when_it_is_something_else(world: World) -> None:
    world.clock.time = OPEN - timedelta(hours=30)
    await world.look()
    world.told()
    world.checks.findings = (QUOTA,)
    world.clock.time = OPEN - timedelta(hours=23)
    await world.look()
    assert world.told() == ["UpdateBlocked"]
    world.clock.time += timedelta(minutes=30)
    await world.look()
    assert world.told() == []
    world.checks.findings = (QUOTA, Finding("EtcdHealth", Severity.BLOCK, "a member is away"))
    world.clock.time += timedelta(minutes=30)
    await world.look()
    assert world.told() == ["UpdateBlocked"]
    assert world.checks.calls == ["preflight"] * 3
