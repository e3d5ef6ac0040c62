"""A loader whose disk is copied again and again, each time as it would be had the power been cut at that moment."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kaas.loader import disk, recent
from kaas.loader.journal import part_file
from kaas.loader.ledger import Ledger
from kaas.loader.source import Entry
from tests.loader_faults.disks import PATIENCE, Disk
from tests.loader_faults.loading import in_a_process
from tests.loader_faults.server import Store

JOURNAL = ".kaas-load"
DEADLINE = 300


class Where(StrEnum):
    """What the loader does when the power is cut."""

    ANYWHERE = "anything"
    BEFORE_SYNC = "before"
    AFTER_SYNC = "after"


class Written(Enum):
    """What the system has written by itself when the power is cut: it may write anything at any time."""

    NOTHING = "nothing"
    LINES = "names and lines, and no data"
    ALL = "all"


@dataclass(frozen=True)
class Moment:
    """When to cut. of: bytes served so far -> whether it has come, or the next sync of the loader is meant."""

    of: Callable[[int], bool]
    where: Where
    written: Written


@dataclass(frozen=True)
class Cut:
    """What a disk had at a moment. served: bytes until then; safe: those until the last checkpoint that was over."""

    image: Path
    moment: Moment
    served: int
    safe: int


class _Watch:
    """Stops a process at a moment, and notes what was served at least when the journal began each file of lines.

    A checkpoint is over when all files of lines are gone that were begun before it. halts: as `in_a_boot` takes it.
    """

    def __init__(self, root: Path, pid: int, halts: Path) -> None:
        self._root = root
        self._pid = pid
        self._halts = halts
        self._turns: dict[int, int] = {}
        self.served = 0
        self.stopped = asyncio.Event()
        """Set when it stops now, or by itself at its next sync."""
        self.moment = Moment(lambda _: False, Where.ANYWHERE, Written.NOTHING)

    def __call__(self, served: int) -> None:
        """The store is about to send, so many bytes in all."""
        for number in lines(self._root):
            self._turns.setdefault(number, self.served)
        self.served = served
        if not self.stopped.is_set() and self.moment.of(served):
            if self.moment.where is Where.ANYWHERE:
                os.kill(self._pid, signal.SIGSTOP)
            else:
                (self._halts / self.moment.where).touch()
            self.stopped.set()

    @property
    def safe(self) -> int:
        """Bytes that were served before the last checkpoint that is over."""
        return self._turns.get(min(lines(self._root)), 0)


def lines(root: Path) -> dict[int, Path]:
    """Files of lines of the journal in a directory, by their numbers."""
    try:
        names = [name for name in os.listdir(root / JOURNAL) if name.startswith("recent.")]
    except FileNotFoundError:
        return {}
    return {int(name.removeprefix("recent.")): root / JOURNAL / name for name in names}


async def cut_at(
    store: Store, target: Disk, moments: Sequence[Moment], copies: Path, options: Mapping[str, Any]
) -> list[Cut]:
    """Load to the end, and copy the disk at each of the moments."""
    cuts = []
    async with _loading(store.url, target.root, "first", copies, options) as (process, dead):
        assert process.pid is not None
        store.watch = watch = _Watch(target.root, process.pid, copies)
        for number, moment in enumerate(moments):
            watch.stopped.clear()
            watch.moment = moment
            await _first(watch.stopped, dead)
            assert watch.stopped.is_set(), f"the load ended before moment {number}"
            cuts.append(await asyncio.to_thread(_cut, target, process.pid, moment, watch, copies / f"{number}.image"))
            os.kill(process.pid, signal.SIGCONT)
        await _first(dead)
    store.watch = lambda _: None
    assert process.exitcode == 0
    return cuts


async def load_after(store: Store, root: Path, options: Mapping[str, Any]) -> Counter[str]:
    """Load to the end, after another start of the machine; bytes that were served for it, by key."""
    before = store.served.copy()
    async with _loading(store.url, root, "second", root / JOURNAL, options) as (process, dead):
        await _first(dead)
    assert process.exitcode == 0
    return store.served - before


@contextlib.asynccontextmanager
async def _loading(
    url: str, root: Path, boot: str, halts: Path, options: Mapping[str, Any]
) -> AsyncIterator[tuple[BaseProcess, asyncio.Event]]:
    """A loader in a process of its own, and what is set when that has ended; it ends here at the latest."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.loader_faults.cutting", "kaas.loader.sources.s3"])
    process = processes.Process(target=in_a_boot, args=(boot, str(halts), url, str(root), dict(options)))
    process.start()
    loop, dead = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, dead.set)
    try:
        yield process, dead
    finally:
        loop.remove_reader(process.sentinel)
        process.kill()
        process.join()


