"""What sources of buckets share: an address, the door, threads for a library that blocks, and words for errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from kaas.loader.address import Address
from kaas.loader.source import Refused, SourceError
from kaas.loader.sources import failures
from kaas.loader.sources.access import Access
from kaas.loader.sources.door import Door
from kaas.loader.sources.exactly import shown
from kaas.loader.sources.failures import Answer
from kaas.loader.sources.patience import Sleep
from kaas.loader.threads import Threads

T = TypeVar("T")
_THREADS: Final = 8


class Bucket:
    """One bucket and prefix, or one object. sleep: waits between two tries of a listing."""

    def __init__(self, address: Address, access: Access, sleep: Sleep = asyncio.sleep) -> None:
        self._address = address
        self._access = access
        self._sleep = sleep
        self._pool = Threads(_THREADS, address.scheme)
        self._door = Door(access.policy)

    @property
    def label(self) -> str:
        """URL without credentials, for people."""
        return str(self._address)

    async def close(self) -> None:
        """Close all connections."""
        await self._door.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _error(self, answer: Answer, what: str, *, listed: bool) -> SourceError:
        """What an answer comes to. listed: whether it is about an object that the listing has."""
        if refusal := self._door.refusal:
            return Refused(f"{what}: {refusal}")
        return failures.error_of(answer, what, listed=listed)

    def _what(self, key: str) -> str:
        """Bucket and key, for messages."""
        return shown(f"{self._address.scheme}://{self._address.place}", key)
