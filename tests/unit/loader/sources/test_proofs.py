"""Sums that prove a content, as each store is asked for them."""

from __future__ import annotations

import base64
import hashlib

import pytest
from aiohttp import web

from kaas.loader.proof import proof_of
from kaas.loader.source import Algorithm, Changed, Checksum, Entry
from tests.unit.loader.sources import test_gcs_played as gcs
from tests.unit.loader.sources.s3_played import ETAG, error, playing

IN_PARTS = Entry("key", "key", 25, f"{ETAG}-3")


def part(length: int) -> web.Response:
    return web.Response(body=bytes(length), headers={"ETag": f'"{ETAG}-3"', "x-amz-mp-parts-count": "3"})


async def test_the_etag_of_an_object_in_one_part_needs_no_request() -> None:
    async with playing(lambda r, _: error(500, "InternalError")) as s3:
        source = await s3.source()
        assert await source.proof(Entry("key", "key", 4, ETAG)) == Checksum(Algorithm.MD5, ETAG)
        assert await source.proof(Entry("key", "key", 4, "not an MD5")) is None
        assert s3.asked == []
        await source.close()


async def test_of_one_in_parts_the_length_of_the_first_is_asked_for() -> None:
    async with playing(lambda r, _: part(10)) as s3:
        source = await s3.source()
        assert await source.proof(IN_PARTS) == Checksum(Algorithm.MD5, ETAG, (10, 10, 5))
        (asked,) = s3.asked
        assert (asked.method, asked.query["partNumber"]) == ("HEAD", "1")
        await source.close()


async def test_parts_that_do_not_fit_prove_nothing() -> None:
    async with playing(lambda r, _: part(25)) as s3:
        source = await s3.source()
        assert await source.proof(IN_PARTS) is None
        await source.close()


async def test_one_that_is_gone_is_said() -> None:
    async with playing(lambda r, _: error(404, "NoSuchKey")) as s3:
        source = await s3.source()
        with pytest.raises(Changed):
            await source.proof(IN_PARTS)
        await source.close()


@pytest.mark.parametrize("known", [True, False])
async def test_cloud_storage_has_the_md5_of_what_was_not_composed(known: bool) -> None:
    md5 = hashlib.md5(b"data").digest()  # noqa: S324
    said = {"md5Hash": base64.b64encode(md5).decode()} if known else {}
    blob = {"name": "key", "size": "4", "generation": "17", "crc32c": "AAAAAA==", **said}
    async with gcs.playing(lambda r, _: web.json_response(blob)) as played:
        source = await played.source()
        expected = Checksum(Algorithm.MD5, md5.hex()) if known else None
        assert await source.proof(gcs.ENTRY) == expected
        assert played.asked[0].query["generation"] == "17"
        await source.close()


async def test_one_that_is_gone_is_listed_anew() -> None:
    async with gcs.playing(lambda r, _: web.json_response({}, status=404)) as played:
        source = await played.source()
        with pytest.raises(Changed):
            await source.proof(gcs.ENTRY)
        await source.close()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_only_strong_sums_prove_anything(algorithm: Algorithm) -> None:
    found = Checksum(algorithm, "00")
    strong = algorithm in {Algorithm.MD5, Algorithm.SHA1, Algorithm.SHA256}
    assert proof_of(found) == (found if strong else None)
    assert proof_of(None) is None
