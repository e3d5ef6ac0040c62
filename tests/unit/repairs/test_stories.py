"""Stories that operators know, in virtual time: what is done, what is not, and why, line by line in golden files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kaas.api.repair import Action, Limits
from kaas.repairs.ladders import bare_metal, vm
from tests.golden_files import check_text
from tests.unit.repairs.virtual_fleet import Pool, World

MINUTE, HOUR = 60, 3600


def world(cpu: int = 10, dgx: int = 0) -> World:
    limits = Limits(max_in_flight=1, max_unhealthy="40%")
    made = World({"cpu": Pool(vm().model_copy(update={"limits": limits})), "dgx": Pool(bare_metal(), gpus=8)})
    made.add("cpu", cpu // 2, "az-1")
    made.add("cpu", cpu - cpu // 2, "az-2")
    made.add("dgx", dgx, "az-1")
    return made


def a_zone_fails() -> World:
    """Half of the nodes are silent: nothing is done; the zone comes back after half an hour without two of them."""
    made = world()
    zone = [n.name for n in made.nodes.values() if n.zone == "az-1"]
    for name in zone:
        made.fall_ill(name, "silent", Action.SOFT_REBOOT)
    made.advance(30 * MINUTE)
    made.heal(zone[2:])
    made.advance(HOUR)
    return made


def heartbeats_lost() -> World:
    """40 % of the heartbeats are lost for ten minutes: nothing is done, then or later."""
    made = world()
    lost = sorted(made.nodes)[::2][:4]
    for name in lost:
        made.fall_ill(name, "silent", None)
    made.advance(10 * MINUTE)
    made.heal(lost)
    made.advance(30 * MINUTE)
    assert not made.acted
    return made


def xid_79_on_one_dgx() -> World:
    """One box: drained, power-cycled, back with its GPUs."""
    made = world(dgx=3)
    made.fall_ill("dgx-11", "xid", Action.POWER_CYCLE)
    made.advance(3 * HOUR)
    assert made.acted[Action.POWER_CYCLE] == 1
    return made


def a_bad_image() -> World:
    """Each new node is sick: three replacements, then the breaker, until a person has mended the image."""
    made = world()
    made.pools["cpu"] = replace(made.pools["cpu"], born_ill=True)
    made.fall_ill("cpu-1", "silent", Action.REPLACE)
    made.advance(12 * HOUR, pause=30)
    assert made.acted[Action.REPLACE] == 3
    made.pools["cpu"] = replace(made.pools["cpu"], born_ill=False)
    made.replaced.clear()
    made.advance(12 * HOUR, pause=30)
    assert all(n.ill is None for n in made.nodes.values())
    return made


def flapping() -> World:
    """A node that is away for a minute again and again is never away for as long as is tolerated, and repaired once."""
    made = world()
    for _ in range(8):
        made.fall_ill("cpu-3", "silent", None)
        made.advance(2 * MINUTE)
        made.heal(["cpu-3"])
        made.advance(4 * MINUTE)
    made.advance(2 * HOUR, pause=30)
    return made


def the_api_away() -> World:
    """The API server is gone for an hour while one node is sick: its clock begins anew."""
    made = world()
    made.api_up = False
    made.fall_ill("cpu-3", "silent", Action.SOFT_REBOOT)
    made.advance(HOUR)
    assert not made.acted
    made.api_up = True
    made.advance(HOUR)
    return made


def nova_refuses() -> World:
    """Nova refuses reboots: the next steps come, and at the end the machine is replaced."""
    made = world()
    made.failing = frozenset({Action.SOFT_REBOOT, Action.HARD_REBOOT})
    made.fall_ill("cpu-3", "silent", Action.SOFT_REBOOT)
    made.advance(3 * HOUR, pause=30)
    return made


STORIES: dict[str, Callable[[], World]] = {
    s.__name__: s
    for s in (a_zone_fails, heartbeats_lost, xid_79_on_one_dgx, a_bad_image, flapping, the_api_away, nova_refuses)
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    story = STORIES[name]
    told = [f"# {story.__doc__}", *story().log]
    check_text(f"repairs/{name}.txt", "\n".join(told) + "\n")
