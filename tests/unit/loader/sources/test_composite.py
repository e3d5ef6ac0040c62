"""Sums of sums that S3 has of objects that came in parts: with the lengths of the parts, however those are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from aiohttp import web

from kaas.loader.source import Algorithm, Checksum, Entry
from tests.unit.loader.sources.s3_played import ETAG, playing

SIZE = 25
VERSION = f"{ETAG}-3"
ENTRY = Entry("key", "key", SIZE, VERSION)
CRC32C = Checksum(Algorithm.CRC32C, "00000000")


def answering(parts: Sequence[int], knows_parts: bool = True) -> Callable[[web.Request, int], web.Response]:
    """A server with one object, which came in parts of these lengths."""

    def answer(request: web.Request, _: int) -> web.Response:
        number = int(request.query.get("partNumber", 0)) if knows_parts else 0
        length = parts[number - 1] if number else SIZE
        said = {"ETag": f'"{VERSION}"', "x-amz-checksum-crc32c": "AAAAAA==-3", "x-amz-checksum-type": "COMPOSITE"}
        return web.Response(body=bytes(length), headers=said)

    return answer


@pytest.mark.parametrize(
    ("parts", "knows_parts", "found", "asked"),
    [
        ((10, 10, 5), True, (10, 10, 5), ["", "1"]),
        ((5, 10, 10), True, (5, 10, 10), ["", "1", "1", "2", "3"]),
        ((10, 10, 10), False, None, ["", "1"]),
        ((5, 5, 5), True, None, ["", "1", "1", "2", "3"]),
        ((0, 0, 0), True, None, ["", "1"]),
    ],
    ids=["alike", "not alike", "a server without parts", "parts of another object", "nonsense"],
)
async def test_lengths_of_parts_are_asked_for(
    parts: Sequence[int], knows_parts: bool, found: tuple[int, ...] | None, asked: list[str]
) -> None:
    async with playing(answering(parts, knows_parts)) as s3:
        source = await s3.source()
        expected = Checksum(CRC32C.algorithm, CRC32C.value, found) if found else None
        assert await source.checksum(ENTRY) == expected
        assert sorted(request.query.get("partNumber", "") for request in s3.asked) == sorted(asked)
        await source.close()


async def test_parts_that_only_seem_alike_are_measured() -> None:
    async with playing(answering((10, 5, 10))) as s3:
        source = await s3.source()
        taken = await source.checksum(ENTRY)
        assert taken is not None
        assert taken.parts == (10, 10, 5)
        measured = await source.measured(ENTRY, taken)
        assert measured == Checksum(taken.algorithm, taken.value, (10, 5, 10))
        await source.close()
