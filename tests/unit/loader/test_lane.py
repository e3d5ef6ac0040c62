"""Threads that read by themselves: what is simple goes by them, and what is not goes the slow way."""

from __future__ import annotations

import asyncio
import threading
import time
import zlib
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from kaas.loader import hands, small
from kaas.loader.feed import MOST
from kaas.loader.fetching import Fetching, Late, Watch
from kaas.loader.journal import Journal
from kaas.loader.options import Options, Patience, Verify
from kaas.loader.report import Reason
from kaas.loader.run import load
from kaas.loader.source import Algorithm, Buffer, Checksum, Denied, Entry, Stream, Unreachable
from tests.unit.loader.bucket import MIB, SMALL, Bucket, run, tree

T = TypeVar("T")
LARGE = b"0123456789abcdef" * (MIB // 16) * 3 + b"end"


@dataclass
class Quick(Bucket):
    """Threads can read it. refuse: raised by names; odd: names that only `read` can give; told: with answers."""

    streamed: list[tuple[str, int]] = field(default_factory=list)
    refuse: dict[str, Exception] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)
    told: dict[str, Checksum] = field(default_factory=dict)
    hang: set[str] = field(default_factory=set)
    go_on: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def stream(self, entry: Entry, start: int, length: int) -> Stream | None:
        """A range, in two pieces."""
        told = self.told.get(entry.name)
        found = Stream(self._pieces(entry, start, length), [told] if told else [])
        return None if entry.name in self.odd else found

    def _pieces(self, entry: Entry, start: int, length: int) -> Iterator[Buffer]:
        self.streamed.append((entry.name, start))
        if entry.name in self.refuse:
            raise self.refuse[entry.name]
        data = self.lie(entry.name, self._now(entry)[start : start + length])
        yield data[:7]
        if entry.name in self.hang:
            self.go_on.wait(60)
        yield data[7:]
        self.ended.set()


def files(count: int = 20) -> dict[str, bytes]:
    return {f"d{n % 3}/f{n:02d}": f"content of {n}".encode() for n in range(count)}


def test_what_is_simple_is_never_read_slowly(tmp_path: Path) -> None:
    bucket = Quick(files() | {"empty": b"", "large": LARGE}, listed=Algorithm.MD5)
    result = run(bucket, tmp_path)
    assert result.reason is Reason.LOADED, result.message
    assert tree(tmp_path) == bucket.objects
    assert not bucket.reads
    assert sorted(start for name, start in bucket.streamed if name == "large") == [0, MIB, 2 * MIB, 3 * MIB]
    assert result.verified == {"md5": 20, "crc64nvme": 1, "size": 1}


def test_a_sum_that_comes_with_the_content_is_compared(tmp_path: Path) -> None:
    bucket = Quick(files(), listed=Algorithm.MD5)
    bucket.told = {name: Checksum(Algorithm.CRC32, f"{zlib.crc32(data):08x}") for name, data in bucket.objects.items()}
    result = run(bucket, tmp_path)
    assert result.verified == {"crc32": 20}
    assert not bucket.reads


def test_a_sum_that_comes_with_the_content_is_not_asked_for(tmp_path: Path) -> None:
    bucket = Quick(files(), listed=Algorithm.MD5, told={"d0/f06": Checksum(Algorithm.CRC32, "00000000")})
    assert run(bucket, tmp_path, verify=Verify.SIZE).verified == {"size": 20}


def test_a_content_that_is_not_what_its_answer_says(tmp_path: Path) -> None:
    """The listing's sum decides: the next one to hand over the answer may have been wrong."""
    bucket = Quick(files(), listed=Algorithm.MD5, told={"d0/f06": Checksum(Algorithm.CRC32, "00000000")})
    result = run(bucket, tmp_path)
    assert result.reason is Reason.LOADED, result.message
    assert result.verified == {"md5": 20}
    assert tree(tmp_path) == bucket.objects


@pytest.mark.parametrize("error", [Unreachable("busy"), Denied("the token has expired")])
def test_what_it_cannot_have_is_read_slowly(tmp_path: Path, error: Exception) -> None:
    names = ("d0/f06", "large")
    bucket = Quick(files() | {"large": LARGE}, refuse=dict.fromkeys(names, error), listed=Algorithm.MD5)
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
    assert {name for name, _, _ in bucket.reads} == set(names)


def test_what_only_read_can_give(tmp_path: Path) -> None:
    bucket = Quick(files() | {"large": LARGE}, odd={"d1/f01", "large"}, listed=Algorithm.MD5)
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
    assert {name for name, _, _ in bucket.reads} == {"d1/f01", "large"}


def test_without_a_listed_sum_it_is_asked_for_first(tmp_path: Path) -> None:
    bucket = Quick(files(3))
    result = run(bucket, tmp_path)
    assert result.verified == {"crc64nvme": 3}
    assert not bucket.streamed


def test_a_sum_that_is_none_costs_no_second_read(tmp_path: Path) -> None:
    """As where the store encrypts: the ETag looks like an MD5."""
    bucket = Quick({"a": b"good"}, listed=Algorithm.MD5)
    true = bucket.entry
    bucket.entry = lambda name: _lying(true(name))  # type: ignore[method-assign]
    result = run(bucket, tmp_path)
    assert (result.reason, result.verified) == (Reason.LOADED, {"crc64nvme": 1})
    assert bucket.streamed == [("a", 0)]
    assert not bucket.reads


