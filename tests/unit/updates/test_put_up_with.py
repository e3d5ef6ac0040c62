"""What a person has an update put up with is kept until the next one begins."""

from __future__ import annotations

from datetime import timedelta

from kaas.updates.run import Finding, Severity
from tests.unit.updates.office import World, release
from tests.unit.updates.subjects import at

FOUND = (
    Finding("MachinesHealthy", Severity.WARN, "w" * 900),
    Finding("DisruptionBudgets", Severity.BLOCK, "x" * 900, "OPS-1 agreed"),
    Finding("RemovedApis", Severity.BLOCK, "y" * 900, "OPS-2 agreed"),
)
WORDS = "DisruptionBudgets: OPS-1 agreed; RemovedApis: OPS-2 agreed"


async def test_it_is_told_when_the_update_begins_and_stands_there_after_it() -> None:
    world = World()
    world.releases(release("v1.36.1"), release("v1.36.3"))
    world.machines("v1.36.1", {"cpu": "v1.36.1"})
    world.checks.findings = FOUND
    world.clock.time = at("2027-01-05 20:00")
    await world.look()
    assert "PreflightOverridden" not in world.told()  # it may still be taken back
    world.clock.time = at("2027-01-05 22:00")
    await world.settle(4)
    told = [(kind, message) for reason, kind, message in world.events if reason == "PreflightOverridden"]
    assert told == [("Warning", f"the update to v1.36.3 is begun although checks are against it: {WORDS}")]
    world.machines("v1.36.3", {"cpu": "v1.36.3"})
    await world.settle()
    world.clock.time += timedelta(days=1)
    await world.look()
    assert world.step("Finished")["state"] == "Done"
    assert world.step("Preflight")["message"].startswith(f"put up with: {WORDS}; ")
    assert [reason for reason, _, _ in world.events].count("PreflightOverridden") == 1


async def test_nothing_is_told_when_nothing_is_put_up_with() -> None:
    world = World()
    world.releases(release("v1.36.1"), release("v1.36.3"))
    world.machines("v1.36.1", {"cpu": "v1.36.1"})
    world.checks.findings = FOUND[:1]
    world.clock.time = at("2027-01-05 22:00")
    await world.settle(4)
    assert world.told() == ["UpdateBegun"]
