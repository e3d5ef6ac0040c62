"""An update ends as it should wherever the controller is killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from kaas.kube.objects import Object
from tests.unit.updates.conducting import OPEN, states
from tests.unit.updates.office import World, release


class KilledError(Exception):
    """The controller is gone."""


class Fatal(World):
    """Kills the controller before or after the write that is counted down to."""

    left: int = 10**6
    after: bool = False

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise KilledError
        done = await super().apply_status(obj, manager=manager)
        if self.left == 0:
            raise KilledError
        return done


async def lived(left: int, *, after: bool) -> tuple[dict[str, str], Any, bool]:
    """An update with a window that closes in the middle; the controller is killed once."""
    world = Fatal()
    world.left, world.after = left, after
    world.releases(release("v1.36.1"), release("v1.36.3"))
    world.spec(nodePools=[{"name": "cpu", "flavor": "cpu-4"}, {"name": "dgx", "flavor": "cpu-4"}])
    world.machines("v1.36.1", {"cpu": "v1.36.1", "dgx": "v1.36.1"})
    world.clock.time = OPEN
    killed = False
    played: list[tuple[timedelta, Callable[[], None]]] = [
        (timedelta(0), lambda: None),
        (timedelta(minutes=10), lambda: world.machines("v1.36.3", {"cpu": "v1.36.1", "dgx": "v1.36.1"})),
        (timedelta(minutes=20), lambda: world.machines("v1.36.3", {"cpu": "v1.36.3", "dgx": "v1.36.1"})),
        (timedelta(hours=5), lambda: None),
        (timedelta(days=7), lambda: None),
        (timedelta(days=7, minutes=30), lambda: world.machines("v1.36.3", {"cpu": "v1.36.3", "dgx": "v1.36.3"})),
    ]
    for time, play in played:
        world.clock.time = OPEN + time
        play()
        for _ in range(12):
            try:
                await world.look()
            except KilledError:
                killed = True
                world.start()
            world.clock.time += timedelta(seconds=6)
    kept = {k: v for k, v in world.update.items() if k in ("target", "began", "reason", "waiting", "stopped", "hold")}
    return states(world), kept, killed


async def test_killed_at_every_write_it_ends_as_if_it_were_not() -> None:
    expected = await lived(0, after=False)
    assert set(expected[0].values()) == {"Done", "Skipped"}
    assert not expected[2]
    for left in range(1, 60):
        before, after = await lived(left, after=False), await lived(left, after=True)
        if not before[2]:
            break
        assert (before[0], after[0]) == (expected[0], expected[0])
        assert (set(before[1]), set(after[1])) == (set(expected[1]), set(expected[1]))
    else:
        raise AssertionError("an update is not so many writes")
    assert left > 8
