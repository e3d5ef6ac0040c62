"""The listing of a source, taken into the journal page by page: millions of objects need no more memory than a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kaas.loader import paths, stock
from kaas.loader.faults import Fault
from kaas.loader.ledger import Known, Ledger
from kaas.loader.options import Options
from kaas.loader.report import Reason
from kaas.loader.source import Entry
from kaas.loader.space import Need, Space, freed
from kaas.loader.tree import Tree

_PAGES: Final = 50
"""Pages of a transaction."""
BATCH: Final = 1000
"""Entries that are looked at together."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Where a listing has to fit.

    free: now, with what parts hold; at_once: files that are in flight at most. moved: called while it is looked at.
    """

    tree: Tree
    free: Space
    at_once: int
    moved: Callable[[], None]


@dataclass(slots=True)
class Offer:
    """What a source has for all of its loaders together. files and bytes: of objects that patterns take.

    objects: of all but markers of directories.
    """

    objects: int = 0
    files: int = 0
    bytes: int = 0

    def add(self, entry: Entry, *, taken: bool) -> None:
        """Count an object of the listing."""
        if not entry.name.endswith("/"):
            self.objects += 1
            if taken:
                self.files, self.bytes = self.files + 1, self.bytes + entry.size

    def check(self) -> None:
        """Fault when there are objects and patterns leave out all of them: nobody wants that."""
        if self.objects and not self.files:
            raise Fault(
                Reason.INVALID_SPEC,
                f"of {self.objects} objects of the source none fits include and exclude: correct them",
            )


class Listing:
    """Takes one listing. Used by the ledger's thread.

    bytes and files: of what is taken so far and not there yet.
    """

    def __init__(self, ledger: Ledger, options: Options, volume: Volume) -> None:
        self._ledger = ledger
        self._options = options
        self._volume = volume
        self._number = int(ledger.recall("listing") or 0) + 1
        self._pages = 0
        self._upper = ""
        self._need: Need | None = None
        self._offer = Offer()
        self._stock: stock.Stock | None = None
        self.bytes = 0
        self.files = 0

    def take(self, page: Sequence[Entry]) -> None:
        """Take a page. Fault for a key that is no path, and when it cannot fit any more."""
        directories: set[str] = set()
        entries = [entry for entry in page if self._wanted(entry, directories)]
        if self._pages % _PAGES == 0:
            self._ledger.begin()
        if not self._pages:  # one that breaks off has its number for itself: the next forgets what only that one had
            self._ledger.remember("listing", str(self._number))
        self._ledger.take(entries, directories, self._number)
        size, files = self._ledger.missing(entries)
        self.bytes, self.files = self.bytes + size, self.files + files
        self._pages += 1
        if self._pages % _PAGES == 0:
            self._ledger.commit()
        if self._need is not None or not self._volume.free.fits(self.bytes, self.files):
            self._look(entries)
        if self._options.shard.count > 1:
            self._look_for_all()

    def _look_for_all(self) -> None:
        """See whether it fits with what other loaders have to load, without a look at each of their files.

        What is there is taken for theirs or for what they replace; so it may seem to fit when it does not, but it is
        never refused for what they have loaded already.
        """
        free, offer = self._volume.free, self._offer
        if self._stock is None and not free.fits(offer.bytes, offer.files):
            self._stock = stock.files(self._volume.tree, self._volume.moved)
        if self._stock is not None:
            free.check(offer.bytes - self._stock.bytes, offer.files - self._stock.files)

    def _look(self, page: Sequence[Entry]) -> None:
        """See whether it fits with what is replaced: only when that matters, for it is a look at each file."""
        if self._need is None:
            self._need = Need(self._volume.at_once)
            found = self._ledger.absent(self._number)
        else:
            found = ((e.name, e.size) for e in page if self._ledger.is_absent(e.name))
        for name, length in found:
            self._need.add(length, freed(self._volume.tree.look(name)))
        self._volume.free.check(self._need.bytes, self._need.files)

    def _wanted(self, entry: Entry, directories: set[str]) -> bool:
        """Whether an object becomes a file of this loader; its directories are noted whoever loads it."""
        taken = self._options.takes(entry.name)
        self._offer.add(entry, taken=taken)
        if not taken:
            return False
        path = _path(entry)
        if entry.name.endswith("/"):
            directories.update(_upwards(path))
            return False
        upper = path.rpartition("/")[0]
        if upper != self._upper:
            directories.update(_upwards(upper))
            self._upper = upper
        shard = self._options.shard
        return shard.count == 1 or shard.owns(entry.name)

    def end(self) -> str:
        """The listing is whole; returns its digest.

        Fault when a name is a file and a directory, and when patterns leave nothing of it: then nothing is forgotten.
        """
        self._offer.check()
        if self._pages % _PAGES:
            self._ledger.commit()
        self._ledger.begin()
        self._ledger.end_listing(self._number)
        self._ledger.remember("listing", str(self._number))
        self._ledger.commit()
        if name := self._ledger.clash():
            below = self._ledger.below(name)
            raise Fault(
                Reason.INVALID_KEY,
                f"{name} and {below}: one is a file where the other needs a directory: rename or exclude one of them",
            )
        return self._ledger.digest()


def _path(entry: Entry) -> str:
    try:
        path = paths.checked(entry.name)
    except paths.Unsafe as error:
        raise Fault(Reason.INVALID_KEY, str(error)) from error
    if entry.name.endswith("/") and entry.size:
        raise Fault(
            Reason.INVALID_KEY,
            f"key {entry.key!r} is named like a directory and has {entry.size} bytes: rename the object, or exclude it",
        )
    return path


def _upwards(path: str) -> Iterator[str]:
    """A directory and those that it is in, without the root."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def unchanged(tree: Tree, known: Sequence[Known]) -> tuple[list[Known], list[str]]:
    """Of files that the journal has made: those that are there as they were made, and the names of the others.

    In a thread of its own; OSError as the file system gives.
    """
    there, lost = [], []
    for item in known:
        found = tree.look(item.entry.name)
        if found is not None and found.st_size == item.entry.size and found.st_mtime_ns == item.mtime:
            there.append(item)
        else:
            lost.append(item.entry.name)
    return there, lost
