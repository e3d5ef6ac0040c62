"""The guard: who connects through it, where to, and that a name cannot lead somewhere else a moment later."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from kaas.loader.sources.guard import Guard, NotAllowed, checked
from kaas.loader.sources.policy import Policy

HERE = Policy.parse(["127.0.0.2/32"])


def lookup_of(**hosts: list[str]) -> tuple[list[str], object]:
    asked: list[str] = []

    async def lookup(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        found = hosts[host.replace(".", "_").replace("-", "_")]
        return [found.pop(0)] if len(found) > 1 else found

    return asked, lookup


@asynccontextmanager
async def echo(address: str) -> AsyncIterator[int]:
    """A server that says its address and then what it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(address.encode() + b"\n")
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, address, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def through(
    proxy: str, target: str, *, key: str | None = None
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(proxy)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    token = base64.b64encode((key or f"{parts.username}:{parts.password}").encode()).decode()
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {token}\r\n\r\n".encode())
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10), reader, writer


async def test_it_connects_to_what_is_allowed_and_hands_on_all_bytes() -> None:
    _, lookup = lookup_of(bucket_example=["127.0.0.2"])
    guard = Guard(HERE, lookup)  # type: ignore[arg-type]
    async with echo("127.0.0.2") as port:
        proxy = await guard.start()
        status, reader, writer = await through(proxy, f"bucket.example:{port}")
        assert b" 200 " in status
        assert await reader.readline() == b"127.0.0.2\n"
        data = bytes(range(256)) * 8192
        writer.write(data)
        assert await asyncio.wait_for(reader.readexactly(len(data)), 20) == data
        writer.close()
        await guard.close()
    assert not guard.refused


INSIDE = ["inside.example:80", "169.254.169.254:80", "[::1]:80", "127.0.0.1:80", "[::ffff:127.0.0.1]:80"]


@pytest.mark.parametrize("target", INSIDE)
async def test_it_refuses_what_is_inside(target: str) -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return ["10.96.0.1"] if host == "inside.example" else [host.strip("[]")]

    guard = Guard(HERE, lookup)
    status, _, writer = await through(await guard.start(), target)
    assert b" 403 " in status
    assert "is no address of the public internet" in next(iter(guard.refused.values()))
    writer.close()
    await guard.close()


async def test_a_name_that_leads_elsewhere_later_is_refused_then() -> None:
    """DNS rebinding: each connection is made to the address that was looked at for it."""
    asked, lookup = lookup_of(bucket_example=["127.0.0.2", "127.0.0.1", "127.0.0.1"])
    guard = Guard(HERE, lookup)  # type: ignore[arg-type]
    async with echo("127.0.0.2") as port:
        proxy = await guard.start()
        status, reader, writer = await through(proxy, f"bucket.example:{port}")
        assert await reader.readline() == b"127.0.0.2\n"
        assert asked == ["bucket.example"]
        again, _, other = await through(proxy, f"bucket.example:{port}")
        assert (b" 200 " in status, b" 403 " in again) == (True, True)
        writer.close()
        other.close()
        await guard.close()


async def test_only_the_allowed_ones_of_several_addresses_are_used() -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1", "127.0.0.2", "10.0.0.1"]

    assert await checked(HERE, "bucket.example", 443, lookup) == ["127.0.0.2"]
    with pytest.raises(NotAllowed, match=r"bucket\.example is not allowed: 127\.0\.0\.1 is no address"):
        await checked(Policy(), "bucket.example", 443, lookup)
    assert len(await checked(Policy.parse(["bucket.example"]), "bucket.example", 443, lookup)) == 3


async def test_nobody_else_gets_through() -> None:
    _, lookup = lookup_of(bucket_example=["127.0.0.2"])
    guard = Guard(HERE, lookup)  # type: ignore[arg-type]
    proxy = await guard.start()
    status, _, writer = await through(proxy, "bucket.example:443", key="kaas:wrong")
    assert b" 407 " in status
    writer.close()
    await guard.close()


