"""The fleet that benchmarks stand on: nothing is left to do for it, and its size is what is said of it."""

from __future__ import annotations

from collections import Counter

from tests.bench import fleet, reconcile


async def test_a_standing_fleet_is_not_written() -> None:
    index, wire, reconciler = reconcile.world()
    await reconciler.reconcile(reconcile.KEY)
    assert wire.writes == 0
    reconcile.change(index, 1)
    await reconciler.reconcile(reconcile.KEY)
    assert wire.writes == 2


def test_size() -> None:
    kinds = Counter(o["kind"] for o in fleet.standing(3))
    assert kinds["Machine"] == kinds["OpenStackMachine"] == kinds["OpenStackServer"] == fleet.MACHINES
    assert kinds["MachineDeployment"] == len(fleet.POOLS)
