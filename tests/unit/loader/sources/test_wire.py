"""A connection that is read in the fewest steps: contents come whole, and what is not plain is left to others."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from kaas.loader.sources import wire
from kaas.loader.sources.exactly import PIECE
from kaas.loader.sources.wire import Fits, Odd, Wire
from tests.unit.loader.sources.tls import ALLOWED, INSIDE, Certificate

REQUEST = b"GET /key HTTP/1.1\r\nhost: x\r\n\r\n"
BODY = bytes(range(256)) * (3 * PIECE // 256) + b"end"
CLOSE = b""


def ANY(status: int, headers: dict[str, str]) -> bool:  # noqa: N802 - as a constant
    return True


def ok(body: bytes, extra: str = "") -> bytes:
    return f'HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nETag: "e"\r\n{extra}\r\n'.encode() + body


@dataclass
class Server:
    """Gives one answer to each request, in its pieces. connections: how many were made; go_on: before a last piece."""

    answers: list[Sequence[bytes]]
    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while self.answers:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                self.asked.put_nowait(None)
                for piece in self.answers.pop(0):
                    if piece == CLOSE:
                        await self.go_on.wait()
                        return writer.close()
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
            await self.go_on.wait()
        writer.close()


@contextlib.asynccontextmanager
async def serving(
    *answers: Sequence[bytes], address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server(list(answers))
    listening = await asyncio.start_server(server.serve, address, 0, ssl=tls)
    server.url = f"{'https' if tls else 'http'}://{address}:{listening.sockets[0].getsockname()[1]}/base/"
    try:
        yield server
    finally:
        server.go_on.set()
        listening.close()


def whole(there: Wire, length: int) -> bytes:
    return b"".join(map(bytes, there.get(REQUEST, length, ANY).pieces))


async def in_thread(*work: Callable[[], object]) -> list[object]:
    """What each gives, one after the other in one thread: connections are a thread's."""
    return await asyncio.to_thread(lambda: [one() for one in work])


@pytest.mark.parametrize("size", [1, 1000, PIECE, len(BODY)])
async def test_contents_of_every_size_come_over_one_connection(size: int) -> None:
    body = BODY[:size]
    cut = len(ok(body)) // 3
    async with serving([ok(body)], [ok(body)[:20], ok(body)[20:]], [ok(body)[:cut], ok(body)[cut:]]) as server:
        there = Wire(server.url, "")
        assert await in_thread(*[lambda: whole(there, size)] * 3) == [body] * 3
        assert server.connections == 1
        assert server.requests == [REQUEST] * 3
        assert (there.host, there.path) == (server.url.split("/")[2], "/base")


async def test_what_is_told_of_a_content() -> None:
    sums = "x-amz-checksum-crc32: AAAAAA==\r\nX-Amz-Checksum-Type: FULL_OBJECT\r\nServer: x\r\n"
    async with serving([ok(b"data", sums)]) as server:
        [answer] = await in_thread(lambda: Wire(server.url, "").get(REQUEST, 4, ANY))
        assert isinstance(answer, wire.Answer)
        assert answer.status == 200
        assert answer.headers == {
            "content-length": "4",
            "etag": '"e"',
            "x-amz-checksum-crc32": "AAAAAA==",
            "x-amz-checksum-type": "FULL_OBJECT",
        }


