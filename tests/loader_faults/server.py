"""The store: what S3 answers to those who read, with faults in between, and counts of what was asked."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from tests.loader_faults.blobs import Blob

Fault = Callable[["Store", web.Request, str], Awaitable[web.StreamResponse | None]]
"""Answers in place of the store, or changes it and gives None."""
CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Store:
    """Buckets of one server: whatever bucket is asked for has these objects.

    served and gets: bytes and requests of contents by key. watch: called with all bytes served so far, at each chunk.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Blob] = {}
        self.faults: dict[str, deque[Fault]] = {}
        self.listing_faults: deque[Fault] = deque()
        self.served: Counter[str] = Counter()
        self.gets: Counter[str] = Counter()
        self.listings = 0
        self.page = 1000
        self.delay = 0.0
        self.watch: Callable[[int], None] = lambda _: None
        self.url = ""
        self._total = 0

    def fail(self, key: str, *faults: Fault) -> None:
        """Have the next requests for a content fail, one for each fault."""
        self.faults.setdefault(key, deque()).extend(faults)

    def fail_listing(self, *faults: Fault) -> None:
        """Have the next pages of the listing fail."""
        self.listing_faults.extend(faults)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Store]:
        """Listen on a port of the loopback interface."""
        app = web.Application()
        app.router.add_route("*", "/{bucket}{slash:/?}{key:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        key = unquote(request.raw_path.partition("?")[0].lstrip("/").partition("/")[2])
        if not key:
            self.listings += 1
            return await self._faulty(self.listing_faults, request, key) or self.list(request)
        faults = self.faults.get(key, deque()) if request.method == "GET" else deque()
        return await self._faulty(faults, request, key) or await self.get(request, key)

    async def _faulty(self, faults: deque[Fault], request: web.Request, key: str) -> web.StreamResponse | None:
        return await faults.popleft()(self, request, key) if faults else None

    def list(self, request: web.Request, *, more: str = "") -> web.Response:
        """A page of the listing. more: a token to be told, whatever is true."""
        prefix = request.query.get("prefix", "")
        after = request.query.get("continuation-token", "")
        keys = sorted((k for k in self.objects if k.startswith(prefix) and k > after), key=str.encode)
        page, left = keys[: self.page], len(keys) > self.page
        items = "".join(self._item(key) for key in page)
        token = more or (escape(page[-1]) if left else "")
        truncated = "true" if token else "false"
        told = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        return _xml(
            f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated><EncodingType>url</EncodingType>"
            f"<KeyCount>{len(page)}</KeyCount>{told}{items}</ListBucketResult>"
        )

    def _item(self, key: str) -> str:
        found = self.objects[key]
        return (
            f"<Contents><Key>{quote(key)}</Key><Size>{found.size}</Size><ETag>{escape(found.etag)}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        )

    async def get(self, request: web.Request, key: str, found: Blob | None = None) -> web.StreamResponse:
        """A content, or what a HEAD tells of it. found: another object than the one of this key."""
        found = found or self.objects.get(key)
        if found is None:
            return error(404, "NoSuchKey")
        if request.headers.get("If-Match", found.etag) != found.etag:
            return error(412, "PreconditionFailed")
        start, end, status = span(request, found.size)
        response = web.StreamResponse(status=status, headers=self.headers(request, found, start, end))
        response.content_length = end - start
        if request.method == "HEAD":
            return response
        self.gets[key] += 1
        await response.prepare(request)
        await self.body(response, key, found, start, end)
        return response

    def headers(self, request: web.Request, found: Blob, start: int, end: int) -> dict[str, str]:
        """Headers of a content."""
        headers = {"ETag": found.etag, "Accept-Ranges": "bytes", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        if "Range" in request.headers:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        elif found.checksum and request.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers |= {"x-amz-checksum-crc64nvme": found.checksum, "x-amz-checksum-type": "FULL_OBJECT"}
        return headers

    async def body(self, response: web.StreamResponse, key: str, found: Blob, start: int, end: int) -> None:
        """Send bytes of a content, a chunk at a time."""
        while start < end:
            length = min(CHUNK, end - start)
            self.served[key] += length
            self._total += length
            self.watch(self._total)
            await response.write(found.read(start, length))
            start += length
            if self.delay:
                await asyncio.sleep(self.delay)


def span(request: web.Request, size: int) -> tuple[int, int, int]:
    """First byte, the one behind the last, and the status of an answer."""
    wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
    if wanted is None:
        return 0, size, 200
    return int(wanted[1]), min(int(wanted[2] or size) + 1, size), 206


def error(status: int, code: str, **headers: str) -> web.Response:
    """An answer as S3 gives it."""
    return _xml(f"<Error><Code>{code}</Code><Message>played</Message></Error>", status, headers)


def _xml(text: str, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    return web.Response(body=text.encode(), status=status, content_type="application/xml", headers=named)
