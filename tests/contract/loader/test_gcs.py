"""Cloud Storage as a source, on a server that plays it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import awscrt.checksums as crt
import pytest
from aiohttp import web
from yarl import URL

from kaas.loader.source import Algorithm, Changed, Checksum, Denied, NotThere
from kaas.loader.sources.access import Access
from tests.contract.loader.buckets import BUCKET, NO_NAMES, ODD, content, listed, opened, whole
from tests.contract.loader.conftest import GCS
from tests.unit.web_server import serving


def put(gcs: GCS, *keys: str) -> None:
    for key in keys:
        gcs.bucket.blob(key).upload_from_string(content(key))


@asynccontextmanager
async def complete(gcs: GCS) -> AsyncIterator[tuple[str, list[str]]]:
    """The server with what Cloud Storage does and it does not; and paths of what was read as obstore reads."""
    read: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        headers = {n: v for n, v in request.headers.items() if n.lower() not in {"host", "content-length"}}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, URL(gcs.url + request.raw_path, encoded=True), headers=headers) as reply,
        ):
            body = await reply.read()
            kept = {n: v for n, v in reply.headers.items() if n.lower() in {"content-range", "content-type", "etag"}}
        if request.path.startswith(f"/{BUCKET}/"):
            read.append(request.path)
            blob = await asyncio.to_thread(gcs.bucket.get_blob, request.path.removeprefix(f"/{BUCKET}/"))
            if blob is None or request.query.get("generation", str(blob.generation)) != str(blob.generation):
                return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
            kept |= {"Last-Modified": "Mon, 30 Nov 2026 09:00:00 GMT", "x-goog-generation": str(blob.generation)}
            kept["ETag"] = f'"{blob.generation}"'
        return web.Response(status=reply.status, body=body, headers=kept)

    async with serving(answer) as url:
        yield url, read


def access(url: str) -> Access:
    return Access(endpoint=url, anonymous=True)


async def test_every_odd_key_is_listed_and_read(gcs: GCS) -> None:
    keys = {*ODD, *NO_NAMES}
    await asyncio.to_thread(put, gcs, *keys)
    async with opened(f"gs://{BUCKET}", access(gcs.url)) as source:
        found = await listed(source)
        assert {entry.name for entry in found} == keys
        for entry in found:
            assert await whole(source, entry) == content(entry.key), entry
            assert bytes(await source.read(entry, 1, entry.size - 2)) == entry.key.encode()


async def test_it_is_read_by_obstore_where_that_can(gcs: GCS) -> None:
    keys = {*ODD, *NO_NAMES}
    await asyncio.to_thread(put, gcs, *keys)
    async with complete(gcs) as (url, read), opened(f"gs://{BUCKET}", access(url)) as source:
        for entry in await listed(source):
            assert await whole(source, entry) == content(entry.key), entry
            assert bytes(await source.read(entry, 1, entry.size - 2)) == entry.key.encode()
    assert {path.removeprefix(f"/{BUCKET}/") for path in read} == set(ODD)


async def test_zero_bytes_and_markers(gcs: GCS) -> None:
    for key in ("empty", "dir/", "dir/sub/"):
        gcs.bucket.blob(key).upload_from_string(b"")
    async with opened(f"gs://{BUCKET}", access(gcs.url)) as source:
        assert {(e.name, e.size) for e in await listed(source)} == {("empty", 0), ("dir/", 0), ("dir/sub/", 0)}
    async with opened(f"gs://{BUCKET}/dir/", access(gcs.url)) as source:
        assert [e.name for e in await listed(source)] == ["sub/"]


async def test_a_prefix_ends_at_a_slash(gcs: GCS) -> None:
    put(gcs, "models/foo", "models/foo/a", "models/foobar/b")
    async with opened(f"gs://{BUCKET}/models/foo/", access(gcs.url)) as source:
        assert [e.name for e in await listed(source)] == ["a"]
    async with opened(f"gs://{BUCKET}/models/foo", access(gcs.url)) as source:
        (entry,) = await listed(source)
        assert (entry.key, entry.name) == ("models/foo", "foo")


async def test_the_crc32c_of_each_object_is_in_the_listing(gcs: GCS) -> None:
    put(gcs, "x")
    async with opened(f"gs://{BUCKET}", access(gcs.url)) as source:
        (entry,) = await listed(source)
        assert entry.checksum == Checksum(Algorithm.CRC32C, f"{crt.crc32c(content('x')):08x}")
        assert await source.checksum(entry) == entry.checksum


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"gs://{BUCKET}/dir", "is no object but a directory: write gs://bucket/dir/"),
        (f"gs://{BUCKET}/nothing", "there is no such object"),
        (f"gs://{BUCKET}/nothing/", "there is nothing in it"),
        ("gs://other-bucket/", "there is no such bucket"),
    ],
)
async def test_what_is_not_there(gcs: GCS, address: str, said: str) -> None:
    put(gcs, "dir/x")
    async with opened(address, access(gcs.url)) as source:
        with pytest.raises(NotThere) as error:
            await listed(source)
    assert said in str(error.value)


async def test_an_object_that_is_written_anew_is_noticed(gcs: GCS) -> None:
    put(gcs, "x")
    async with complete(gcs) as (url, _), opened(f"gs://{BUCKET}/", access(url)) as source:
        (entry,) = await listed(source)
        await asyncio.to_thread(gcs.bucket.blob("x").upload_from_string, b"X" * entry.size)
        with pytest.raises(Changed, match="not what was listed"):
            await source.read(entry, 0, entry.size)


async def test_in_a_pod_the_machine_is_nobody(gcs: GCS) -> None:
    with pytest.raises(Denied, match="GOOGLE_APPLICATION_CREDENTIALS"):
        async with opened(f"gs://{BUCKET}", Access(endpoint=gcs.url, pod=True)):
            pass


async def test_an_endpoint_without_a_scheme_is_taken_as_googles_libraries_do(
    gcs: GCS, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(gcs, "x")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url.removeprefix("http://"))
    async with opened(f"gs://{BUCKET}/x", Access(anonymous=True)) as source:
        (entry,) = await listed(source)
        assert await whole(source, entry) == content("x")
