"""A load from its beginning to its end: listing, space, transfer, deletion, result."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from kaas.loader import container, stock
from kaas.loader.comparing import Comparison
from kaas.loader.crew import Crew
from kaas.loader.deletion import delete
from kaas.loader.faults import Fault, of_source, of_system
from kaas.loader.journal import Journal, Owned, remove_journals_of_others
from kaas.loader.listing import BATCH, Listing, Volume, unchanged
from kaas.loader.meter import Meter
from kaas.loader.options import Options, Verify
from kaas.loader.orders import Place
from kaas.loader.report import Phase, Progress, Reason, Result
from kaas.loader.site import Site, to_its_end
from kaas.loader.source import Entry, Source, SourceError
from kaas.loader.space import Space, size
from kaas.loader.transfer import Transfer
from kaas.loader.tree import Tree

EVERY: Final = 2.0
"""Seconds between two reports."""
_LOOK: Final = 0.5
_WRITERS: Final = 4
_LINES: Final = 20_000
"""Lines of the journal that are made safe however short the time is: they are kept in memory until then."""


def _quiet(progress: Progress) -> None:
    """Tell nobody."""


async def load(  # noqa: PLR0913 - all that surrounds a load
    source: Source,
    destination: Path,
    options: Options | None = None,
    *,
    report: Callable[[Progress], None] = _quiet,
    stop: asyncio.Event | None = None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    crew: Crew | None = None,
) -> Result:
    """Have all objects of a source below a directory, which is made when it is missing.

    report: told every two seconds, and when all is there. stop: set to end the load early; what it has stays. now:
    seconds that only grow; sleep: waits for so many of them where the rate is limited. crew: other processes, which end
    with the load.
    Raises nothing for what a load can meet: the result says it, and `faults.exit_code` what to exit with.
    """
    start = now()
    meter = Meter(start, start)
    running = Load(source, destination, options or Options(), meter, now, sleep, crew or Crew())
    try:
        reason, message = await _watched(running, meter, report, stop or asyncio.Event(), now)
    except Fault as fault:
        reason, message = fault.reason, str(fault)
    found = (meter.fetched, meter.loaded, meter.skipped, meter.deleted, round(now() - start, 3))
    return Result(reason, message, *found, dict(meter.verified), running.digest)


async def _watched(
    running: Load, meter: Meter, report: Callable[[Progress], None], stop: asyncio.Event, now: Callable[[], float]
) -> tuple[Reason, str]:
    """Run a load until it ends, is stopped, or nothing has come for too long."""
    work = asyncio.ensure_future(running.run())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        while not work.done():
            await asyncio.wait({work, stopped}, timeout=EVERY, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                running.look(stopped=stop.is_set())
                report(meter.progress(now()))
        words = work.result()
        report(meter.progress(now()))
        return Reason.LOADED, words
    finally:
        stopped.cancel()
        work.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)


class Load:
    """One load. digest: of the listing, once it is whole."""

    def __init__(
        self,
        source: Source,
        destination: Path,
        options: Options,
        meter: Meter,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        crew: Crew,
    ) -> None:
        self._source = source
        self._destination = destination
        self._options = options
        self._meter = meter
        self._now = now
        self._sleep = sleep
        self._crew = crew
        self.digest = ""

    def look(self, *, stopped: bool) -> None:
        """Fault when it is to end: it was told to, or nothing has come for too long."""
        if stopped:
            raise Fault(Reason.INTERRUPTED, "was told to stop; the next load goes on from here")
        silence = self._options.patience.silence
        if self._now() - self._meter.moved > silence:
            raise Fault(Reason.STALLED, f"{self._source.label}: nothing has come for {silence:.0f} s")

    async def run(self) -> str:
        """Load all; returns what to say of it. Fault when it cannot be done."""
        with self._translated(), ThreadPoolExecutor(1) as scribe, ThreadPoolExecutor(_WRITERS) as writers:
            loop = asyncio.get_running_loop()
            root, journal = await to_its_end(loop.run_in_executor(scribe, self._open), _unwanted)
            tree = Tree(root, self._options.owner, clear=self._options.delete)
            limits = self._options.limits or container.limits()
            parts = (self._source, tree, journal, self._options, limits, self._meter)
            site = Site(*parts, writers, scribe, self._now, self._sleep, self._crew)
            self._crew.settle(root, journal.parts, Place(self._options.owner, self._options.delete, limits.streams))
            try:
                return await self._run(site)
            finally:
                await self._crew.close()
                await asyncio.shield(loop.run_in_executor(scribe, self._close, site))

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            raise of_source(error) from error
        except OSError as error:
            raise of_system(error, str(self._destination), written=self._meter.written) from error
        except sqlite3.Error as error:
            raise Fault(Reason.FAILED, f"{self._destination}: the journal cannot be written: {error}") from error

    def _open(self) -> tuple[int, Journal]:
        try:
            return self._opened()
        except OSError as error:
            raise of_system(error, str(self._destination), opens=True) from error

    def _opened(self) -> tuple[int, Journal]:
        self._destination.mkdir(parents=True, exist_ok=True)
        root = os.open(self._destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mark = self._options.distrust
            owned = Owned(mark, self._moved) if mark else None
            journal = Journal.open(root, self._source.label, self._options.shard, owned)
            journal.ledger.comparing(sums=self._options.verify is Verify.AUTO)
            if self._options.shard.index == 0:
                with contextlib.closing(journal.trash(self._moved)) as trash:
                    remove_journals_of_others(root, self._options.shard, trash)
        except BaseException:
            os.close(root)
            raise
        return root, journal

    def _moved(self) -> None:
        self._meter.moved = self._now()

    def _close(self, site: Site) -> None:
        """Make what is there safe, and close all. When the disk is full or broken, what was safe before is."""
        try:
            site.journal.settle(*site.journal.turn())
        finally:
            site.journal.close()
            site.tree.close()
            os.close(site.tree.root)

    async def _run(self, site: Site) -> str:
        for _ in range(self._options.patience.listings):
            transfer = await self._pass(site)
            if not transfer.changed:
                return await self._end(site)
        name, why = next(iter(transfer.changed.items()))
        raise Fault(
            Reason.CHANGED,
            f"{len(transfer.changed)} objects changed while they were loaded, at each of "
            f"{self._options.patience.listings} listings, as {name} ({why}): load when nobody writes there",
        )

    async def _pass(self, site: Site) -> Transfer:
        await self._list(site)
        self._meter.phase = Phase.LOADING
        missing = _Missing(site)
        await missing.begin()
        transfer = Transfer(site, missing.batch)
        saving = asyncio.ensure_future(self._save(site))
        running = asyncio.ensure_future(transfer.run())
        try:
            await asyncio.wait({saving, running}, return_when=asyncio.FIRST_COMPLETED)
            for task in (saving, running):
                if task.done():
                    task.result()
        finally:
            for task in (saving, running):
                task.cancel()
            await asyncio.gather(saving, running, return_exceptions=True)
        await site.note(site.journal.settle, *site.journal.turn())
        return transfer

    async def _save(self, site: Site) -> None:
        """Make safe what is there, every few seconds."""
        saved = self._now()
        while True:
            await asyncio.sleep(_LOOK)
            due = self._now() - saved >= self._options.patience.checkpoint or site.journal.waiting >= _LINES
            if due and site.journal.waiting:
                await site.note(site.journal.settle, *site.journal.turn())
                saved = self._now()

    async def _list(self, site: Site) -> None:
        meter = self._meter
        meter.listed_anew()
        listing = Listing(site.journal.ledger, self._options, await site.note(_volume, site))
        async for page in self._source.pages():
            meter.moved = self._now()
            meter.listed += len(page)
            await site.note(listing.take, page)
        self.digest = await site.note(listing.end)
        meter.bytes_total, meter.files_total = await site.note(site.journal.ledger.totals)
        meter.moved = self._now()

    async def _end(self, site: Site) -> str:
        self._meter.phase = Phase.VERIFYING
        await site.note(site.journal.forget_parts)
        for path in await site.note(lambda: list(site.journal.ledger.directories())):
            await site.write(site.tree.directory, path)
            site.moved()
        if self._options.delete:
            self._meter.deleted += await site.note(delete, site.tree, site.journal.ledger, self._options, site.moved)
        return self._words()

    def _words(self) -> str:
        meter = self._meter
        found = [f"{meter.loaded} files with {size(meter.fetched)} loaded"]
        if meter.skipped:
            found.append(f"{meter.skipped} were there")
        if meter.deleted:
            found.append(f"{meter.deleted} deleted")
        ways = ", ".join(f"{count} by {method}" for method, count in sorted(meter.verified.items()))
        return ", ".join(found) + (f"; compared: {ways}" if ways else "")


class _Missing:
    """Goes through the listing once. What is there as it was made, or proves to be right, is counted and left."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._after = ""
        self._comparison = Comparison(site) if site.options.distrust else None

    async def begin(self) -> None:
        """Prepare to compare files, where the journal is not all that is believed."""
        if self._comparison:
            await self._comparison.begin()

    async def batch(self) -> list[Entry]:
        """The next entries that are not there; none at the end of the listing."""
        site = self._site
        while known := await site.note(site.journal.ledger.known, self._after, BATCH):
            self._after = known[-1].entry.name
            there, lost = await site.write(unchanged, site.tree, [k for k in known if k.mtime is not None])
            if lost:
                await site.note(site.journal.ledger.lost, lost)
            for item in there:
                site.meter.there(item.entry.size)
            site.meter.moved = site.now()
            gone = set(lost)
            missing = [k.entry for k in known if k.mtime is None or k.entry.name in gone]
            if missing and self._comparison:
                missing = await self._comparison.missing(missing)
            if missing:
                return missing
        return []


def _unwanted(opened: tuple[int, Journal]) -> None:
    """Close what a load that has ended does not use any more."""
    root, journal = opened
    journal.close()
    os.close(root)


def _volume(site: Site) -> Volume:
    """The destination's room. What parts hold of it is free for them; what nobody believes yet may all have to go."""
    if site.options.replaces:
        return Volume(site.tree, Space.once_empty(site.tree.root), site.limits.streams, site.moved)
    free = Space.of(site.tree.root)
    free = Space(free.free + stock.parts(site.tree).bytes, free.inodes)
    return Volume(site.tree, free, site.limits.streams, site.moved)
