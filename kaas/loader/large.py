"""A file that is fetched in ranges, many at once and in any order."""

from __future__ import annotations

import errno
import os
from array import array
from collections.abc import Callable, Iterable
from typing import Final

from kaas.loader import checksums, disk
from kaas.loader.ledger import Part
from kaas.loader.source import Buffer, Checksum, Entry
from kaas.loader.tree import Tree

MOST_PIECES: Final = 2**20
OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


def piece_size(size: int, wanted: int) -> int:
    """Bytes of a range: what is wanted, doubled until an object has at most a million of them."""
    while size > wanted * MOST_PIECES:
        wanted *= 2
    return wanted


class Large:
    """One such file while it is fetched. part: as the journal has it; expected: what its content must sum up to.

    `take` and `came` are for the event loop, the others for a thread.
    """

    def __init__(self, entry: Entry, part: Part, expected: Checksum | None, fd: int) -> None:
        self.entry = entry
        self.part = part
        self.expected = expected
        self.fd = fd
        self.tries = 1
        self.users = 0
        self.gone = False
        """Whether nobody wants it any more: it has changed, or the load ends."""
        self._cyclic = checksums.CYCLIC.get(expected.algorithm) if expected else None
        self._count = -(-entry.size // part.piece)
        self.restart()

    def restart(self) -> None:
        """Forget all ranges."""
        self._sums = array("Q", bytes(8 * self._count))
        self._there = bytearray(self._count)
        self._left = self._count
        self._next = 0

    def resume(self, pieces: Iterable[tuple[int, int]]) -> int:
        """Take what the journal knows of ranges; returns their bytes."""
        found = 0
        for number, total in pieces:
            if number < self._count and not self._there[number]:
                self.came(number, total)
                found += self.span(number)[1]
        return found

    def take(self) -> int | None:
        """Number of a range that nobody fetches yet; None when there is none."""
        self._next = self._there.find(0, self._next)
        if self._next < 0:
            self._next = self._count
            return None
        self._next += 1
        return self._next - 1

    def span(self, number: int) -> tuple[int, int]:
        """Where a range begins, and its length."""
        start = number * self.part.piece
        return start, min(self.part.piece, self.entry.size - start)

    def came(self, number: int, total: int) -> None:
        """A range was written."""
        self._there[number] = 1
        self._sums[number] = total
        self._left -= 1

    @property
    def there(self) -> int:
        """Bytes of the ranges that are there."""
        last = self.span(self._count - 1)[1] if self._count and self._there[-1] else self.part.piece
        return (self._count - self._left) * self.part.piece - (self.part.piece - last)

    @property
    def whole(self) -> bool:
        """Whether all ranges are there."""
        return not self._left

    def write(self, start: int, data: Buffer, total: int, *, sparse: bool) -> int:
        """Write some of a range; returns the sum of what came of it before, `total`, and this. OSError."""
        return write(self.fd, start, data, total, self._cyclic, sparse=sparse)

    def intact(self, moved: Callable[[], None]) -> bool:
        """Whether the content is what it must be. moved: called while it is read. OSError as reads give."""
        expected, cyclic, piece = self.expected, self._cyclic, self.part.piece
        if expected is None:
            return True
        if not cyclic or any(length % piece for length in expected.parts[:-1]):
            return checksums.file_matches(expected, self.fd, self.entry.size, moved)
        if not expected.parts:
            return cyclic.text(cyclic.whole(self._sums, piece, self.entry.size)) == expected.value
        sums = [self._sum_of(cyclic, start, end) for start, end in checksums.spans(expected.parts)]
        return checksums.of_sums(expected.algorithm, sums) == expected.value

    def _sum_of(self, cyclic: checksums.Cyclic, start: int, end: int) -> str:
        """Of what begins with a range: the sums of its ranges give it."""
        piece = self.part.piece
        return cyclic.text(cyclic.whole(self._sums[start // piece : -(-end // piece)], piece, end - start))

    def seal(self, tree: Tree) -> int:
        """Give the file to its owner; returns its mtime in nanoseconds. OSError as the file system gives."""
        tree.own(self.fd)
        return os.fstat(self.fd).st_mtime_ns

    def close(self) -> None:
        """Close the file."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


def write(fd: int, start: int, data: Buffer, total: int, cyclic: checksums.Cyclic | None, *, sparse: bool) -> int:
    """Write some of a range into a part, as `Large.write` does."""
    if not (sparse and _zeros(data) and _hole(fd, start, len(data))):
        _write(fd, memoryview(data), start)
    return cyclic.of(data, total) if cyclic else 0


def opened(parts: int, file: str, size: int) -> int | None:
    """A part that is there in its whole length, open; None when it is not, and then nothing of that name is left."""
    try:
        fd = os.open(file, OPEN, dir_fd=parts)
    except FileNotFoundError:
        return None
    if os.fstat(fd).st_size == size:
        return fd
    os.close(fd)
    os.unlink(file, dir_fd=parts)
    return None


def created(parts: int, file: str, size: int, *, sparse: bool) -> int:
    """A new part in its whole length, open; OSError when there is no room for it."""
    fd = os.open(file, OPEN | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=parts)
    try:
        if sparse:
            os.ftruncate(fd, size)
        else:
            disk.reserve(fd, size)
    except OSError:
        os.close(fd)
        os.unlink(file, dir_fd=parts)
        raise
    return fd


def _write(fd: int, data: memoryview, start: int) -> None:
    while data:
        written = os.pwrite(fd, data, start)
        start, data = start + written, data[written:]


def _hole(fd: int, start: int, length: int) -> bool:
    """Whether nothing was written there: what came before may have been damaged. Source: lseek(2), SEEK_DATA."""
    try:
        return os.lseek(fd, start, os.SEEK_DATA) >= start + length
    except OSError as error:
        return error.errno == errno.ENXIO  # none from there to the end


def _zeros(data: Buffer) -> bool:
    return bytes(data) == bytes(len(data))
