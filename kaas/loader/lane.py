"""The quick way: threads that read, compare and write by themselves, with the event loop asked once for many files.

A read that is awaited costs several times what one costs that a thread waits for. So what is simple goes here, one try
each; whatever is not as it should be is left to the slow way, which is patient and knows why.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import mmap
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from kaas.loader import small
from kaas.loader.fetching import Fetching, Late, Watch
from kaas.loader.large import Large
from kaas.loader.site import Site
from kaas.loader.source import Buffer, Checksum, Entry, SourceError, Streaming, Unreachable
from kaas.loader.threads import Threads

Work = tuple[Entry, Checksum | None]
"""A small object, and what it must sum up to."""
Made = tuple[int, Checksum | None]
"""A file's mtime in nanoseconds, and the sum that it was compared with."""
T = TypeVar("T")
_NAME: Final = "load"
_LOOK: Final = 0.01
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
        cancelled: asyncio.CancelledError | None = None
        while self._lock.locked():
            try:
                await asyncio.sleep(_LOOK)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled:
            raise cancelled


class Lane:
    """Threads for reads of one load. close: has none of them write any more; waits for none.

    A thread cannot be taken from a server that keeps it waiting: while half of them are lost so, nothing goes here.
    """

    def __init__(self, source: Streaming, site: Site, fetching: Fetching) -> None:
        self._source = source
        self._site = site
        self._fetching = fetching
        self._threads = Threads(site.limits.streams, _NAME)
        self._lost: set[Future[Any]] = set()

    @property
    def _is_free(self) -> bool:
        return 2 * len(self._lost) < self._site.limits.streams

    def turn(self, work: Sequence[Work]) -> Turn:
        """For `files`."""
        return Turn(self._deadline(work[0][0].size), self._site.now)

    async def files(self, turn: Turn, work: Sequence[Work], part: str) -> None:
        """Load small objects one after the other, as far as it goes by itself. part: name for what is not whole.

        Whatever ends it, the turn knows what was made.
        """
        if not self._is_free:
            return
        try:
            await self._watched(turn, lambda: self._files(work, part, turn))
        except Late:
            for entry, _ in work[len(turn.made) :][:1]:  # none is left when it was the last moment
                turn.error = Unreachable(f"{entry.key}: did not come in time")

    def _files(self, work: Sequence[Work], part: str, turn: Turn) -> None:
        until = self._site.now() + _TURN
        try:
            for entry, expected in work:
                if turn.made and self._site.now() > until:
                    return
                turn.deadline = self._deadline(entry.size)
                found = self._whole(entry, turn)
                if found is None or not self._stored(turn, part, entry, found[0], expected and (found[1] or expected)):
                    return
        except (SourceError, OSError) as error:
            turn.error = error

    def _whole(self, entry: Entry, turn: Turn) -> tuple[Buffer, Checksum | None] | None:
        """A content, and what its answer says of it; None when it is to be read the slow way, or not any more."""
        if not entry.size:
            return b"", None
        stream = self._source.stream(entry, 0, entry.size)
        if stream is None:
            return None
        data = (_joined if entry.size <= _SMALL else _gathered)(stream.pieces, entry.size, turn)
        return None if data is None else (data, stream.checksum)

    def _stored(self, turn: Turn, part: str, entry: Entry, data: Buffer, expected: Checksum | None) -> bool:
        site = self._site
        with turn.writing() as may:
            if not may:
                return False
            mtime = small.store(site.tree, site.journal.parts, part, entry.name, data, expected)
            if mtime is None:
                turn.wrong = bytes(data)  # the thread's memory is used again
                return False
            turn.made.append((mtime, expected))
            return True

    async def piece(self, large: Large, number: int) -> int | None:
        """Load a range of a large file; its sum, None when it can only be read the slow way. SourceError, OSError."""
        start, length = large.span(number)
        stream = self._source.stream(large.entry, start, length) if self._is_free else None
        if stream is None:
            return None
        if rate := self._fetching.rate:
            await rate.take(length)
        turn = Turn(self._deadline(length), self._site.now)
        try:
            return await self._watched(turn, lambda: self._written(turn, large, start, stream.pieces))
        except Late:
            raise Unreachable(f"{large.entry.key}: {length} bytes did not come in time") from None

    def _written(self, turn: Turn, large: Large, start: int, pieces: Iterator[Buffer]) -> int:
        total, sparse = 0, self._site.options.sparse
        for data in pieces:
            with turn.writing() as may:
                if not may:
                    return total
                total = large.write(start, data, total, sparse=sparse)
            start += len(data)
        return total

    async def _watched(self, turn: Turn, work: Callable[[], T]) -> T:
        """Wait for a thread; Late when it takes too long. Whatever ends the wait, nothing is written after it."""
        thread = self._threads.submit(work)
        try:
            return await self._fetching.watched(asyncio.wrap_future(thread), turn)
        finally:
            if not thread.done():
                self._lost.add(thread)
                thread.add_done_callback(self._lost.discard)
            await turn.end()

    def _deadline(self, length: int) -> float:
        return self._site.now() + self._site.options.patience.deadline(length)

    def close(self) -> None:
        """Let the threads end when they come back."""
        self._threads.shutdown(wait=False, cancel_futures=True)


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
