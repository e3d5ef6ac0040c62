"""What real servers of buckets hold in these tests, and what a source says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kaas.loader.address import parse
from kaas.loader.source import Entry, Source
from kaas.loader.sources.access import Access
from kaas.loader.sources.opening import open_source

BUCKET = "bucket"

ODD = (
    "a b", "a+b", "a%b", "a%20b", "a#b", "a?b", "a*b", "a&b=c", "a\\b", "a{b}|c", 'a"b', "a<b>", "a[b]", "a:b@c",
    "a;b,c", "ünïcödé/日本/\U0001f600", "nfc-\u00e9", "nfd-e\u0301", "...", "..x", ".hidden", " lead", "trail ",
    "deep/" * 40 + "x",
)  # fmt: skip
"""Keys that are paths, although not of the kind that one likes."""
NO_NAMES = ("a\tb", "a\x7fb", "marker/")
"""Keys that obstore cannot name."""


def content(key: str) -> bytes:
    """Of the object of a key: short, and like no other's."""
    return b"<" + key.encode() + b">"


@asynccontextmanager
async def opened(address: str, access: Access) -> AsyncIterator[Source]:
    source = await open_source(parse(address), access)
    try:
        yield source
    finally:
        await source.close()


async def listed(source: Source) -> list[Entry]:
    return [entry async for page in source.pages() for entry in page]


async def whole(source: Source, entry: Entry) -> bytes:
    return bytes(await source.read(entry, 0, entry.size))