def in_a_boot(boot: str, halts: str, url: str, to: str, options: Mapping[str, Any]) -> None:
    """The body of a process that loads, and for which the machine was started as `boot`.

    halts: a directory; a file in it of the name `before` or `after` has it stop itself at its next sync.
    """
    sync = disk.sync_file_system

    def halting(fd: int) -> None:
        _halt(Path(halts, Where.BEFORE_SYNC))
        sync(fd)
        _halt(Path(halts, Where.AFTER_SYNC))

    with patch.object(recent, "boot", lambda: boot), patch.object(disk, "sync_file_system", halting):
        in_a_process(url, to, options)


def _halt(asked: Path) -> None:
    if asked.exists():
        asked.unlink()
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # not one step more, as with a signal to the process


async def _first(*events: asyncio.Event) -> None:
    """Wait until one is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waiting, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    assert done, f"nothing has happened for {DEADLINE} s"


def _cut(target: Disk, pid: int, moment: Moment, watch: _Watch, image: Path) -> Cut:
    _wait_until_stopped(pid)
    if moment.written is Written.LINES:
        for path in lines(target.root).values():
            _sync(path)
    elif moment.written is Written.ALL:
        root = os.open(target.root, os.O_RDONLY)
        disk.sync_file_system(root)
        os.close(root)
    target.copy(image)
    return Cut(image, moment, watch.served, watch.safe)


def _wait_until_stopped(pid: int) -> None:
    """Wait for all threads: those in the middle of a write or a sync end that first."""
    until = time.monotonic() + PATIENCE
    while any(_state(task) != "T" for task in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < until, f"process {pid} does not stop"
        time.sleep(0.005)


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def believed(store: Store, root: Path, scratch: Path) -> Counter[str]:
    """Bytes of each object that the ledger in a directory says are there. All of them are, and are those of the store.

    scratch: a directory for a copy of the ledger, so that looking at it changes nothing.
    """
    found: Counter[str] = Counter()
    for path in (root / JOURNAL).glob("ledger.sqlite*"):
        shutil.copy(path, scratch)
    ledger = Ledger(scratch / "ledger.sqlite")
    try:
        for known in ledger.known("", 10**6):
            part = ledger.part(known.entry.name)
            if known.mtime is not None:
                spans = [(0, known.entry.size)]
            elif part:
                spans = [(number * part.piece, part.piece) for number, _ in ledger.pieces(part.name)]
            else:
                continue
            found[known.entry.name] = _there(store, root, known.entry, spans)
    finally:
        ledger.close()
    return found


def _there(store: Store, root: Path, entry: Entry, spans: Sequence[tuple[int, int]]) -> int:
    """Bytes of parts of an object that are there as the store has them; AssertionError when one is not."""
    part = root / JOURNAL / "parts" / part_file(entry.name, entry.size, entry.version)
    total = 0
    with (part if part.exists() else root / entry.name).open("rb") as file:
        for start, length in spans:
            file.seek(start)
            wanted = store.objects[entry.key].read(start, min(length, entry.size - start))
            assert file.read(len(wanted)) == wanted, f"{entry.name} at {start} is not what the ledger says"
            total += len(wanted)
    return total
