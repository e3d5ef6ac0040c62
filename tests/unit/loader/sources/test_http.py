"""One file of a web server: with ranges and without, moved, changed, and none at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from aiohttp import web

from kaas.loader.address import parse
from kaas.loader.source import Algorithm, Changed, Denied, Entry, NotThere, Refused, SourceError, Unreachable
from kaas.loader.sources.access import Access
from kaas.loader.sources.http import HTTPSource
from kaas.loader.sources.policy import Policy
from tests.unit.web_server import Answer, serving

DATA = bytes(range(256)) * 40
MODIFIED = "Mon, 30 Nov 2026 09:00:00 GMT"


async def quick(_: float) -> None:
    """Wait for nothing."""


def ranged(request: web.Request, data: bytes = DATA, **headers: str) -> web.Response:
    """A server with ranges."""
    asked = request.headers.get("Range")
    if not asked or request.headers.get("If-Range", headers.get("ETag")) != headers.get("ETag"):
        return web.Response(body=data, headers=headers)
    first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
    if first >= len(data):
        return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{len(data)}"})
    part = data[first : last + 1]
    span = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"}
    return web.Response(status=206, body=part, headers=headers | span)


def answering(make: Callable[[web.Request], web.StreamResponse]) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return make(request)

    return answer


async def found(source: HTTPSource) -> Entry:
    ((entry,),) = [page async for page in source.pages()]
    return entry


def at(url: str, access: Access | None = None) -> HTTPSource:
    return HTTPSource(parse(f"{url}/d/a%20b.bin"), access or Access(), quick)


async def test_a_file_with_ranges() -> None:
    async with serving(answering(lambda r: ranged(r, ETag='"v1"', Digest="sha-256=" + "A" * 43 + "="))) as url:
        source = at(url)
        entry = await found(source)
        assert (entry.name, entry.size, entry.version) == ("a b.bin", len(DATA), '"v1"')
        assert entry.checksum is not None
        assert entry.checksum.algorithm is Algorithm.SHA256
        parts = await asyncio.gather(*(source.read(entry, start, 512) for start in range(0, len(DATA), 512)))
        assert b"".join(map(bytes, parts)) == DATA
        assert bytes(await source.read(entry, 0, entry.size)) == DATA
        await source.close()


async def test_a_server_without_ranges_is_read_once_from_end_to_end() -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Range", ""))
        return web.Response(body=DATA, headers={"Last-Modified": MODIFIED})

    async with serving(answering(answer)) as url:
        source = at(url)
        entry = await found(source)
        assert entry.version == MODIFIED
        parts = await asyncio.gather(*(source.read(entry, start, 1024) for start in range(0, len(DATA), 1024)))
        assert b"".join(map(bytes, parts)) == DATA
        assert asked == ["bytes=0-0", ""]
        assert bytes(await source.read(entry, 2048, 10)) == DATA[2048:2058]
        assert bytes(await source.read(entry, 100, 10)) == DATA[100:110]
        assert asked == ["bytes=0-0", "", "", ""]
        await source.close()


async def test_an_empty_file() -> None:
    async with serving(answering(lambda r: ranged(r, b"", ETag='"v1"'))) as url:
        source = at(url)
        entry = await found(source)
        assert entry.size == 0
        assert bytes(await source.read(entry, 0, 0)) == b""
        await source.close()


async def test_a_file_that_changes_is_noticed() -> None:
    version = ['"v1"']
    async with serving(answering(lambda r: ranged(r, ETag=version[0]))) as url:
        source = at(url)
        entry = await found(source)
        version[0] = '"v2"'
        for start, length in ((0, entry.size), (5, 5)):
            with pytest.raises(Changed, match="not what was found"):
                await source.read(entry, start, length)
        await source.close()


async def test_redirects_are_followed_and_checked() -> None:
    def answer(request: web.Request) -> web.Response:
        if request.path.startswith("/d/"):
            return web.Response(status=302, headers={"Location": "/cdn/x?token=hunter2"})
        return ranged(request, ETag='"v1"')

    async with serving(answering(answer)) as url:
        source = at(url, Access(policy=Policy.parse(["127.0.0.1/32"])))
        entry = await found(source)
        assert entry.name == "a b.bin"
        assert bytes(await source.read(entry, 1, 5)) == DATA[1:6]
        await source.close()


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://169.254.169.254/latest/meta-data/", "no address of the public internet"),
        ("https://10.0.0.1/secret", "no address of the public internet"),
        ("http://example.com/x", "without TLS"),
        ("https://inside.example/x", "inside.example is not allowed"),
        ("file:///etc/passwd", "no web server"),
        ("http://[192.0.2.9]/", "redirected to what is no URL"),
        ("//[::1", "redirected to what is no URL"),
        ("/d/a%20b.bin", "redirected more than 5 times"),
    ],
)
async def test_redirects_that_lead_inside(location: str, said: str) -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return ["10.96.0.1"]

    async with serving(answering(lambda _: web.Response(status=302, headers={"Location": location}))) as url:
        access = Access(policy=Policy.parse(["127.0.0.1/32"]))
        source = HTTPSource(parse(f"{url}/x"), access, quick, lookup)
        with pytest.raises(Refused, match=said):
            await found(source)
        await source.close()


OUTCOMES: list[tuple[int, type[SourceError]]] = [
    (404, NotThere),
    (410, Refused),
    (401, Denied),
    (403, Denied),
    (429, Unreachable),
    (500, Unreachable),
    (503, Unreachable),
]


@pytest.mark.parametrize(("status", "kind"), OUTCOMES)
async def test_outcomes(status: int, kind: type[SourceError]) -> None:
    async with serving(answering(lambda _: web.Response(status=status))) as url:
        source = at(url)
        with pytest.raises(kind, match=f"{url}/d/a%20b.bin.*{status}"):
            await found(source)
        await source.close()


async def test_a_file_that_does_not_say_its_length() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(DATA)
        return response

    async with serving(answer) as url:
        source = at(url)
        with pytest.raises(Refused, match="does not say how long"):
            await found(source)
        await source.close()


async def test_another_range_than_was_asked_for() -> None:
    def answer(request: web.Request) -> web.Response:
        span = {"ETag": '"v1"', "Content-Range": f"bytes 0-99/{len(DATA)}"}
        return web.Response(status=206, body=DATA[:100], headers=span)

    async with serving(answering(answer)) as url:
        source = at(url)
        entry = await found(source)
        assert bytes(await source.read(entry, 0, 100)) == DATA[:100]
        with pytest.raises(Unreachable, match="another range came"):
            await source.read(entry, 100, 100)
        await source.close()


async def test_a_body_that_is_cut_off() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Range") == "bytes=0-0":
            return ranged(request, ETag='"v1"')
        response = web.StreamResponse(
            status=206, headers={"ETag": '"v1"', "Content-Range": f"bytes 0-99/{len(DATA)}", "Content-Length": "100"}
        )
        await response.prepare(request)
        await response.write(b"x" * 50)
        assert request.transport
        request.transport.abort()
        return response

    async with serving(answer) as url:
        source = at(url)
        entry = await found(source)
        with pytest.raises(Unreachable):
            await source.read(entry, 0, 100)
        await source.close()


async def test_a_host_that_leads_inside() -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    source = HTTPSource(parse("https://files.example.com/x"), Access(policy=Policy()), quick, lookup)
    with pytest.raises(Refused, match=r"files\.example\.com is not allowed: 127\.0\.0\.1"):
        await found(source)
    await source.close()


async def test_nobody_answers() -> None:
    source = HTTPSource(parse("http://127.0.0.1:1/x"), Access(), quick)
    with pytest.raises(Unreachable, match="ClientConnectorError"):
        await found(source)
    await source.close()