ODD = {
    "a long refusal": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 99999\r\n\r\ndata",
    "a refusal that is the last": b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 4\r\n\r\ndata",
    "more than a refusal": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\ndata",
    "another length": ok(b"dat"),
    "no length": b"HTTP/1.1 200 OK\r\n\r\ndata",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\ndata",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\r\n",
    "more than it says": ok(b"data") + b"more",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no HTTP": b"SSH-2.0-x\r\n\r\n",
    "no end of its head": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000,
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
async def test_what_is_not_plain_is_odd(answer: bytes) -> None:
    """And the connection is not used for the next one, whatever may still come on it."""
    async with serving([answer], [ok(b"data")]) as server:
        there = Wire(server.url, "")
        with pytest.raises(Odd):
            await asyncio.to_thread(whole, there, 4)
        assert await asyncio.to_thread(whole, there, 4) == b"data"
        assert server.connections == 2


REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\ndata"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.9/\r\nContent-Length: 4\r\n\r\ndata"


def odd_in(there: Wire, fits: Fits = ANY) -> Odd:
    with pytest.raises(Odd) as odd:
        there.get(REQUEST, 4, fits)
    return odd.value


async def test_a_thread_goes_on_after_what_was_odd() -> None:
    """And after a short refusal over the same connection: it costs no other."""
    async with serving([REFUSAL], [REDIRECT], [ODD["chunks"]], [ok(b"data")]) as server:
        there = Wire(server.url, "")
        found = await in_thread(*[lambda: odd_in(there)] * 3, lambda: whole(there, 4))
        assert found[3] == b"data"
        assert server.connections == 2


async def test_what_does_not_fit() -> None:
    async with serving([ok(b"data")], [ok(b"data")]) as server:
        there, seen = Wire(server.url, ""), list[object]()

        def other(status: int, headers: dict[str, str]) -> bool:
            seen.append((status, headers["etag"]))
            return False

        found = await in_thread(lambda: odd_in(there, other), lambda: whole(there, 4))
        assert found[1] == b"data"
        assert seen == [(200, '"e"')]
        assert server.connections == 2


@pytest.mark.parametrize(("said", "wait"), [("", ""), ("Retry-After: 7 \r\n", "7")])
async def test_a_server_that_wants_to_be_asked_later(said: str, wait: str) -> None:
    """It is neither odd, which would have it asked in another way at once, nor left alone for long."""
    busy = f"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n{said}\r\n".encode()
    async with serving(*[[busy]] * (wire.MOST_ODD + 1)) as server:
        there = Wire(server.url, "")
        found = await in_thread(*[lambda: odd_in(there)] * (wire.MOST_ODD + 1))
        assert {(odd.status, odd.wait) for odd in found if isinstance(odd, Odd)} == {(503, wait)}
        assert server.connections == 1
        assert not there.rests


@pytest.mark.parametrize(
    ("url", "host"), [("http://h:80", "h"), ("http://u:p@h:8080/x", "h:8080"), ("http://[::1]:80", "[::1]")]
)
def test_names_of_hosts(url: str, host: str) -> None:
    assert Wire(url, "").host == host


async def test_what_comes_late_is_not_the_next_answer() -> None:
    late, answers = asyncio.Event(), [ok(b"evil"), b""]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok(b"data"))
        await late.wait()
        writer.write(answers.pop(0))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    there, go_on = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", ""), threading.Event()

    def both() -> list[bytes]:
        found = [whole(there, 4)]
        go_on.wait(60)
        return [*found, whole(there, 4)]

    work = asyncio.ensure_future(asyncio.to_thread(both))
    await asyncio.sleep(0.1)
    late.set()
    await asyncio.sleep(0.1)  # for it to arrive: nobody can tell before
    go_on.set()
    assert await work == [b"data", b"data"]
    server.close()


