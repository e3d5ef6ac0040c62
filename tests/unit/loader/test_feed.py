"""What many workers are given to do, in whatever order things become known."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaas.loader.feed import Feed, Work
from kaas.loader.large import Large
from kaas.loader.ledger import Part
from kaas.loader.source import Entry

SIZE, RANGE = 25, 10


class Listing:
    """Batches that come when they are given."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[list[Entry] | Exception] = asyncio.Queue()

    async def batch(self) -> list[Entry]:
        """The next one."""
        found = await self.batches.get()
        if isinstance(found, Exception):
            raise found
        return found

    def give(self, *sizes: int) -> None:
        """Objects, named as they are large; none for the end."""
        self.batches.put_nowait([Entry(f"k{size}", f"{size}", size, "v") for size in sizes])


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.fixture
def listing() -> Listing:
    return Listing()


@pytest.fixture
def feed(listing: Listing, file: int) -> Feed:
    async def begin(entry: Entry) -> Large | None:
        await asyncio.sleep(0)
        return Large(entry, Part(entry.name, entry.size, "v", RANGE, None), None, file) if entry.size == SIZE else None

    return Feed(listing.batch, RANGE, begin, lambda: 4)


def named(work: Work | None) -> object:
    """Names of small objects, or the number of a range."""
    return work[1] if isinstance(work, tuple) else work and [entry.name for entry in work]


async def taken(feed: Feed, count: int) -> list[object]:
    """What so many workers get who ask at once."""
    async with asyncio.timeout(10):
        return [named(work) for work in await asyncio.gather(*(feed.take() for _ in range(count)))]


async def test_ranges_are_shared_out_while_the_listing_takes_its_time(feed: Feed, listing: Listing) -> None:
    """As where what is there is being compared, for hours."""
    listing.give(SIZE)
    assert sorted(await taken(feed, 3), key=str) == [0, 1, 2]
    assert not feed.ended
    listing.give()
    assert await taken(feed, 2) == [None, None]
    assert feed.ended


async def test_who_waits_gets_what_comes(feed: Feed, listing: Listing) -> None:
    waiting = asyncio.ensure_future(taken(feed, 3))
    for sizes in [(1,), (2,), (3,), ()]:
        await asyncio.sleep(0)
        listing.give(*sizes)
    assert sorted(await waiting, key=str) == [["1"], ["2"], ["3"]]


async def test_who_waits_for_others_that_open_a_file_of_which_nothing_is_left(feed: Feed, listing: Listing) -> None:
    listing.give(SIZE + 1)
    listing.give()
    assert await taken(feed, 3) == [None, None, None]
    assert feed.ended


@pytest.mark.parametrize("waiting", [1, 3])
async def test_all_who_wait_hear_of_a_listing_that_fails(feed: Feed, listing: Listing, waiting: int) -> None:
    asking = [asyncio.ensure_future(feed.take()) for _ in range(waiting)]
    await asyncio.sleep(0)
    listing.batches.put_nowait(OSError("no"))
    async with asyncio.timeout(10):
        found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(error) for error in found] == [OSError] * waiting
    await feed.close()


async def test_a_listing_that_fails_is_heard_of_while_there_is_work(feed: Feed, listing: Listing) -> None:
    listing.give(1, 2, 3)
    listing.batches.put_nowait(OSError("no"))
    assert await taken(feed, 1) == [["1"]]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="no"):
        await taken(feed, 1)
    await feed.close()


async def test_a_damaged_file_is_given_again_to_who_waits_for_the_listing(feed: Feed, listing: Listing) -> None:
    listing.give(SIZE)
    found = [await feed.take() for _ in range(3)]
    waiting = asyncio.ensure_future(taken(feed, 2))
    for _ in range(5):
        await asyncio.sleep(0)
    assert isinstance(found[0], tuple)
    large = found[0][0]
    large.restart()
    feed.again(large)
    assert sorted(await waiting, key=str) == [0, 1]
    await feed.close()
