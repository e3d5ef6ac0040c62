"""The quick way: threads and processes that read, compare and write by themselves, asked once for many files.

A read that is awaited costs several times what one costs that a thread waits for. So what is simple goes here, one try
each; whatever is not as it should be is left to the slow way, which is patient and knows why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, TypeVar

from kaas.loader.crew import Gone
from kaas.loader.fetching import Fetching, Late
from kaas.loader.hands import Hands, Turn, Work, written
from kaas.loader.journal import part_file
from kaas.loader.large import Large
from kaas.loader.orders import Files, Order, Range, Reply
from kaas.loader.site import Site
from kaas.loader.source import Portable, Reader, Refused, SourceError, Streaming, Unreachable
from kaas.loader.threads import Threads

T = TypeVar("T")
_NAME: Final = "load"
_MOST_LEFT: Final = 8
"""Orders of which other processes do nothing, one after the other, before they are not asked for a while."""
_ALONE: Final = 60.0


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
        self._left = 0
        self._alone_until = float("-inf")

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
        reply = await self._by_crew(lambda reader: Files(reader, work, part))
        if reply is not None:
            turn.made, turn.error = list(reply.made), _expected(reply.error)
            return
        site = self._site
        hands = Hands(self._source, site.tree, site.journal.parts, site.now, self._deadline)
        try:
            await self._watched(turn, lambda: hands.files(work, part, turn))
        except Late:
            for entry, _ in work[len(turn.made) :][:1]:  # none is left when it was the last moment
                turn.error = Unreachable(f"{entry.key}: did not come in time")

    async def _by_crew(self, order: Callable[[Reader], Order]) -> Reply | None:
        """What comes of an order to another process; None when there is none, or it has ended."""
        mate = self._site.crew.idlest()
        if mate is None or self._site.now() < self._alone_until or not isinstance(self._source, Portable):
            return None
        reader = await self._source.reader()
        if reader is None:
            return None
        try:
            reply = await mate.do(order(reader))
        except Gone:
            return None
        self._weigh(reply)
        return reply

    def _weigh(self, reply: Reply) -> None:
        """Ask no other process for a while when they cannot read what this one may be able to."""
        left = reply.total is None and not reply.made and (reply.error is None or isinstance(reply.error, Refused))
        self._left = self._left + 1 if left else 0
        if self._left >= _MOST_LEFT:
            self._left, self._alone_until = 0, self._site.now() + _ALONE

    async def piece(self, large: Large, number: int) -> int | None:
        """Load a range of a large file; its sum, None when it can only be read the slow way. SourceError, OSError."""
        start, length = large.span(number)
        stream = self._source.stream(large.entry, start, length) if self._is_free else None
        if stream is None:
            return None
        if rate := self._fetching.rate:
            await rate.take(length)
        reply = await self._by_crew(lambda reader: self._range(large, start, length, reader))
        if reply is not None:
            if error := _expected(reply.error):
                raise error
            return reply.total
        turn = Turn(self._deadline(length), self._site.now)
        write = partial(large.write, sparse=self._site.options.sparse)
        try:
            return await self._watched(turn, lambda: written(stream.pieces, start, write, turn))
        except Late:
            raise Unreachable(f"{large.entry.key}: {length} bytes did not come in time") from None

    def _range(self, large: Large, start: int, length: int, reader: Reader) -> Range:
        entry, part = large.entry, large.part
        file = part_file(entry.name, entry.size, entry.version)
        return Range(reader, entry, start, length, file, part.algorithm, self._site.options.sparse)

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


def _expected(error: Exception | None) -> SourceError | OSError | None:
    """An error that a load knows what to do about. Raises any other one."""
    if error is None or isinstance(error, (SourceError, OSError)):
        return error
    raise error
