"""The power is cut again and again while a load writes to a disk of its own, and goes on from each of those moments."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.loader_faults.blobs import blob
from tests.loader_faults.cutting import JOURNAL, Cut, Moment, Where, Written, believed, cut_at, load_after
from tests.loader_faults.disks import Disk, make, mounted
from tests.loader_faults.loading import MIB, QUICK, RANGE, STREAMS, differing
from tests.loader_faults.server import Store

LARGE = {"large/1": blob(18 * MIB + 1, 1, md5=False), "large/2": blob(18 * MIB, 2, summed=False)}
SMALL = {f"small/{n:03d}": blob(30_000 + n, n % 8) for n in range(500)}
TOTAL = sum(found.size for found in (LARGE | SMALL).values())
IN_FLIGHT = STREAMS * RANGE
DISK = 256 * MIB
PATIENT = {"patience": dataclasses.replace(QUICK, stall=100, slowest=1e3, silence=300, checkpoint=0.5)}
"""Being stopped is no reason to read again."""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid():
        pytest.skip("only root may mount a file system")
    if missing := [name for name in ("mkfs.ext4", "losetup", "mount") if shutil.which(name) is None]:
        pytest.skip(f"this machine has no {missing[0]}")
    image = tmp_path / "image"
    make(image, DISK)
    with ExitStack() as held:
        try:
            found = held.enter_context(mounted(image, tmp_path / "disk"))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine lets nobody mount a file: {error.stderr.strip()}")
        yield found
    image.unlink()


def after(share: float) -> Callable[[int], bool]:
    """When so much of all bytes was served."""
    return lambda served: served >= share * TOTAL


def moments(root: Path) -> list[Moment]:
    """At points of the load, around its syncs, and when the first large file has come to its place."""
    return [
        Moment(after(0.1), Where.ANYWHERE, Written.NOTHING),
        Moment(after(0.2), Where.BEFORE_SYNC, Written.LINES),
        Moment(lambda _: any((root / name).exists() for name in LARGE), Where.ANYWHERE, Written.ALL),
        Moment(after(0.7), Where.AFTER_SYNC, Written.NOTHING),
        Moment(after(0.75), Where.BEFORE_SYNC, Written.NOTHING),
        Moment(after(0.85), Where.ANYWHERE, Written.LINES),
        Moment(after(0.92), Where.ANYWHERE, Written.ALL),
    ]


async def test_what_was_safe_at_a_power_cut_is_there_and_nothing_else_is_believed(target: Disk, tmp_path: Path) -> None:
    store = Store()
    store.objects, store.delay = LARGE | SMALL, 0.1
    async with store.running():
        cuts = await cut_at(store, target, moments(target.root), tmp_path, PATIENT)
        assert differing(store, target.root) == []
        store.delay = 0
        for number, cut in enumerate(cuts):
            with mounted(cut.image, tmp_path / f"cut-{number}") as disk:
                await goes_on(store, cut, disk.root, tmp_path)
            cut.image.unlink()
    assert cuts[-1].safe > cuts[0].safe  # there were checkpoints


async def goes_on(store: Store, cut: Cut, root: Path, directory: Path) -> None:
    """Load to the end after a cut: nothing that was safe is fetched again, and all that was not."""
    (scratch := directory / f"ledger-{root.name}").mkdir()
    safe = believed(store, root, scratch)
    fetched = await load_after(store, root, PATIENT)
    assert differing(store, root) == []
    assert {key: found.size - fetched[key] for key, found in store.objects.items()} == {
        k: safe[k] for k in store.objects
    }
    assert safe.total() >= cut.safe - IN_FLIGHT
    assert list((root / JOURNAL / "parts").iterdir()) == []
