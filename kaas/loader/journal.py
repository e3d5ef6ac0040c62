"""The journal of a load: a directory at the top of the destination, by which the next load goes on.

It has the ledger (what is surely there), lines about what happened since, parts of files that are not whole, and a
lock. Parts lie here and not beside what they become: a rename needs the same file system, and here nobody takes them
for data. The directory stays after a load: by it the next one knows what is there already.

Order of writing: data, then a line (outlives a kill); every few seconds all data to the disk, then the ledger (outlives
a power cut). What the ledger says is there is there. A part that the ledger knows is moved to its place only when the
ledger says so, too: else the move might be all that outlives a power cut, and the part be missed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Self

from kaas.loader import disk, mark, recent
from kaas.loader.faults import Fault
from kaas.loader.ledger import Ledger, Part
from kaas.loader.paths import JOURNAL
from kaas.loader.recent import Recent
from kaas.loader.report import Reason
from kaas.loader.shards import Shard
from kaas.loader.source import Algorithm, Entry
from kaas.loader.trash import Trash

_LEDGER: Final = "ledger.sqlite"
_PARTS: Final = "parts"
_RECENT: Final = "recent."
_BEGUN, _CAME, _MOVING, _MADE = "begun", "came", "moving", "made"


def part_file(name: str, size: int, version: str) -> str:
    """Name of a part's file: one for each version of an object."""
    return blake2b(f"{name}\0{size}\0{version}".encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Owned:
    """Whose a journal has to be. moved: called now and then while another's is removed."""

    mark: str
    moved: Callable[[], None]


class Journal:
    """Open journal of one shard. Lines are added by the event loop's thread; the ledger is used by one other.

    OSError as the file system gives.
    """

    def __init__(self, directory: int, parts: int, label: str) -> None:
        self._held = contextlib.ExitStack()
        self._fd = directory
        self._path = Path(f"/proc/self/fd/{directory}")  # whatever is renamed meanwhile, it is this directory
        self.parts = parts
        self._pending: list[list[Any]] = []
        self._moving: dict[str, list[Any]] = {}
        self._large: set[str] = set()
        self._new: set[str] = set()
        self._lost = False
        self.ledger = self._opened()
        self._recent = Recent(self._path, recent.boot())
        try:
            self._begin(label)
        except BaseException:
            self.ledger.close()
            self._recent.close()
            raise

    def _begin(self, label: str) -> None:
        if self.ledger.recall("source") != label:
            self.ledger.forget()
            self.ledger.remember("source", label)
            self._clear_lines()
        self._replay()
        self._large.update(self.ledger.parts())
        self._sweep()

    @classmethod
    def open(cls, root: int, label: str, shard: Shard, owned: Owned | None = None) -> Self:
        """Journal of a shard below an open directory; what is damaged begins anew. Fault when another load has it.

        owned: one that does not bear this mark is a stranger's, and begins anew; None: whatever is there is believed.
        """
        if owned is None:
            return cls._of(_directory(root, shard), label)
        with mark.strange(JOURNAL):
            mark.clear_way(root, JOURNAL)
            return cls._of(_directory(root, shard), label, owned)

    @classmethod
    def _of(cls, directory: int, label: str, owned: Owned | None = None) -> Self:
        with contextlib.ExitStack() as held:
            held.callback(os.close, directory)
            if owned:
                mark.clear_lock(directory)
            held.callback(os.close, _locked(directory))
            if owned:
                mark.claim(directory, owned.mark, owned.moved)
            held.callback(os.close, parts := _made(directory, _PARTS))
            found = cls(directory, parts, label)
            found._held = held.pop_all()
        return found

    def _opened(self) -> Ledger:
        try:
            return Ledger(self._path / _LEDGER)
        except sqlite3.Error:
            for path in [*self._path.glob(f"{_LEDGER}*"), *(self._path / _PARTS).iterdir()]:
                path.unlink()
            self._clear_lines()
            return Ledger(self._path / _LEDGER)

    def _clear_lines(self) -> None:
        for path in self._path.glob(f"{_RECENT}*"):
            path.unlink()

    def _replay(self) -> None:
        """Take what a process that was killed has written since its ledger was last safe."""
        self.ledger.begin()
        for line in self._recent.lines():
            # A file that was to be moved and is a part still was not: it is moved again.
            if line[0] != _MADE or not self._is_part(line):
                self._take(line)
        self._sync()
        self.ledger.commit()
        self._recent.drop(self._recent.turn())

    def _is_part(self, line: list[Any]) -> bool:
        _, name, size, version, _ = line
        return os.path.lexists(self._path / _PARTS / part_file(name, size, version))

    def _take(self, line: list[Any]) -> None:
        kind, name, *rest = line
        if kind == _BEGUN:
            size, version, piece, algorithm = rest
            self.ledger.begun(Part(name, size, version, piece, Algorithm(algorithm) if algorithm else None))
        elif kind == _CAME:
            self.ledger.came(name, *rest)
        else:
            self.ledger.made(name, *rest)
            self.ledger.ended(name)

    def _sweep(self) -> None:
        """Remove parts that nothing knows of."""
        known = set()
        for name in self._large:
            if part := self.ledger.part(name):
                known.add(part_file(name, part.size, part.version))
        for path in (self._path / _PARTS).iterdir():
            if path.name not in known:
                path.unlink()

    def forget_parts(self) -> None:
        """All of the listing is there: what was begun of objects that have changed or are gone is of no use.

        In the ledger's thread, when no line waits.
        """
        self.ledger.begin()
        for name in self.ledger.parts():
            self.ledger.ended(name)
        self.ledger.commit()
        self._large.clear()
        self._sweep()

    def forget_part(self, name: str) -> None:
        """Believe nothing any more of a large file that is to begin from nothing. In the ledger's thread.

        Its new part may be on the disk before a line about it is: it is as long, and has nothing of what was known.
        """
        self.ledger.begin()
        self.ledger.ended(name)
        self.ledger.commit()

    def begun(self, part: Part) -> None:
        """A large file is begun, from nothing."""
        self._new.add(part.name)
        algorithm = part.algorithm.value if part.algorithm else None
        self._add([_BEGUN, part.name, part.size, part.version, part.piece, algorithm])

    def came(self, name: str, number: int, total: int) -> None:
        """A range of a large file was written."""
        self._add([_CAME, name, number, total])

    def is_new(self, name: str) -> bool:
        """Whether a large file was begun since the last turn, and the ledger knows nothing of it."""
        return name in self._new

    def moving(self, entry: Entry, mtime: int) -> None:
        """A part that is whole is about to be moved to its place.

        The move may be on the disk before a line about it is, and the ledger then misses the part: one that is not new
        is moved when `settle` has told it.
        """
        line = [_MADE, entry.name, entry.size, entry.version, mtime]
        self._moving[entry.name] = line
        self._recent.write(line)

    def moved(self, entry: Entry) -> None:
        """A part is at its place."""
        self._pending.append(self._moving.pop(entry.name))

    def made(self, files: Iterable[tuple[Entry, int]]) -> None:
        """Files are at their places; each with its mtime in nanoseconds."""
        self._add(*([_MADE, entry.name, entry.size, entry.version, mtime] for entry, mtime in files))

    def _add(self, *lines: list[Any]) -> None:
        self._recent.write(*lines)
        self._pending.extend(lines)

    def trash(self, moved: Callable[[], None]) -> Trash:
        """A place of its own by which directories are removed. moved: called now and then."""
        return Trash(self._fd, moved)

    @property
    def waiting(self) -> int:
        """Lines that a power cut would take."""
        return len(self._pending)

    def turn(self) -> tuple[list[list[Any]], list[int]]:
        """Begin a new file of lines; returns what `settle` takes. In the event loop's thread."""
        before = self._recent.turn()
        for line in self._moving.values():
            self._recent.write(line)
        lines, self._pending = self._pending, []
        self._new.clear()
        return lines + [[_MOVING, *rest] for _, *rest in self._moving.values()], before

    def settle(self, lines: Iterable[list[Any]], before: list[int]) -> None:
        """Have all data on the disk, and then what is known of it. In the ledger's thread."""
        if self._lost:
            self._clear_lines()
            return
        self._sync()
        self.ledger.begin()
        for line in lines:
            self._settle(line)
        self.ledger.commit()
        self._recent.drop(before)

    def _sync(self) -> None:
        """Have all data on the disk. Of data that was lost the system tells once, and not of which.

        So no line since the last time is believed, by this process or by the next one, whose own sync would succeed.
        """
        try:
            disk.sync_file_system(self._fd)
        except OSError:
            self._lost = True
            self._clear_lines()
            raise

    def _settle(self, line: list[Any]) -> None:
        kind, name, *rest = line
        if kind == _MOVING or (kind == _MADE and name not in self._large):
            self.ledger.made(name, *rest)  # most files are no parts: they have nothing to be removed
            return
        self._take(line)
        (self._large.discard if kind == _MADE else self._large.add)(name)

    def close(self) -> None:
        """Close it; another load may open it."""
        self.ledger.close()
        self._recent.close()
        self._held.close()


def _directory(root: int, shard: Shard) -> int:
    """Where a shard's journal is, open."""
    top = _made(root, JOURNAL)
    if shard.count == 1:
        return top
    try:
        return _made(top, f"{shard.index}-of-{shard.count}")
    finally:
        os.close(top)


def _made(upper: int, name: str) -> int:
    """A directory, made when missing, open. Not followed when it is a link."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=upper)
    try:
        return disk.open_directory(name, upper)
    except NotADirectoryError as error:
        raise Fault(Reason.INVALID_SPEC, f"{name}: is no directory, and the loader keeps its journal there") from error


def _locked(directory: int) -> int:
    fd = os.open(mark.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Fault(Reason.FAILED, "another load is at work in this directory: wait for its end") from None
    return fd


def places_of_parts(root: int) -> list[str]:
    """Paths of directories that have parts of large files, those of loads with another number of shards among them."""
    top = _made(root, JOURNAL)
    try:
        upper = [JOURNAL, *(f"{JOURNAL}/{name}" for name in os.listdir(top) if "-of-" in name)]
    finally:
        os.close(top)
    return [f"{path}/{_PARTS}" for path in upper]


def remove_journals_of_others(root: int, shard: Shard, trash: Trash) -> None:
    """Remove journals of loads with another number of shards; those that are at work stay. trash: of one that is open.

    Nobody else would: no load goes on from them, and their parts would take their room for ever.
    """
    top = _made(root, JOURNAL)
    try:
        names = os.listdir(top)
        for name in names:
            _, _, count = name.partition("-of-")
            if count.isdecimal() and int(count) != shard.count:
                mark.clear_way(top, name)
                with contextlib.suppress(FileNotFoundError, Fault), _unused(disk.open_directory(name, top)):
                    trash.take(top, name)
        if shard.count > 1:  # that of a load that was alone is around all others
            with contextlib.suppress(Fault), _unused(os.dup(top)):
                for name in names:
                    if name.startswith((_LEDGER, _RECENT)) or name in {_PARTS, Trash.NAME}:
                        trash.take(top, name)
    finally:
        os.close(top)


@contextlib.contextmanager
def _unused(directory: int) -> Iterator[None]:
    """Keep a journal for oneself, and close its directory. Fault when a load is at work there."""
    try:
        mark.clear_lock(directory)
        lock = _locked(directory)
    finally:
        os.close(directory)
    try:
        yield
    finally:
        os.close(lock)
