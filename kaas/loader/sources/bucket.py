"""What sources of buckets share: address, door, threads for a library that blocks, words for errors, obstore."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

import obstore
from obstore.exceptions import BaseError

from kaas.loader.address import Address
from kaas.loader.source import Buffer, Entry, Refused, SourceError, Stream
from kaas.loader.sources import failures
from kaas.loader.sources.access import Access
from kaas.loader.sources.door import Door
from kaas.loader.sources.exactly import PIECE, object_of, pieces
from kaas.loader.sources.failures import Answer
from kaas.loader.sources.patience import Sleep
from kaas.loader.threads import Threads

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import GCSStore, S3Store

T = TypeVar("T")
THREADS: Final = 8
"""Requests of a library that blocks, at once."""
OBSTORE: Final = (BaseError, OSError, ValueError)
"""What obstore raises."""


class Bucket(ABC):
    """One bucket and prefix, or one object. sleep: waits between two tries of a listing."""

    _store: S3Store | GCSStore

    def __init__(self, address: Address, access: Access, sleep: Sleep = asyncio.sleep) -> None:
        self._address = address
        self._access = access
        self._sleep = sleep
        self._pool = Threads(THREADS, address.scheme)
        self._door = Door(access.policy)

    @property
    def label(self) -> str:
        """URL without credentials, for people."""
        return str(self._address)

    def stream(self, entry: Entry, start: int, length: int) -> Stream | None:
        """The bytes that `read` gives, for a thread, in pieces as they come; None for what obstore cannot read."""
        return Stream(self._pieces(entry, start, length)) if self._is_for_obstore(entry) else None

    def _pieces(self, entry: Entry, start: int, length: int) -> Iterator[Buffer]:
        what = self._what(entry.key)
        try:
            result = obstore.get(self._store, entry.key, options=self._options(entry, start, length))
            self._check(entry, result.meta)
            came = [result.bytes()] if length <= PIECE else result.stream(PIECE)
            yield from pieces(map(memoryview, came), length, what)
        except OBSTORE as error:
            raise self._error(self._answer(error), what, listed=True) from None

    def _options(self, entry: Entry, start: int, length: int) -> GetOptions:
        """What is asked for beside the key: the version that was listed, and a range where it is not all of it."""
        options = self._of_version(entry)
        if start or length != entry.size:
            options["range"] = (start, start + length)
        return options

    @abstractmethod
    def _is_for_obstore(self, entry: Entry) -> bool:
        """Whether obstore can read an object."""

    @abstractmethod
    def _of_version(self, entry: Entry) -> GetOptions:
        """How obstore is asked for the version that was listed."""

    @abstractmethod
    def _check(self, entry: Entry, meta: ObjectMeta) -> None:
        """Raise Changed for what is not the version that was listed."""

    @abstractmethod
    def _answer(self, error: Exception) -> Answer:
        """What an error of obstore says; when it got no credentials, what those say who make them."""

    async def close(self) -> None:
        """Close all connections."""
        await self._door.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _error(self, answer: Answer, what: str, *, listed: bool) -> SourceError:
        """What an answer comes to. listed: whether it is about an object that the listing has."""
        if refusal := self._door.refusal(answer.status):
            return Refused(f"{what}: {refusal}")
        return failures.error_of(answer, what, listed=listed)

    def _what(self, key: str) -> str:
        """Bucket and key, for messages."""
        return object_of(self._address, key)
