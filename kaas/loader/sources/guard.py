"""A door for connections to endpoints that somebody else names: it looks names up and connects to what it has checked.

Libraries that read buckets follow redirects and look names up by themselves, so a check before they start holds for
nothing that they do later. They are given this as their proxy: each connection comes through it, names its host, and is
made to the address that was checked a moment before. What goes over it is TLS, end to end, or, where the policy allows
a host without, one request and its answer: the next one may be for another host, and comes over another connection.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from kaas.loader.sources.policy import Policy

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Addresses of a host."""

CONNECT_SECONDS: Final = 15
_PIECE: Final = 256 * 1024
_HOST: Final = rb"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)"
_CONNECT: Final = re.compile(rb"CONNECT " + _HOST + rb":(\d{1,5}) HTTP/1\.[01]\r\n")
_PLAIN: Final = re.compile(
    rb"(GET|HEAD) http://" + _HOST + rb"(?::(\d{1,5}))?(?:(/[^ \r]*)|(\?[^ \r]*))? HTTP/1\.1\r\n"
)
"""Source: RFC 9112, 3.2.2, absolute-form."""
_OF_CONNECTION: Final = re.compile(rb"\r\n(?:connection|keep-alive|proxy-[a-z-]+):[^\r]*(?=\r\n)", re.IGNORECASE)
_CLOSE: Final = b"\r\nConnection: close\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NotAllowed(Exception):
    """An endpoint that the policy refuses. The message says host, address and way out."""


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Addresses as the system finds them; OSError when there is none."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


async def checked(policy: Policy, host: str, port: int, lookup: Lookup = system_lookup) -> Sequence[str]:
    """Addresses of a host that may be connected to; NotAllowed when there is none but others."""
    found = await lookup(host, port)
    if policy.trusts(host) or policy.of_cloud(host):
        return found
    refusals = {a: policy.address_refusal(ipaddress.ip_address(a.partition("%")[0])) for a in found}
    good = [address for address, refusal in refusals.items() if refusal is None]
    if not good:
        raise NotAllowed(
            f"{host} is not allowed: {'; '.join(r for r in refusals.values() if r) or 'it has no address'}"
        )
    return good


@dataclass(frozen=True, slots=True)
class _Asked:
    """Where a connection is to lead. request: what is said there first; "" when it is the client's from there on."""

    host: str
    port: int
    request: bytes = b""

    @classmethod
    def of(cls, head: bytes) -> Self | None:
        """Of what a client says first; None when that is nothing that is done here."""
        if found := _CONNECT.match(head):
            return cls(found[1].decode(), int(found[2]))
        if (found := _PLAIN.match(head)) is None:
            return None
        method, host, port, path, query = found.groups()
        line = b"%b %b HTTP/1.1\r\n" % (method, path or b"/" + (query or b""))
        return cls(host.decode(), int(port or 80), _last(line + head[found.end() :]))


def _last(head: bytes) -> bytes:
    """A head of the last message of a connection, without what was for one hop."""
    return _OF_CONNECTION.sub(b"", head).removesuffix(b"\r\n\r\n") + _CLOSE


class Guard:
    """The door, open between `start` and `close`. Only who has its URL gets through.

    refused: what was said to hosts that were not let through, by host.
    """

    def __init__(self, policy: Policy, lookup: Lookup = system_lookup) -> None:
        self._policy = policy
        self._lookup = lookup
        self._key = secrets.token_urlsafe(16)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.refused: dict[str, str] = {}

    async def start(self) -> str:
        """Listen on loopback; the URL to give to a library as its proxy."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_PIECE)
        port = self._server.sockets[0].getsockname()[1]
        return f"http://kaas:{self._key}@127.0.0.1:{port}"

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), CONNECT_SECONDS)
        asked = _Asked.of(head)
        if asked is None or not self._known(head):
            writer.write(_answer("407 Proxy Authentication Required" if asked else "405 Method Not Allowed"))
            return
        try:
            there = await self._connected(asked)
        except NotAllowed as refusal:
            self.refused[asked.host] = str(refusal)
            writer.write(_answer("403 Forbidden"))
            return
        except (OSError, TimeoutError):
            writer.write(_answer("502 Bad Gateway"))
            return
        if asked.request:
            await _forward(asked.request, (reader, writer), there)
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _relay((reader, writer), there)

    def _known(self, head: bytes) -> bool:
        token = base64.b64encode(f"kaas:{self._key}".encode())
        found = re.search(rb"\r\nproxy-authorization: *basic ([^\r]+)\r\n", head, re.IGNORECASE)
        return found is not None and secrets.compare_digest(found[1].strip(), token)

    async def _connected(self, asked: _Asked) -> Streams:
        """A connection to the first checked address that takes one."""
        host, port = asked.host, asked.port
        if asked.request and (refusal := self._policy.refusal("http", host)):
            raise NotAllowed(f"{host} is not allowed: {refusal}")
        last: OSError | TimeoutError | None = None
        for address in await checked(self._policy, host, port, self._lookup):
            try:
                return await asyncio.wait_for(asyncio.open_connection(address, port, limit=_PIECE), CONNECT_SECONDS)
            except (OSError, TimeoutError) as error:
                last = error
        raise last or OSError(f"{host} has no address")


def _answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


async def _relay(here: Streams, there: Streams) -> None:
    """Hand on what comes from either side until one has ended."""
    await _until_one_ends(there, _pump(here[0], there[1]), _pump(there[0], here[1]))


async def _forward(request: bytes, here: Streams, there: Streams) -> None:
    """Make a request, and hand on its answer; nothing else that the client says goes there."""
    there[1].write(request)
    await _until_one_ends(there, here[0].read(1), _answered(there[0], here[1]))


async def _answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_last(await reader.readuntil(b"\r\n\r\n")))
    await _pump(reader, writer)


async def _until_one_ends(there: Streams, *work: Coroutine[object, object, object]) -> None:
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        there[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
