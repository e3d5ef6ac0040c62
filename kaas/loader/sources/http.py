"""One file of a web server. There are no directories: an index is for people, and none says that it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from kaas.loader.address import Address
from kaas.loader.source import Buffer, Changed, Checksum, Entry, Refused, SourceError
from kaas.loader.sources.access import Access
from kaas.loader.sources.guard import Lookup, system_lookup
from kaas.loader.sources.patience import Sleep, patiently
from kaas.loader.sources.sums import of_headers
from kaas.loader.sources.web import NO_RANGE, Reply, Web, part, ranged

_PARTIAL: Final = 206


class HTTPSource:
    """One file. Made by `open_source`."""

    def __init__(
        self, address: Address, access: Access, sleep: Sleep = asyncio.sleep, lookup: Lookup = system_lookup
    ) -> None:
        self._address = address
        self._sleep = sleep
        self._web = Web(access.policy, lookup)
        self._whole = _Whole(self._web, self.label)
        self._ranges = True

    @property
    def label(self) -> str:
        """URL, which has no secrets."""
        return str(self._address)

    async def open(self) -> None:
        """Refused when the policy does not allow it."""
        self._web.check(self.label)

    async def pages(self) -> AsyncIterator[Sequence[Entry]]:
        """One page with one entry."""
        yield [await patiently(self._found, self._sleep)]

    async def _found(self) -> Entry:
        """What the server says of the file: asked for its first byte, because many know no HEAD."""
        reply = await self._web.ask(self.label, self.label, headers={"Range": "bytes=0-0"})
        reply.response.close()
        self._ranges = reply.status in {_PARTIAL, NO_RANGE}
        return Entry(
            self._address.key,
            self._address.name,
            _size(reply, self.label),
            version_of(reply.headers),
            of_headers(reply.headers),
        )

    async def read(self, entry: Entry, start: int, length: int) -> Buffer:
        """So many bytes from `start` on, exactly. A server without ranges is read from one end to the other."""
        if not length:
            return b""
        if not self._ranges or (start == 0 and length == entry.size):
            return await self._whole.read(entry, start, length)
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        if entry.version.startswith('"'):
            headers["If-Range"] = entry.version
        reply = await self._web.ask(self.label, self.label, headers=headers, listed=True)
        try:
            compare(entry, reply, self.label)
            self._ranges = reply.status == _PARTIAL
        except SourceError:
            reply.response.close()
            raise
        if self._ranges:
            return await ranged(reply, start, length, self.label)
        reply.response.close()
        return await self._whole.read(entry, start, length)

    async def checksum(self, entry: Entry) -> Checksum | None:
        """What the server said of the file; most say nothing."""
        return entry.checksum

    async def close(self) -> None:
        """Close all connections."""
        await self._whole.close()
        await self._web.close()


class _Whole:
    """A file that comes only as a whole: read on from where the last read ended, from its start when that is behind.

    One read at a time; others wait.
    """

    def __init__(self, web: Web, what: str) -> None:
        self._web = web
        self._what = what
        self._reply: Reply | None = None
        self._at = 0
        self._one = asyncio.Lock()

    async def read(self, entry: Entry, start: int, length: int) -> bytes:
        """So many bytes from `start` on."""
        async with self._one:
            try:
                return await self._read(entry, start, length)
            except BaseException:
                await self.close()
                raise

    async def _read(self, entry: Entry, start: int, length: int) -> bytes:
        if self._reply is None or self._at > start:
            await self.close()
            self._reply = await self._web.ask(self._what, self._what, listed=True)
            compare(entry, self._reply, self._what)
            self._at = 0
        reply = self._reply
        while self._at < start:
            self._at += len(await part(reply, min(start - self._at, 1 << 20), self._what))
        found = await part(reply, length, self._what)
        self._at += length
        if self._at == entry.size:
            await self.close()
        return found

    async def close(self) -> None:
        """Let the connection go."""
        if self._reply is not None:
            self._reply.response.close()
            self._reply = None


def version_of(headers: Mapping[str, str]) -> str:
    """What changes with the file: a strong ETag, else when it was modified, else ""."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "") or etag


def compare(entry: Entry, reply: Reply, what: str) -> None:
    """Changed when an answer is about another version than was listed."""
    if version_of(reply.headers) != entry.version or _size(reply, what) != entry.size:
        raise Changed(f"{what}: is not what was found any more")


def _size(reply: Reply, what: str) -> int:
    if reply.status in {_PARTIAL, NO_RANGE}:
        total = reply.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        total = reply.headers.get("Content-Length", "")
    if reply.headers.get("Content-Encoding", "identity") != "identity" or not total.isdigit():
        raise Refused(f"{what}: the server does not say how long the file is: it cannot be loaded")
    return int(total)
