"""Loading contents in a thread: one after the other, one try each. The rest is for whoever it is done for."""

from __future__ import annotations

import contextlib
import math
import mmap
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from kaas.loader import small
from kaas.loader.fetching import Watch
from kaas.loader.source import Buffer, Checksum, Entry, SourceError, Streaming
from kaas.loader.tree import Tree
from kaas.loader.waiting import until

Work: TypeAlias = "tuple[Entry, Checksum | None]"
"""A small object, and what it must sum up to."""
Made: TypeAlias = "tuple[int, Checksum | None]"
"""A file's mtime in nanoseconds, and the sum that it was compared with."""
Write: TypeAlias = Callable[[int, Buffer, int], int]
"""Writes some of a range at a place of its file; gives the sum of what came of it before, which is the last one."""
_TURN: Final = 1.0
"""Seconds after which a thread hands over what it has made, so that the load is seen to go on."""
_MEMORY: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
_SMALL: Final = 256 * 1024
"""Bytes up to which a content is kept in the pieces that it came in: mostly it is one."""


class Turn(Watch):
    """What one thread does. Nothing is written any more when `end` has returned, however long the thread hangs.

    made: files that are in their places, in the order of the work. error: what the next one met; wrong: its
    content, when that is not what it must be. Neither when its time was over, or the next one is only read slowly.
    """

    def __init__(self, deadline: float, now: Callable[[], float]) -> None:
        super().__init__(deadline)
        self._now = now
        self._lock = threading.Lock()
        self.over = False
        self.made: list[Made] = []
        self.error: SourceError | OSError | None = None
        self.wrong: Buffer | None = None

    @property
    def met(self) -> bool:
        """Whether one was asked for and is not in its place."""
        return self.error is not None or self.wrong is not None

    @contextlib.contextmanager
    def writing(self) -> Iterator[bool]:
        """For a thread that would write: whether it may. A disk may take its time: the deadline is the source's."""
        with self._lock:
            left, self.deadline = self.deadline - self._now(), math.inf
            try:
                yield not self.over
            finally:
                self.deadline = self._now() + left

    async def end(self) -> None:
        """Have the thread write nothing more; waits for what it writes, however often it is cancelled."""
        self.over = True
        await until(lambda: not self._lock.locked())


@dataclass(frozen=True, slots=True)
class Hands:
    """Loads small objects. parts: directory for what is not whole; deadline: for a read of so many bytes."""

    source: Streaming
    tree: Tree
    parts: int
    now: Callable[[], float]
    deadline: Callable[[int], float]

    def files(self, work: Sequence[Work], part: str, turn: Turn) -> None:
        """Load objects one after the other, as far as it goes by itself. part: name for what is not whole."""
        until = self.now() + _TURN
        try:
            for entry, expected in work:
                if turn.made and self.now() > until:
                    return
                turn.deadline = self.deadline(entry.size)
                found = self._whole(entry, turn)
                if found is None or not self._stored(turn, part, entry, found[0], expected and (found[1] or expected)):
                    return
        except (SourceError, OSError) as error:
            turn.error = error

    def _whole(self, entry: Entry, turn: Turn) -> tuple[Buffer, Checksum | None] | None:
        """A content, and what its answer says of it; None when it is to be read the slow way, or not any more."""
        if not entry.size:
            return b"", None
        stream = self.source.stream(entry, 0, entry.size)
        if stream is None:
            return None
        data = (_joined if entry.size <= _SMALL else _gathered)(stream.pieces, entry.size, turn)
        return None if data is None else (data, stream.checksum)

    def _stored(self, turn: Turn, part: str, entry: Entry, data: Buffer, expected: Checksum | None) -> bool:
        with turn.writing() as may:
            if not may:
                return False
            mtime = small.store(self.tree, self.parts, part, entry.name, data, expected)
            if mtime is None:
                turn.wrong = bytes(data)  # the thread's memory is used again
                return False
            turn.made.append((mtime, expected))
            return True


def written(pieces: Iterator[Buffer], start: int, write: Write, turn: Turn) -> int:
    """Write a range as it comes, while its turn lasts; returns its sum. start: where it begins in its file."""
    total = 0
    for data in pieces:
        with turn.writing() as may:
            if not may:
                return total
            total = write(start, data, total)
        start += len(data)
    return total


def _joined(pieces: Iterator[Buffer], size: int, turn: Turn) -> Buffer | None:
    """A small content, which mostly comes in one piece; None when it is not wanted any more."""
    first = next(pieces)
    if len(first) == size:
        found: Buffer = first
        _ = next(pieces, None)  # what comes after the last piece may be an error
        return None if turn.over else found
    rest = bytearray(first)
    for piece in pieces:
        if turn.over:
            return None
        rest += piece
    return rest


def _gathered(pieces: Iterator[Buffer], size: int, turn: Turn) -> Buffer | None:
    """A content of so many bytes; None when it is not wanted any more.

    In memory of its own, which is the system's again at once: of what is freed an allocator keeps some for each thread.
    """
    found, at = memoryview(mmap.mmap(-1, size, _MEMORY)), 0
    for piece in pieces:
        if turn.over:
            return None
        found[at : at + len(piece)] = piece
        at += len(piece)
    return found
