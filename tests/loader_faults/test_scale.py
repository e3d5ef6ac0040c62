"""Many objects and large ones: the memory stays what it is."""

from __future__ import annotations

import asyncio
import dataclasses
import multiprocessing
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kaas.loader.large import Large, piece_size
from kaas.loader.ledger import Part
from kaas.loader.options import Limits, Patience
from kaas.loader.report import Reason
from kaas.loader.run import load
from kaas.loader.source import Algorithm, Checksum, Entry
from kaas.loader.space import Space
from tests.loader_faults.blobs import blob
from tests.loader_faults.listed import Listed, list_in_a_process
from tests.loader_faults.loading import differing, load_from, measured_in_a_process
from tests.loader_faults.server import Store
from tests.memory import forget_memory, most_memory

GIB = 2**30
MOST_MEMORY = 256 * 10**6


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = Store()
    async with made.running():
        yield made


@pytest.mark.slow
async def test_a_hundred_thousand_objects(store: Store, tmp_path: Path) -> None:
    store.objects = {f"d{n % 100:02d}/e{n % 7}/{n:06d}": blob(n % 5, n % 9, summed=False) for n in range(100_000)}
    result = await load_from(store.url, tmp_path, limits=Limits(None, 2))
    assert (result.reason, result.files) == (Reason.LOADED, 100_000)
    assert differing(store, tmp_path) == []
    again = await load_from(store.url, tmp_path, limits=Limits(None, 2))
    assert (again.files, again.skipped, again.digest) == (0, 100_000, result.digest)


@pytest.mark.slow
async def test_a_file_of_twenty_gib(store: Store, tmp_path: Path) -> None:
    store.objects = {"zeros": blob(20 * GIB, None)}
    forget_memory()
    before = most_memory()
    result = await load_from(store.url, tmp_path, limits=Limits(None, 2), sparse=True)
    assert (result.reason, result.bytes) == (Reason.LOADED, 20 * GIB)
    found = (tmp_path / "zeros").stat()
    assert found.st_size == 20 * GIB
    assert found.st_blocks * 512 < GIB
    assert most_memory() - before < MOST_MEMORY  # the server is in it, too


@pytest.mark.parametrize("told", [True, False], ids=["md5", "encrypted"])
async def test_objects_that_fill_a_range_take_little_memory(store: Store, tmp_path: Path, told: bool) -> None:
    """Also where the ETag is no sum of them, and the store is asked for one while the content waits."""
    made = [blob(8 * 2**20 - 5, n) for n in range(4)]
    if not told:
        made = [dataclasses.replace(found, etag=f'"{n:032x}"') for n, found in enumerate(made)]
    store.objects = {f"{n:03d}": made[n % 4] for n in range(120)}
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    options = {"limits": Limits(None, 4), "patience": Patience()}
    process = context.Process(target=measured_in_a_process, args=(store.url, str(tmp_path), found, options))
    process.start()
    reason, memory = await asyncio.to_thread(found.get, timeout=600)
    process.join()
    assert reason == "Loaded"
    assert differing(store, tmp_path) == []
    assert memory < MOST_MEMORY


@pytest.mark.slow
def test_the_listing_of_a_million_objects_takes_little_memory(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    process = context.Process(target=list_in_a_process, args=(str(tmp_path), 1_000_000, found))
    process.start()
    reason, files, memory, digest = found.get(timeout=1200)
    process.join()
    assert (reason, len(digest)) == ("AccessDenied", 64)
    assert files in {0, 1_000_000}  # the load may end before it is asked how far it is
    assert memory < MOST_MEMORY


@pytest.mark.parametrize("size", [GIB, 5 * 2**40 + 1, 50 * 2**40])
def test_ranges_of_files_of_terabytes(tmp_path: Path, size: int) -> None:
    """All ranges are given once, resumed ones never, and their sums are those of the whole."""
    piece = piece_size(size, 8 * 2**20)
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, min(size, 2**42))
    zeros = Checksum(Algorithm.CRC64NVME, "0" * 16)
    large = Large(Entry("k", "f", size, "v"), Part("f", size, "v", piece, zeros.algorithm), zeros, fd)
    count = -(-size // piece)
    assert count <= 2**20
    assert large.resume((n, 0) for n in range(0, count, 2)) == large.there
    taken = list(iter(large.take, None))
    assert taken == list(range(1, count, 2))
    assert sum(large.span(n)[1] for n in taken) + large.there == size
    for number in taken:
        large.came(number, 0)
    assert large.whole
    assert large.there == size
    large.close()


async def test_what_cannot_fit_is_refused_in_the_middle_of_its_listing(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    source = Listed(1_000_000, free // 5_000)
    result = await load(source, tmp_path)
    assert result.reason is Reason.INSUFFICIENT_CAPACITY
    assert source.pages_read < 10
    assert result.digest == ""


async def test_inodes_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Space, "of", classmethod(lambda cls, fd: Space(2**60, 5_000)))
    source = Listed(1_000_000, 1)
    assert (await load(source, tmp_path)).reason is Reason.INSUFFICIENT_CAPACITY
    assert source.pages_read < 10
