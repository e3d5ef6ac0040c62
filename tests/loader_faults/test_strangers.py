"""A volume that a stranger has filled, and a loader of it that is killed again and again."""

from __future__ import annotations

import os
from pathlib import Path

from tests.loader_faults.blobs import blob
from tests.loader_faults.killing import killed_at_points
from tests.loader_faults.loading import MIB, RANGE, STREAMS, differing
from tests.loader_faults.server import Store

KILLS = 10
OBJECTS = {f"small/{n:04d}": blob(10_000 + n, n) for n in range(600)} | {
    f"large/{n}": blob(8 * MIB + n, n) for n in range(6)
}
POISONED = [key for n, key in enumerate(OBJECTS) if n % 2]
BYTES = sum(OBJECTS[key].size for key in POISONED)
OPTIONS = {"delete": True, "delete_excluded": True, "distrust": "uid of a claim"}


def poison(volume: Path) -> None:
    """Every second file is another one of the same size, and more is there than the source has."""
    for key, found in OBJECTS.items():
        path = volume / key
        path.parent.mkdir(parents=True, exist_ok=True)
        content = bytearray(found.read(0, found.size))
        if key in POISONED:
            content[len(content) // 2] ^= 1
        path.write_bytes(content)
        os.utime(path, (1, 1))
    (volume / "extra").mkdir()
    (volume / "extra" / "evil.sh").write_bytes(b"evil")
    (volume / ".kaas-load").mkdir()
    (volume / ".kaas-load" / "ledger.sqlite").write_bytes(b"SQLite format 3\0 and then something evil")


async def test_wherever_it_is_killed_nothing_of_theirs_is_left_and_what_is_right_is_not_fetched(tmp_path: Path) -> None:
    store = Store()
    store.objects = dict(OBJECTS)
    poison(tmp_path)
    kills = await killed_at_points(store, tmp_path, BYTES, KILLS, OPTIONS)
    assert kills >= KILLS * 0.8
    assert differing(store, tmp_path) == []
    assert not (tmp_path / "extra").exists()
    assert sum(store.served.values()) <= BYTES + kills * STREAMS * RANGE
    assert not [key for key in OBJECTS if key not in POISONED and store.gets[key]]
