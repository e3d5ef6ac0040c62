"""A load is killed again and again, at any byte, and goes on from where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loader_faults.blobs import blob
from tests.loader_faults.killing import killed_at_points
from tests.loader_faults.loading import MIB, RANGE, STREAMS, differing
from tests.loader_faults.server import Store

KILLS = 50
LARGE = {"large/1": blob(60 * MIB + 1, 1, md5=False), "large/2": blob(30 * MIB, 2, summed=False)}
SMALL = {f"small/{n:04d}": blob(10_000 + n, n) for n in range(1500)}
TOTAL = sum(found.size for found in (LARGE | SMALL).values())


@pytest.mark.parametrize("crew", [0, 2], ids=["alone", "crew"])
async def test_killed_at_fifty_points_it_is_right_and_nothing_was_fetched_twice(crew: int, tmp_path: Path) -> None:
    store = Store()
    store.objects = LARGE | SMALL
    kills = await killed_at_points(store, tmp_path, TOTAL, KILLS, {"crew": crew})
    assert kills >= KILLS * 0.9  # two points may lie in what one process had in flight
    assert differing(store, tmp_path) == []
    twice = sum(store.served.values()) - TOTAL
    assert twice <= kills * STREAMS * RANGE
    for key, found in LARGE.items():
        assert store.served[key] - found.size <= kills * STREAMS * RANGE
    once = sum(store.gets[key] == 1 for key in SMALL)
    assert once >= len(SMALL) - kills * STREAMS
