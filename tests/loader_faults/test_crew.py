"""Loads by other processes: they do all that is plain, and whatever becomes of them or of it, the data is right."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kaas.loader.crew import Crew
from kaas.loader.report import Reason
from tests.loader_faults import faults
from tests.loader_faults.blobs import blob
from tests.loader_faults.crews import CPUS, DEADLINE, Loader, failing
from tests.loader_faults.loading import MIB, differing, load_from
from tests.loader_faults.server import Store

LARGE = {"large/1": blob(20 * MIB + 1, 1), "large/2": blob(10 * MIB, 2, summed=False)}
SMALL = {f"d{n % 7}/{n:04d}": blob(10_000 + n, n) for n in range(400)}


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = Store()
    made.objects = LARGE | SMALL
    async with made.running():
        yield made


async def gone(pids: list[int]) -> None:
    """Wait until no process of these is left."""
    async with asyncio.timeout(DEADLINE):
        while any(map(_lives, pids)):  # noqa: ASYNC110 - nobody tells of others' processes
            await asyncio.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def at(store: Store, share: float, do: Callable[[], object]) -> None:
    """Once that share of all bytes has been served."""
    total, done = sum(found.size for found in store.objects.values()), list[int]()

    def watch(served: int) -> None:
        if served >= share * total and not done:
            done.append(served)
            do()

    store.watch = watch


async def test_all_that_is_plain_is_theirs(store: Store, tmp_path: Path) -> None:
    loader = Loader(store, tmp_path, alone=False)
    crew = await loader.crew()
    result = await loader.result()
    assert result.reason is Reason.LOADED, result.message
    assert differing(store, tmp_path) == []
    assert len(crew) == CPUS + 1
    assert set(store.gets) == set(store.objects)
    assert all(store.gets[key] == 1 for key in SMALL)
    assert result.verified["crc64nvme"] == 401, result.verified
    await gone(crew)


@pytest.mark.parametrize("left", [0, 1])
async def test_those_that_are_killed_are_not_missed(store: Store, tmp_path: Path, left: int) -> None:
    """Not even when none is left."""
    store.delay = 0.002
    loader = Loader(store, tmp_path)
    crew = await loader.crew()

    def kill() -> None:
        for pid in crew[left:]:
            os.kill(pid, signal.SIGKILL)

    at(store, 0.2, kill)
    result = await loader.result()
    assert result.reason is Reason.LOADED, result.message
    assert differing(store, tmp_path) == []
    await gone(crew)


async def test_they_end_with_a_loader_that_is_killed(store: Store, tmp_path: Path) -> None:
    store.delay = 0.002
    loader = Loader(store, tmp_path)
    crew = await loader.crew()
    at(store, 0.3, lambda: os.kill(loader.pid, signal.SIGKILL))
    await gone([loader.pid, *crew])


async def test_a_load_that_is_stopped_leaves_none_that_writes(store: Store, tmp_path: Path) -> None:
    store.delay = 0.01
    loader = Loader(store, tmp_path)
    crew = await loader.crew()
    at(store, 0.3, loader.stop.set)
    result = await loader.result()
    assert result.reason is Reason.INTERRUPTED
    assert not any(map(_lives, crew))
    store.watch, store.delay = lambda _: None, 0.0
    again = await load_from(store.url, tmp_path)
    assert again.reason is Reason.LOADED
    assert differing(store, tmp_path) == []
    assert again.skipped > 0


FAULTS: dict[str, Callable[[Store], None]] = {
    "busy": lambda store: store.fail("d0/0007", *[faults.slow_down()] * 3),
    "refused once": lambda store: store.fail("d0/0007", faults.refuse(400, "Odd")),
    "reset": lambda store: store.fail("large/1", *[faults.reset(1000)] * 3),
    "cut": lambda store: store.fail("d0/0007", faults.cut(5)),
    "damaged": lambda store: store.fail("d0/0007", faults.damage()),
    "changed": lambda store: store.fail("d0/0007", faults.change(blob(5, 4))),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_what_is_not_plain_is_read_slowly(store: Store, tmp_path: Path, fault: Callable[[Store], None]) -> None:
    fault(store)
    loader = Loader(store, tmp_path)
    await loader.crew()
    result = await loader.result()
    assert result.reason is Reason.LOADED, result.message
    assert differing(store, tmp_path) == []


async def test_what_is_in_the_way_is_told(store: Store, tmp_path: Path) -> None:
    """As by the loader itself: a fault comes over as what it is."""
    (tmp_path / "d0/0007/below").mkdir(parents=True)
    loader = Loader(store, tmp_path)
    await loader.crew()
    result = await loader.result()
    assert result.reason is Reason.INVALID_KEY
    assert "d0/0007: is a directory in the volume" in result.message


async def test_an_error_of_the_disk_is_told(store: Store, tmp_path: Path) -> None:
    store.objects = {"d/a": blob(10, 1)}
    (tmp_path / "d").mkdir()
    os.chmod(tmp_path / "d", 0o500)
    if os.access(tmp_path / "d", os.W_OK):
        (tmp_path / "d").rmdir()
        (tmp_path / "d").symlink_to(tmp_path)  # never followed, whoever asks
    loader = Loader(store, tmp_path)
    await loader.crew()
    result = await loader.result()
    assert result.reason in {Reason.INVALID_SPEC, Reason.INVALID_KEY}
    assert "d" in result.message


async def test_an_error_that_nobody_knows_is_told_in_words(store: Store, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    said = context.Queue()
    process = context.Process(target=failing, args=(store.url, str(tmp_path), said))
    process.start()
    assert await asyncio.to_thread(said.get, True, DEADLINE) == "Strange: nobody knows it"
    await asyncio.to_thread(process.join)


@pytest.mark.parametrize(("cpus", "threads"), [(1.0, False), (1.9, False), (8.0, True)])
def test_where_there_is_none(cpus: float, threads: bool) -> None:
    """One processor has nothing for others to do; what threads hold would be held in the others for ever."""
    go_on = threading.Event()
    if threads:
        threading.Thread(target=go_on.wait, daemon=True).start()
    assert Crew.gather(cpus).idlest() is None
    go_on.set()