async def test_a_connection_that_was_not_used_for_long_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies between may have forgotten it, and would tell nobody."""
    monkeypatch.setattr(wire, "_KEPT_SECONDS", 0.0)
    async with serving([ok(b"data")], [ok(b"data")]) as server:
        there = Wire(server.url, "")
        assert await in_thread(*[lambda: whole(there, 4)] * 2) == [b"data"] * 2
        assert server.connections == 2


async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    async with serving([ok(b"data"), CLOSE], [ok(b"next")]) as server:
        there, first = Wire(server.url, ""), threading.Event()

        def both() -> list[bytes]:
            found = [whole(there, 4)]
            first.wait(60)
            return [*found, whole(there, 4)]

        work = asyncio.ensure_future(asyncio.to_thread(both))
        await server.asked.get()
        server.go_on.set()
        await asyncio.sleep(0.05)  # for the end to arrive; the outcome is the same without
        first.set()
        assert await work == [b"data", b"next"]


async def test_a_content_that_nobody_wants_any_more() -> None:
    async with serving([ok(BODY)], [ok(BODY)], [ok(b"data")]) as server:
        there = Wire(server.url, "")

        def never_read() -> None:
            there.get(REQUEST, len(BODY), ANY)

        def left_in_the_middle() -> None:
            next(there.get(REQUEST, len(BODY), ANY).pieces)

        found = await in_thread(never_read, left_in_the_middle, lambda: whole(there, 4))
        assert found[2] == b"data"
        assert server.connections == 3


async def test_a_server_that_ends_each_connection() -> None:
    answer = ok(b"data", "Connection: close\r\n")
    async with serving([answer], [answer]) as server:
        there = Wire(server.url, "")
        assert await in_thread(*[lambda: whole(there, 4)] * 2) == [b"data"] * 2
        assert server.connections == 2


async def test_a_content_that_is_cut_off() -> None:
    async with serving([ok(BODY)[:-1], CLOSE]) as server:
        server.go_on.set()
        with pytest.raises(OSError, match="closed before its end"):
            await asyncio.to_thread(whole, Wire(server.url, ""), len(BODY))


async def test_no_server(unused_tcp_port: int) -> None:
    with pytest.raises(Odd):
        await asyncio.to_thread(whole, Wire(f"http://127.0.0.1:{unused_tcp_port}", ""), 4)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", ok(BODY)[:-1]])
async def test_a_server_that_says_no_more(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", 0.1)
    async with serving([said, CLOSE] if said else [CLOSE]) as server:
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(whole, Wire(server.url, ""), len(BODY))


@pytest.mark.parametrize("begin", [b"", ok(BODY)[:200]])
async def test_an_answer_that_trickles(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", 0.3)

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(begin)
            while True:
                await asyncio.sleep(0.02)
                writer.write(b"x")
                await writer.drain()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(TimeoutError, match="too slowly"):
        await asyncio.to_thread(whole, Wire(url, ""), len(BODY))
    server.close()


async def test_a_server_that_is_always_odd_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Sequence[bytes]] = [[ODD["chunks"]]] * wire.MOST_ODD
    async with serving(*answers, [ok(b"data")], *answers) as server:
        there = Wire(server.url, "")
        monkeypatch.setattr(wire, "REST_SECONDS", 0.0)
        await _odd(there, wire.MOST_ODD)
        assert not there.rests  # that while is over
        assert await asyncio.to_thread(whole, there, 4) == b"data"
        monkeypatch.setattr(wire, "REST_SECONDS", 3600.0)
        await _odd(there, wire.MOST_ODD - 1)
        assert not there.rests
        await _odd(there, 1)
        assert there.rests


async def _odd(there: Wire, count: int) -> None:
    for _ in range(count):
        with pytest.raises(Odd):
            await asyncio.to_thread(whole, there, 4)


async def test_threads_that_wait_end_with_it() -> None:
    async with serving([CLOSE], [ok(BODY)[:-1], CLOSE]) as server:
        there = Wire(server.url, "")
        waiting: list[Awaitable[bytes]] = [
            asyncio.ensure_future(asyncio.to_thread(whole, there, len(BODY))) for _ in range(2)
        ]
        await server.asked.get()
        await server.asked.get()
        there.close()
        found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)
        assert all(isinstance(one, (OSError, Odd)) for one in found)
        with pytest.raises(Odd):
            await asyncio.to_thread(whole, there, 4)
        assert server.connections == 2


@pytest.mark.parametrize("address", [ALLOWED, INSIDE])
async def test_tls(certificate: Certificate, address: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain)
    async with serving([ok(BODY)], [ok(b"data")], address=address, tls=context) as server:
        there = Wire(server.url, str(certificate.ca))
        assert await in_thread(lambda: whole(there, len(BODY)), lambda: whole(there, 4)) == [BODY, b"data"]
        assert server.connections == 1


@pytest.mark.parametrize(("address", "trusted"), [(ALLOWED, False), ("127.0.0.4", True)])
async def test_a_server_that_is_not_who_it_should_be(certificate: Certificate, address: str, trusted: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain)
    from botocore.httpsession import get_cert_path  # noqa: PLC0415 - slow to import

    async with serving([ok(b"data")], address=address, tls=context) as server:
        there = Wire(server.url, str(certificate.ca) if trusted else get_cert_path(True))
        with pytest.raises(Odd, match="certificate verify failed"):
            await asyncio.to_thread(whole, there, 4)
        assert not server.requests
