"""Why has this Cluster not been updated? Because it is being updated, is held in the middle, or has stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kaas.api.constants import ANNOTATION_UPDATE_POOLS, ANNOTATION_UPDATES_PAUSED
from kaas.updates.explain.facts import Explanation, State
from kaas.updates.facts import Aims, Change
from kaas.updates.ledger.advance import Ledger, Progress, advance
from kaas.updates.ledger.seen import Brought, Part, Seen, Window
from kaas.updates.ledger.steps import begin
from kaas.updates.run import Verdict
from tests.unit.updates.explaining import OPEN, a_world, annotate, looked_at, playing, why, words
from tests.unit.updates.office import World
from tests.unit.updates.subjects import version

OLD = Part(desired=1, machines=1, new=0, ready=0, well=1)
NEW = Part(desired=1, machines=1, new=1, ready=1, well=1)
BUSY = Part(desired=3, machines=4, new=1, ready=1, well=3)
WELL = ("ControlPlane", Verdict(True, "all is well"))
AGAIN = "pool cpu makes machines of ubuntu-a again, not of ubuntu-b: all of them are replaced when the update goes on"
CLOSED = Window(False, OPEN + timedelta(days=7))


@pytest.fixture(name="world")
def new_world() -> World:
    return a_world()


async def under_way(world: World, *seen: Seen) -> Explanation:
    """The update has begun in its window; the real ledger has seen this, minute by minute."""
    await looked_at(world, OPEN)
    assert world.update["target"] == "v1.36.3"
    ledger = Ledger(begin(Aims(version("v1.36.3"), (Change.PATCH,)), seen[0].pools, OPEN))
    progress = Progress(ledger)
    for minute, each in enumerate(seen, start=1):
        world.clock.time = OPEN + timedelta(minutes=minute)
        progress = advance(progress.ledger, each, world.clock.time)
    found = progress.ledger
    told = {"steps": [s.to_json() for s in found.steps], "waiting": list(progress.waiting)}
    told |= {"stopped": found.stopped.to_json()} if found.stopped else {}
    told |= {"rolledBack": [e.to_json() for e in found.rolled_back]}
    playing(world, **told, **({"hold": found.hold.to_json()} if found.hold else {}))
    return why(world)


def seen(control_plane: Part = NEW, **more: Any) -> Seen:
    pools = more.pop("pools", {"cpu": OLD})
    return Seen("v1.36.3", control_plane, pools, **{"verdict": WELL, **more})


async def test_which_step_since_when(world: World) -> None:
    found = await under_way(world, seen(BUSY), seen(BUSY))
    assert (found.state, found.reason, found.version) == (State.UNDER_WAY, "UnderWay", "v1.36.3")
    assert found.answer.startswith(
        "it is being updated to v1.36.3: step ControlPlane since 2027-01-05 22:01 UTC: 1 of 3"
    )
    assert "Preflight: 2027-01-05 22:00 UTC" in words(found)
    assert found.coming[-1].message == "then Pool/cpu, AddOns, Verification, Finished"


async def test_its_window_closed_in_the_middle(world: World) -> None:
    pools = {"a": OLD, "b": OLD}
    found = await under_way(world, seen(pools=pools), seen(window=CLOSED, pools=pools))
    assert (found.state, found.reason) == (State.WAITS, "WindowClosed")
    assert "pool a, b waits until 2027-01-12 22:00 UTC" in found.answer
    assert "pools a, b wait: not to begin yet" in words(found)
    assert found.coming[0].at == OPEN + timedelta(days=7)


async def test_a_pool_is_held_by_a_repair(world: World) -> None:
    found = await under_way(world, seen(), seen(pools={"cpu": replace(OLD, repairs=1)}))
    assert (found.state, found.reason) == (State.WAITS, "RepairInFlight")
    assert "held at step Pool/cpu: 1 of its machines under repair" in found.answer
    assert "pool cpu waits: not to begin yet" in words(found)


async def test_updates_are_paused_in_the_middle(world: World) -> None:
    await under_way(world, seen(), seen(paused="launch"))
    annotate(world, **{ANNOTATION_UPDATES_PAUSED.replace("/", "__"): "launch"})
    found = why(world)
    assert (found.state, found.reason) == (State.BLOCKED, "Paused")
    assert "held at step Pool/cpu: launch" in found.answer
    assert f"{ANNOTATION_UPDATES_PAUSED}-" in words(found)


async def test_a_manual_pool_waits_for_a_person(world: World) -> None:
    found = await under_way(world, seen(), seen(pools={"cpu": replace(OLD, manual=True)}))
    assert (found.state, found.reason) == (State.BLOCKED, "WaitsForPerson")
    assert "pool cpu is updated only when a person says so" in found.answer
    assert "kubectl annotate clusters.kaas.internal team -n tenants kaas.internal/update-pools=cpu" in words(found)
    annotate(world, **{ANNOTATION_UPDATE_POOLS.replace("/", "__"): "dgx"})
    assert "kaas.internal/update-pools='dgx,cpu' --overwrite" in words(why(world))


async def test_a_manual_pool_is_the_answer_only_when_nothing_else_goes_on(world: World) -> None:
    pools = {"by-hand": replace(OLD, manual=True), "cpu": BUSY}
    found = await under_way(world, seen(pools=pools), seen(pools=pools))
    assert (found.state, found.reason) == (State.UNDER_WAY, "UnderWay")
    assert "step Pool/cpu since" in found.answer


async def test_a_manual_pool_that_a_person_let_go(world: World) -> None:
    pools = {"cpu": replace(OLD, manual=True)}
    found = await under_way(world, seen(pools=pools), seen(pools=pools, released=frozenset({"cpu"})))
    assert (found.state, found.reason) == (State.UNDER_WAY, "UnderWay")


async def test_stopped_until_a_person_acts(world: World) -> None:
    ill = Verdict(False, "node cp-1 is not Ready at v1.36.3", ("NodesReady",))
    found = await under_way(world, seen(OLD), seen(verdict=("ControlPlane", ill)))
    assert (found.state, found.reason) == (State.BLOCKED, "Stopped")
    assert found.answer.startswith(
        "the update to v1.36.3 stopped at step ControlPlane 2027-01-05 22:02 UTC: NodesReady"
    )
    assert "node cp-1 is not Ready" in found.answer
    assert found.because[0].reason == "VerificationFailed"
    assert "kaas.internal/update-retry='<reason>' --overwrite" in words(found)


async def test_what_is_rolled_back_meanwhile(world: World) -> None:
    lost = replace(BUSY, coming=OPEN, startup=timedelta(0))
    image = Brought("Image", "ubuntu-b", "ubuntu-a", handed=True)
    found = await under_way(world, *[seen(pools={"cpu": lost}, brings=(image,))] * 8)
    assert (found.reason, found.because[1].reason) == ("Stopped", "RolledBack")
    assert found.because[1].message == AGAIN


async def test_a_machine_that_has_not_joined_is_to_be_made_anew(world: World) -> None:
    late = replace(BUSY, coming=OPEN, startup=timedelta(0))
    found = await under_way(world, *[seen(late)] * 8)
    assert (found.reason, found.because[0].reason) == ("Stopped", "MachineNotJoining")
    assert "kubectl delete machines.cluster.x-k8s.io -n tenants '<machine>'" in words(found)