OTHER = [
    b"CONNECT / HTTP/1.1",
    b"CONNECT a b:1 HTTP/1.1",
    b"\x16\x03\x01",
    b"GET / HTTP/1.1",
    b"GET https://127.0.0.2/ HTTP/1.1",
    b"GET http://a@127.0.0.2/ HTTP/1.1",
    b"GET http://127.0.0.2/a b HTTP/1.1",
    b"POST http://127.0.0.2/ HTTP/1.1",
]


@pytest.mark.parametrize("line", OTHER)
async def test_it_does_nothing_but_connect_and_read(line: bytes) -> None:
    guard = Guard(HERE)
    parts = urlsplit(await guard.start())
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(line + b"\r\n\r\n")
    assert b" 405 " in await asyncio.wait_for(reader.read(200), 10)
    writer.close()
    await guard.close()


async def asked(proxy: str, url: str, *, key: str | None = None) -> bytes:
    """All that is answered to a request without TLS."""
    parts = urlsplit(proxy)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    token = base64.b64encode((key or f"{parts.username}:{parts.password}").encode()).decode()
    writer.write(f"GET {url} HTTP/1.1\r\nProxy-Authorization: Basic {token}\r\n\r\n".encode())
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@asynccontextmanager
async def keeping(address: str) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers each request with what it was asked, and never closes a connection."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\ndata")
        writer.close()

    server = await asyncio.start_server(serve, address, 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


@pytest.mark.parametrize(("path", "there"), [("/a?b=c", "/a?b=c"), ("?b", "/?b"), ("", "/")])
async def test_a_request_without_tls_is_handed_on_and_is_the_last_one(path: str, there: str) -> None:
    """A client may use a connection to a proxy again for another host."""
    guard = Guard(HERE)
    proxy = await guard.start()
    parts = urlsplit(proxy)
    async with keeping("127.0.0.2") as (port, heads):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        token = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        request = (
            f"GET http://127.0.0.2:{port}{path} HTTP/1.1\r\nHost: h\r\nproxy-authorization: Basic {token}\r\n"
            "Proxy-Connection: keep-alive\r\nconnection: keep-alive\r\nX-Of: me\r\n\r\n"
        ).encode()
        writer.write(request)
        answer = await asyncio.wait_for(reader.readuntil(b"data"), 10)
        assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndata"
        writer.write(request)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert heads == [f"GET {there} HTTP/1.1\r\nHost: h\r\nX-Of: me\r\nConnection: close\r\n\r\n".encode()]
        writer.close()
        await guard.close()


NOT_PLAIN = {
    "http://bucket.example/": "is asked without TLS",  # it leads to what is allowed, but others hear
    "http://s3.amazonaws.com/": "is asked without TLS",
    "http://127.0.0.1/": "127.0.0.1 is no address of the public internet",
    "http://169.254.169.254/": "169.254.169.254 is no address of the public internet",
    "http://[::ffff:127.0.0.1]/": "127.0.0.1 is no address of the public internet",
    "http://1.1.1.1/": "is asked without TLS",
}


@pytest.mark.parametrize(("url", "said"), NOT_PLAIN.items())
async def test_what_may_not_be_asked_without_tls(url: str, said: str) -> None:
    _, lookup = lookup_of(bucket_example=["127.0.0.2"])
    guard = Guard(HERE, lookup)  # type: ignore[arg-type]
    assert b" 403 " in await asked(await guard.start(), url)
    assert said in next(iter(guard.refused.values()))
    await guard.close()


async def test_nobody_else_asks_through_it() -> None:
    guard = Guard(HERE)
    async with keeping("127.0.0.2") as (port, heads):
        proxy = await guard.start()
        assert b" 407 " in await asked(proxy, f"http://127.0.0.2:{port}/", key="kaas:wrong")
        assert not heads
        await guard.close()


async def test_a_server_that_is_away() -> None:
    _, lookup = lookup_of(bucket_example=["127.0.0.2"])
    guard = Guard(HERE, lookup)  # type: ignore[arg-type]
    async with echo("127.0.0.2") as port:
        pass
    status, _, writer = await through(await guard.start(), f"bucket.example:{port}")
    assert b" 502 " in status
    assert not guard.refused
    writer.close()
    await guard.close()
