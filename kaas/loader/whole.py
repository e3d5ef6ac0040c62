"""Objects that come in one request each: by threads as far as it goes, and what they leave one by one, patiently."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TypeAlias

from kaas.loader import small
from kaas.loader.content import Judge
from kaas.loader.faults import Fault, of_system
from kaas.loader.fetching import Fetching
from kaas.loader.hands import Made, Turn, Work
from kaas.loader.lane import Lane
from kaas.loader.report import Reason
from kaas.loader.room import Room
from kaas.loader.site import Site
from kaas.loader.source import Buffer, Changed, Checksum, Entry, NotThere, SourceError, Unreachable

Met: TypeAlias = "SourceError | Buffer | None"
"""What another try of an object has met: no answer, or a content that is not what it must be."""


class Whole:
    """Fetches such objects for one load. lane: None when the source can only be asked slowly.

    changed: takes the names of those that are not what was listed, each with the reason.
    """

    def __init__(
        self, site: Site, fetching: Fetching, judge: Judge, room: Room, lane: Lane | None, changed: dict[str, str]
    ) -> None:
        self._site = site
        self._fetching = fetching
        self._judge = judge
        self._room = room
        self._lane = lane
        self._changed = changed

    async def fetch(self, entries: Sequence[Entry], part: str) -> None:
        """Have them in their places. part: name for what is not whole yet. SourceError, Fault."""
        while entries:
            done, met = 0, None
            if self._lane and not self._judge.asks(entries[0]):
                done, met = await self._quickly(self._lane, entries, part)
            if met is not None or not done:
                await self._patiently(entries[done], part, met)
                done += 1
            entries = entries[done:]

    async def _quickly(self, lane: Lane, entries: Sequence[Entry], part: str) -> tuple[int, Met]:
        """How many of the first ones are there now, and what the next one met."""
        work = [(e, self._judge.listed(e)) for e in takewhile(lambda e: not self._judge.asks(e), entries)]
        largest = max(entry.size for entry, _ in work)
        await self._room.take(largest)
        try:
            turn = await self._turn(lane, work, part)
        finally:
            self._room.give(largest)
        done = len(turn.made)
        if isinstance(turn.error, OSError):
            raise of_system(turn.error, work[done][0].name, written=self._site.meter.written) from turn.error
        return done, turn.error or turn.wrong

    async def _turn(self, lane: Lane, work: Sequence[Work], part: str) -> Turn:
        rate = self._fetching.rate
        if rate:
            await rate.take(_bytes(work))
        turn = lane.turn(work)
        try:
            await lane.files(turn, work, part)
        finally:
            if turn.made:
                self._made(work[: len(turn.made)], turn.made)
        if rate:
            rate.give(_bytes(work[len(turn.made) + turn.met :]))
        return turn

    def _made(self, done: Sequence[Work], made: Sequence[Made]) -> None:
        site = self._site
        site.journal.made((entry, mtime) for (entry, _), (mtime, _) in zip(done, made, strict=True))
        for (entry, _), (_, compared) in zip(done, made, strict=True):
            site.meter.came(entry.size, site.now())
            site.meter.finished(self._judge.method(compared))
            self._fetching.came(entry.size)

    async def _patiently(self, entry: Entry, part: str, met: Met) -> None:
        await self._room.take(entry.size)
        try:
            if isinstance(met, (Changed, NotThere)):
                raise met
            expected = self._judge.listed(entry)
            if self._judge.asks(entry):
                expected = await self._fetching.patiently(lambda: self._judge.expected(entry))
            await self._fetched(entry, part, expected, met)
        except (Changed, NotThere) as error:
            self._changed[entry.name] = str(error)
        except OSError as error:
            raise of_system(error, entry.name, written=self._site.meter.written) from error
        finally:
            self._room.give(entry.size)

    async def _fetched(self, entry: Entry, part: str, expected: Checksum | None, met: Met) -> None:
        site = self._site
        for _ in range(site.options.patience.contents):
            data, met = await self._content(entry, met), None
            site.meter.came(entry.size, site.now())
            place = (site.tree, site.journal.parts, part, entry.name, data)
            mtime = await site.write(small.store, *place, expected)
            if mtime is None and expected and (expected.parts or expected == entry.checksum):
                right, expected = await self._second(entry, data, expected)
                mtime = await site.write(small.store, *place, None) if right else None
            if mtime is not None:
                site.moved()
                site.journal.made([(entry, mtime)])
                site.meter.finished(self._judge.method(expected))
                return
            site.meter.lost(entry.size)
        raise corrupt(entry, expected, site.options.patience.contents)

    async def _content(self, entry: Entry, met: Met) -> Buffer:
        if not entry.size:
            return b""
        if met is None or isinstance(met, SourceError):
            return await self._fetching.read(entry, 0, entry.size, met if isinstance(met, Unreachable) else None)
        self._fetching.came(entry.size)
        return met

    async def _second(self, entry: Entry, data: Buffer, first: Checksum) -> tuple[bool, Checksum | None]:
        return await self._fetching.patiently(lambda: self._judge.second(entry, data, first))


def _bytes(work: Sequence[Work]) -> int:
    return sum(entry.size for entry, _ in work)


def corrupt(entry: Entry, expected: Checksum | None, times: int) -> Fault:
    """What ends a load whose object came so many times, and never with its sum."""
    what = f"{expected.algorithm} {expected.value}" if expected else "its sum"
    return Fault(Reason.CORRUPT, f"{entry.key}: came {times} times and never with {what}: check the object and the way")
