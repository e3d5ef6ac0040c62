"""A server that plays S3 as badly as a test wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from kaas.loader.address import parse
from kaas.loader.source import Source
from kaas.loader.sources.access import Access
from kaas.loader.sources.s3 import S3Source
from tests.unit.web_server import serving

ETAG = "0123456789abcdef0123456789abcdef"
MODIFIED = "Mon, 30 Nov 2026 09:00:00 GMT"


def page(*keys: str, token: str | None = None, **said: Any) -> web.Response:
    """A page of a listing; said: elements instead of the right ones, None for none."""
    elements: dict[str, Any] = {"Name": "bucket", "KeyCount": len(keys), "MaxKeys": 1000, "EncodingType": "url"}
    elements |= {"IsTruncated": "true" if token else "false", "NextContinuationToken": token} | said
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-11-30T09:00:00.000Z</LastModified>"
        f"<ETag>&quot;{ETAG}&quot;</ETag><Size>4</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key in keys
    )
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in elements.items() if value is not None)
    return xml(f"<ListBucketResult>{inner}{contents}</ListBucketResult>")


def xml(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, text=f'<?xml version="1.0"?>{text}', content_type="application/xml", headers=headers
    )


def error(status: int, code: str, headers: Mapping[str, str] | None = None, inner: str = "") -> web.Response:
    return xml(f"<Error><Code>{code}</Code><Message>no</Message>{inner}</Error>", status, headers)


def content(request: web.Request, body: bytes = b"data", etag: str = ETAG) -> web.Response:
    """An object, or the range of it that is asked for."""
    headers = {"ETag": f'"{etag}"', "Last-Modified": MODIFIED}
    asked = request.headers.get("Range", "")
    if not asked:
        return web.Response(body=body, headers=headers)
    first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
    part = body[first : last + 1]
    headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
    return web.Response(status=206, body=part, headers=headers)


@dataclass
class Played:
    """The server's address, and what it was asked."""

    url: str = ""
    asked: list[web.Request] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    async def source(self, address: str = "s3://bucket/", **said: Any) -> S3Source:
        """A source that asks it; waits are noted and not waited."""
        access = Access(**({"endpoint": self.url, "region": "us-east-1"} | said))
        found = S3Source(parse(address), access, self._wait)
        await found.open()
        return found

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)


@asynccontextmanager
async def playing(answer: Callable[[web.Request, int], web.StreamResponse]) -> AsyncIterator[Played]:
    """answer: to a request, by it and its number from 0 on."""
    played = Played()

    async def one(request: web.Request) -> web.StreamResponse:
        played.asked.append(request)
        return answer(request, len(played.asked) - 1)

    async with serving(one) as url:
        played.url = url
        yield played


async def names(source: Source) -> list[str]:
    try:
        return [entry.name async for found in source.pages() for entry in found]
    finally:
        await source.close()