def _lying(entry: Entry) -> Entry:
    assert entry.checksum is not None
    return Entry(entry.key, entry.name, entry.size, entry.version, type(entry.checksum)(Algorithm.MD5, "0" * 32))


@pytest.mark.parametrize("name", ["hangs", "large"])
def test_a_thread_that_hangs_writes_nothing_any_more(tmp_path: Path, name: str) -> None:
    bucket = Quick({"a": b"a", "hangs": b"0123456789", "large": LARGE}, listed=Algorithm.MD5, hang={name})
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert name in {read for read, _, _ in bucket.reads}
    assert tree(tmp_path) == bucket.objects
    bucket.hang.clear()
    (tmp_path / name).write_bytes(b"of the user now")
    bucket.go_on.set()
    assert bucket.ended.wait(10)
    time.sleep(0.05)
    assert (tmp_path / name).read_bytes() == b"of the user now"
    assert not list((tmp_path / ".kaas-load" / "parts").iterdir())


def test_a_server_that_keeps_all_threads_waiting_is_asked_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, late = Fetching.watched, []

    async def counted(self: Fetching, work: Awaitable[T], watch: Watch) -> T:
        try:
            return await watched(self, work, watch)
        except Late:
            late.append(watch)
            raise

    monkeypatch.setattr(Fetching, "watched", counted)
    bucket = Quick(files(100) | {"large": LARGE}, listed=Algorithm.MD5)
    bucket.hang = set(bucket.objects)
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
    assert len({name for name, _, _ in bucket.reads}) == 101
    assert 0 < len(late) <= SMALL.streams, "nobody waits for a thread that none is left of"
    bucket.go_on.set()


async def test_a_load_that_is_told_to_stop_waits_for_no_thread(tmp_path: Path) -> None:
    bucket = Quick({"a": b"a", "hangs": b"0123456789"}, listed=Algorithm.MD5, hang={"hangs"})
    stop = asyncio.Event()
    options = Options(limits=SMALL, patience=Patience())
    running = asyncio.ensure_future(load(bucket, tmp_path, options, stop=stop))
    while ("hangs", 0) not in bucket.streamed:  # noqa: ASYNC110 - a thread fills it
        await asyncio.sleep(0.01)
    stop.set()
    result = await running
    assert result.reason is Reason.INTERRUPTED
    bucket.go_on.set()
    assert (await load(bucket, tmp_path, options)).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects


def test_what_was_made_before_a_full_disk_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, full, name = small.store, OSError(28, "No space left on device"), "d2/f290"

    def filling(*place: object) -> int | None:
        if name in place:
            raise full
        return store(*place)  # type: ignore[arg-type]

    bucket = Quick(files(300), listed=Algorithm.MD5)
    monkeypatch.setattr(small, "store", filling)
    result = run(bucket, tmp_path)
    assert result.reason is Reason.INSUFFICIENT_CAPACITY
    assert name in result.message
    monkeypatch.undo()
    bucket.streamed.clear()
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
    assert (name, 0) in bucket.streamed
    assert len(bucket.streamed) <= SMALL.streams * MOST  # what others had in hand


async def stopped_at(bucket: Quick, name: str, to: Path) -> None:
    """Load until an object is asked for that does not come."""
    bucket.hang = {name}
    stop = asyncio.Event()
    running = asyncio.ensure_future(load(bucket, to, Options(limits=SMALL, patience=Patience()), stop=stop))
    while (name, 0) not in bucket.streamed:  # noqa: ASYNC110 - a thread fills it
        await asyncio.sleep(0.01)
    stop.set()
    assert (await running).reason is Reason.INTERRUPTED
    bucket.go_on.set()


async def test_what_a_thread_has_made_when_a_load_is_stopped_is_not_fetched_again(tmp_path: Path) -> None:
    bucket = Quick(files(300), listed=Algorithm.MD5)
    first = sorted(bucket.objects)[:5]
    await stopped_at(bucket, first[-1], tmp_path)
    bucket.streamed.clear()
    assert (await load(bucket, tmp_path, Options(limits=SMALL))).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
    assert {name for name, _ in bucket.streamed} & set(first) == {first[-1]}


async def test_a_thread_that_takes_long_hands_over_what_it_has_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a load with slow objects is not silent until there are many of them."""
    noted, made = [], Journal.made

    def note(self: Journal, given: Iterable[tuple[Entry, int]]) -> None:
        found = list(given)
        noted.append([entry.name for entry, _ in found])
        made(self, found)

    monkeypatch.setattr(Journal, "made", note)
    monkeypatch.setattr(hands, "_TURN", -1.0)
    bucket = Quick(files(300), listed=Algorithm.MD5)
    first = sorted(bucket.objects)[:5]
    await stopped_at(bucket, first[-1], tmp_path)
    assert [[name] for name in first[:-1]] == [names for names in noted if names[0] in first]
    assert not bucket.reads
