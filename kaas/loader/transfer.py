"""Fetching all that a listing has and the destination has not: workers, as many as the pace allows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from kaas.loader import large as ranges
from kaas.loader.content import Judge
from kaas.loader.faults import of_system
from kaas.loader.feed import Feed
from kaas.loader.fetching import Fetching
from kaas.loader.journal import part_file
from kaas.loader.lane import Lane
from kaas.loader.large import Large
from kaas.loader.ledger import Part
from kaas.loader.pace import START, Pace
from kaas.loader.rate import Rate, piece
from kaas.loader.room import Room
from kaas.loader.site import Site
from kaas.loader.source import Changed, Checksum, Entry, NotThere, SourceError, Streaming, Unreachable
from kaas.loader.whole import Whole, corrupt


class Transfer:
    """One pass. batch: the next entries that are not there, none at the end."""

    def __init__(self, site: Site, batch: Callable[[], Awaitable[list[Entry]]]) -> None:
        self._site = site
        self._pace = Pace(site.limits.streams, min(START, site.limits.streams), site.now())
        rate = site.options.max_rate
        self._range = piece(rate, site.limits.range)
        limit = Rate(rate, site.now, site.sleep, site.moved) if rate else None
        self._fetching = Fetching(site.source, site.options.patience, self._pace, site.now, limit)
        self._judge = Judge(site.source, site.options.verify)
        self._room = Room(site.limits.buffers)
        self._feed = Feed(batch, self._range, self._begin, lambda: self._pace.window)
        self._lane = Lane(site.source, site, self._fetching) if isinstance(site.source, Streaming) else None
        self.changed: dict[str, str] = {}
        self._whole = Whole(site, self._fetching, self._judge, self._room, self._lane, self.changed)
        self._workers: set[asyncio.Task[None]] = set()
        self._numbers: set[int] = set()
        self._larges: set[Large] = set()

    async def run(self) -> None:
        """Fetch all. Fault when it cannot be done; then no worker is left."""
        try:
            while not self._feed.ended or self._workers:
                self._crowd()
                done, _ = await asyncio.wait(self._workers, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                self._workers -= done
                _raise_first(done)
        finally:
            try:
                for task in self._workers:
                    task.cancel()
                await asyncio.gather(*self._workers, self._feed.close(), return_exceptions=True)
            finally:
                self._close()

    def _close(self) -> None:
        for large in self._larges:
            large.close()
        if self._lane:
            self._lane.close()

    def _crowd(self) -> None:
        """As many workers as the pace allows; too many of them end by themselves."""
        self._pace.look(self._site.now())
        self._fetching.look()
        while len(self._workers) < self._pace.window and not (self._feed.ended and self._workers):
            number = next(n for n in range(self._pace.most + 1) if n not in self._numbers)
            self._numbers.add(number)
            self._workers.add(asyncio.create_task(self._work(number)))

    async def _work(self, number: int) -> None:
        try:
            while len(self._numbers) <= self._pace.window:
                work = await self._feed.take()
                if work is None:
                    return
                if isinstance(work, list):
                    await self._whole.fetch(work, f"small-{number}")
                else:
                    await self._piece(*work)
        finally:
            self._numbers.discard(number)

    async def _begin(self, entry: Entry) -> Large | None:
        """Open a large file, with the ranges that are there from an earlier load; None when it is whole, or changed."""
        try:
            expected = await self._fetching.patiently(lambda: self._judge.expected(entry))
            large = await self._opened(entry, expected)
            if large.whole:
                await self._finish(large)
                return None
        except (Changed, NotThere) as error:
            self.changed[entry.name] = str(error)
            return None
        except OSError as error:
            raise of_system(error, entry.name, written=self._site.meter.written) from error
        return large

    async def _opened(self, entry: Entry, expected: Checksum | None) -> Large:
        site, file = self._site, part_file(entry.name, entry.size, entry.version)
        part = await site.note(site.journal.ledger.part, entry.name)
        algorithm = expected.algorithm if expected else None
        if (
            part
            and entry.version
            and (part.size, part.version, part.algorithm)
            == (
                entry.size,
                entry.version,
                algorithm,
            )
        ):
            fd = await site.open(lambda: ranges.opened(site.journal.parts, file, entry.size))
            if fd is not None:
                return await self._resumed(self._kept(Large(entry, part, expected, fd)))
        return await self._new(entry, expected, part)

    async def _resumed(self, large: Large) -> Large:
        pieces = await self._site.note(lambda: list(self._site.journal.ledger.pieces(large.entry.name)))
        self._site.meter.done += large.resume(pieces)
        return large

    async def _new(self, entry: Entry, expected: Checksum | None, old: Part | None) -> Large:
        site = self._site
        if old:
            await site.note(site.journal.forget_part, entry.name)
            await site.write(_removed, site.journal.parts, part_file(entry.name, old.size, old.version))
        size = ranges.piece_size(entry.size, self._range)
        part = Part(entry.name, entry.size, entry.version, size, expected.algorithm if expected else None)
        file = part_file(entry.name, entry.size, entry.version)
        sparse = site.options.sparse
        fd = await site.open(lambda: ranges.created(site.journal.parts, file, entry.size, sparse=sparse))
        large = self._kept(Large(entry, part, expected, fd))
        site.journal.begun(part)
        return large

    def _kept(self, large: Large) -> Large:
        """One that is closed at the end at the latest."""
        self._larges.add(large)
        return large

    async def _piece(self, large: Large, number: int) -> None:
        """Fetch a range; who fetches the last one of a file finishes it."""
        _, length = large.span(number)
        await self._room.take(length)
        try:
            await self._fetched_piece(large, number)
        except (Changed, NotThere) as error:
            self._give_up(large, str(error))
        except OSError as error:
            raise of_system(error, large.entry.name, written=self._site.meter.written) from error
        finally:
            self._room.give(length)
            large.users -= 1
        if large.gone and not large.users:
            large.close()

    async def _fetched_piece(self, large: Large, number: int) -> None:
        site, length = self._site, large.span(number)[1]
        total = await self._written(large, number)
        if total is None:
            return
        site.journal.came(large.entry.name, number, total)
        site.meter.came(length, site.now())
        site.meter.written = True
        large.came(number, total)
        if large.whole:
            await self._finish(large)

    async def _written(self, large: Large, number: int) -> int | None:
        """Sum of a range that is in the file now; None when nobody wants it any more."""
        site, (start, length), after = self._site, large.span(number), None
        if self._lane:
            try:
                if (total := await self._lane.piece(large, number)) is not None:
                    self._fetching.came(length)
                    return None if large.gone else total
            except (Changed, NotThere):
                raise
            except SourceError as error:  # the slow way may know better
                after = error if isinstance(error, Unreachable) else None
        data = await self._fetching.read(large.entry, start, length, after)
        if large.gone:
            return None
        return await site.write(lambda: large.write(start, data, 0, sparse=site.options.sparse))

    def _give_up(self, large: Large, why: str) -> None:
        if not large.gone:
            self._site.meter.lost(large.there)
        large.gone = True
        self.changed[large.entry.name] = why

    async def _finish(self, large: Large) -> None:
        """A file has all of its ranges: compare it, and move it to its place."""
        site, entry = self._site, large.entry
        if not await self._is_intact(large):
            self._damaged(large)
            return
        mtime = await site.write(large.seal, site.tree)
        site.journal.moving(entry, mtime)
        if not site.journal.is_new(entry.name):
            await site.note(site.journal.settle, *site.journal.turn())
        file = part_file(entry.name, entry.size, entry.version)
        await site.write(site.tree.place, file, site.journal.parts, entry.name)
        large.close()
        self._larges.discard(large)
        site.journal.moved(entry)
        site.meter.finished(self._judge.method(large.expected))

    async def _is_intact(self, large: Large) -> bool:
        site, expected = self._site, large.expected
        if await site.write(large.intact, site.moved):
            return True
        if expected is None or not expected.parts:
            return False
        large.expected = await self._fetching.patiently(lambda: self._judge.measured(large.entry, expected))
        return large.expected != expected and await site.write(large.intact, site.moved)

    def _damaged(self, large: Large) -> None:
        """What came is not what the store says: fetch it all again, or give up."""
        contents = self._site.options.patience.contents
        if large.tries >= contents:
            raise corrupt(large.entry, large.expected, contents)
        large.tries += 1
        self._site.meter.lost(large.entry.size)
        large.restart()
        self._site.journal.begun(large.part)
        self._feed.again(large)


def _raise_first(done: set[asyncio.Task[None]]) -> None:
    """Raise what a worker has raised. Of several it is any one; the others are looked at, so that none is reported."""
    for failure in [failure for task in done if (failure := task.exception()) is not None]:
        raise failure


def _removed(parts: int, file: str) -> None:
    try:
        os.unlink(file, dir_fd=parts)
    except FileNotFoundError:
        return
