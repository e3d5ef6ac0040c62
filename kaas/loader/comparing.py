"""Which files are there already, where nobody is believed: each is read and compared with a strong sum of the store."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

from kaas.loader.checksums import file_matches
from kaas.loader.fetching import Fetching
from kaas.loader.looks import Usual, handle, mended, path_of
from kaas.loader.mark import strange
from kaas.loader.pace import Pace
from kaas.loader.proof import Proving, proof_of
from kaas.loader.site import Site
from kaas.loader.source import Changed, Checksum, Entry, NotThere
from kaas.loader.sweep import Sweep

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_AT_ONCE: Final = 8
"""Groups that are compared or asked for at once: threads for files are fewer, but some wait for the store."""
_GROUP: Final = 2**20
"""Bytes of files that one thread reads in a go."""

Candidate: TypeAlias = "tuple[Entry, Checksum | None]"


class _Over(Exception):
    """The load ends: what is being read is of no use any more."""


class Comparison:
    """Compares the files of one load. `begin` comes first."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._over = False
        pace = Pace(site.limits.streams, site.limits.streams, site.now())
        self._fetching = Fetching(site.source, site.options.patience, pace, site.now)

    async def begin(self) -> None:
        """Look what a load makes here; with `replaces`, remove what none would have left. Fault, OSError."""
        self._usual, removed = await self._site.note(self._begun)
        self._site.meter.deleted += removed

    def _begun(self) -> tuple[Usual, int]:
        site = self._site
        with strange(site.source.label):
            trash = site.journal.trash(site.moved)
            try:
                usual = Usual.of(site.tree, trash.fd)
                if not site.options.replaces:
                    return usual, 0
                return usual, Sweep(site.tree, site.journal.ledger, usual, trash, site.moved).run()
            finally:
                trash.close()

    async def missing(self, entries: Sequence[Entry]) -> list[Entry]:
        """Of objects that the journal does not know as files: those to be loaded. SourceError, OSError.

        The others are there: they have the content of the store, and look as if they had just been loaded.
        """
        there: set[str] = set()
        found = await self._site.write(self._candidates, entries)
        groups = deque(_grouped(found))
        workers = [asyncio.ensure_future(self._work(groups, there)) for _ in range(min(_AT_ONCE, len(groups)))]
        try:
            await asyncio.gather(*workers)
        finally:
            self._over = True
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._over = False
        return [entry for entry in entries if entry.name not in there]

    def _candidates(self, entries: Sequence[Entry]) -> list[Entry]:
        tree = self._site.tree
        looked = ((entry, tree.look(entry.name)) for entry in entries)
        return [entry for entry, found in looked if found and self._usual.may_stay(found, entry.size)]

    async def _work(self, groups: deque[list[Entry]], there: set[str]) -> None:
        while groups:
            group = [(entry, await self._proof(entry)) for entry in groups.popleft()]
            right = await self._site.write(self._compared, group)
            self._site.journal.made((entry, mtime) for entry, _, mtime in right)
            for entry, method, _ in right:
                self._site.meter.compared(entry.size, method)
                there.add(entry.name)

    async def _proof(self, entry: Entry) -> Checksum | None:
        source = self._site.source
        if not entry.size or not isinstance(source, Proving):
            return proof_of(entry.checksum)
        try:
            return await self._fetching.patiently(lambda: source.proof(entry))
        except (Changed, NotThere):
            return None  # who loads it sees that too, and knows what to do

    def _compared(self, group: Sequence[Candidate]) -> list[tuple[Entry, str, int]]:
        """Of some files those that are right: by which sum, and their mtime. The others make way."""
        right = []
        for entry, proof in group:
            upper, name = self._site.tree.at(entry.name, make=False)
            mtime = self._mtime(upper, name, entry, proof)
            if mtime is not None:
                right.append((entry, proof.algorithm.value if proof else "size", mtime))
            elif self._site.options.replaces:
                os.unlink(name, dir_fd=upper)  # what comes in its place may need the room
        return right

    def _mtime(self, upper: int, name: str, entry: Entry, proof: Checksum | None) -> int | None:
        if entry.size and proof is None:
            return None
        with handle(upper, name) as found:
            if not mended(found, self._usual.file):
                return None
            fd = os.open(path_of(found), _READ)
        try:
            if proof is not None and not file_matches(proof, fd, entry.size, self._moved):
                return None
            return os.fstat(fd).st_mtime_ns
        finally:
            os.close(fd)

    def _moved(self) -> None:
        self._site.moved()
        if self._over:
            raise _Over


def _grouped(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Files that one thread reads together: many small ones, or a large one."""
    groups: list[list[Entry]] = []
    room = -1
    for entry in entries:
        if entry.size > room:
            groups.append([])
            room = _GROUP
        groups[-1].append(entry)
        room -= entry.size
    return groups
