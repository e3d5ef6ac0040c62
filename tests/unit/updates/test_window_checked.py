"""What the checks before an update are told of the maintenance window."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from kaas.updates.run import Case, Report
from tests.unit.updates.office import Checks, World, release
from tests.unit.updates.subjects import at

OPENS = at("2027-01-05 22:00")


@dataclass
class Told(Checks):
    """left: what each check was told that the window has left, in seconds."""

    left: list[float | None] = field(default_factory=list)

    async def preflight(self, case: Case, now: datetime) -> Report:
        self.left.append(case.least_left)
        return await super().preflight(case, now)


@pytest.mark.parametrize(
    ("time", "left"),
    [
        (OPENS - timedelta(hours=23), timedelta(hours=4)),  # a day before, of the one that comes
        (OPENS, timedelta(hours=4)),
        (OPENS + timedelta(hours=3), timedelta(hours=1)),
    ],
)
async def test_what_is_left_of_the_window_or_the_next_one_has(time: datetime, left: timedelta) -> None:
    checks = Told()
    world = World(checks=checks)
    world.releases(release("v1.36.1"), release("v1.36.3"))
    world.machines("v1.36.1", {"cpu": "v1.36.1"})
    world.clock.time = time
    await world.look()
    assert checks.left == [left.total_seconds()]


async def test_without_any_window_in_sight_there_is_nothing_to_judge() -> None:
    checks = Told()
    world = World(checks=checks)
    world.releases(release("v1.36.1", expires="2026-12-01"), release("v1.36.3"))
    world.machines("v1.36.1", {"cpu": "v1.36.1"})
    closed = {"from": "2026-12-01T00:00:00Z", "until": "2029-01-01T00:00:00Z", "scope": "All", "reason": "an audit"}
    world.spec(maintenance={"windows": world.cluster["spec"]["maintenance"]["windows"], "exclusions": [closed]})
    await world.until(world.clock.time + timedelta(days=60))
    assert set(checks.left) == {None}
