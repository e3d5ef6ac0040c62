"""A load that may only ask for so many bytes a second, by a clock that moves when somebody waits for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader import hands
from kaas.loader import run as engine
from kaas.loader.fetching import Fetching
from kaas.loader.options import Limits, Options
from kaas.loader.rate import LONGEST, SMALLEST, Rate, parse, piece
from kaas.loader.report import Reason, Result
from kaas.loader.source import Algorithm, Denied, Entry, Unreachable
from tests.unit.loader.bucket import MIB, QUICK, SMALL, Bucket, tree
from tests.unit.loader.test_lane import Quick

PATIENT = replace(QUICK, stall=1e9, silence=1e9)
"""The clock moves by many seconds while a read takes none."""


class Clock:
    """Seconds that pass when nobody does anything but sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ends: list[float] = []

    def now(self) -> float:
        """What time it is."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Wait; who has to wait least moves the clock."""
        end = self.seconds + seconds
        self._ends.append(end)
        try:
            while self.seconds < end:
                await asyncio.sleep(0)
                if min(self._ends) == end:
                    self.seconds = max(self.seconds, end)
        finally:
            self._ends.remove(end)


def paced(bucket: Bucket, to: Path, rate: int | None, **options: object) -> tuple[Result, float]:
    """Load it at this rate; the result, and the seconds that it took by its own clock."""
    clock = Clock()
    wanted = Options(**{"limits": SMALL, "patience": PATIENT, "max_rate": rate} | options)  # type: ignore[arg-type]
    result = asyncio.run(engine.load(bucket, to, wanted, now=clock.now, sleep=clock.sleep))
    return result, clock.seconds


def rate_of(limit: int, clock: Clock, waiting: Callable[[], None] = lambda: None) -> Rate:
    return Rate(limit, clock.now, clock.sleep, waiting)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        *(("64Ki", 65536), ("50Mi", 50 * MIB), ("1Gi", 1 << 30), ("1.5Gi", 3 << 29), ("200M", 200_000_000)),
        *(("1000k", 1_000_000), ("65536", 65536), ("65535.1", 65536), ("1Ti", 1 << 40)),
    ],
)
def test_a_rate_is_written_as_an_amount(text: str, rate: int) -> None:
    assert parse(text) == rate


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (text, "is no rate")
        for text in ("", "fast", "-1Gi", "50MiB", "50 Mi", "1e9", "1e99999999", "5m", "٣Mi", "9" * 99)
    ]
    + [(text, "is too little") for text in ("0", "63Ki", "65535", "0.01Mi")],
)
def test_what_is_no_rate_is_refused_with_a_way_out(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"{words}: write bytes a second, at least 64Ki, as 50Mi") as refusal:
        parse(text)
    assert len(str(refusal.value)) < 200


@given(st.one_of(st.none(), st.integers(SMALLEST, 1 << 50)), st.integers(20, 23))
def test_a_range_is_what_comes_in_a_second(rate: int | None, power: int) -> None:
    wanted = 1 << power
    found = piece(rate, wanted)
    assert found & (found - 1) == 0
    assert MIB <= found <= wanted
    if rate is None:
        assert found == wanted
    elif found > MIB:
        assert found <= rate
    if rate is not None and found < wanted:
        assert 2 * found > rate


async def test_who_comes_next_waits_for_those_before() -> None:
    clock, begun = Clock(), list[tuple[str, float]]()

    async def ask(name: str, length: int) -> None:
        await rate.take(length)
        begun.append((name, clock.seconds))

    rate = rate_of(100, clock)
    await asyncio.gather(ask("a", 100), ask("b", 300), ask("empty", 0), ask("c", 50), ask("d", 1))
    assert sorted(begun) == [("a", 0), ("b", 1), ("c", 4), ("d", 4.5), ("empty", 0)]


async def test_time_that_nobody_used_is_not_made_up_for() -> None:
    clock = Clock()
    rate = rate_of(100, clock)
    await rate.take(100)
    clock.seconds = 50
    for begin in (50, 51, 52):
        await rate.take(100)
        assert clock.seconds == begin


async def test_what_is_given_back_others_may_have() -> None:
    clock = Clock()
    rate = rate_of(100, clock)
    await rate.take(1000)
    rate.give(900)
    await rate.take(1)
    assert clock.seconds == 1


async def test_one_who_waits_long_says_so_again_and_again() -> None:
    clock, told = Clock(), list[float]()
    rate = rate_of(1, clock, lambda: told.append(clock.seconds))
    await rate.take(int(2.5 * LONGEST))
    assert not told
    await rate.take(1)
    assert told == [LONGEST, 2 * LONGEST, 2.5 * LONGEST]


def objects(count: int = 40, large: int = 5 * MIB + 7) -> dict[str, bytes]:
    """Some of more than a range, and many that go together."""
    return {f"small/{n:03d}": os.urandom(100_000 + n) for n in range(count)} | {
        f"large/{n}": os.urandom(large) for n in range(2)
    }


@pytest.mark.parametrize("kind", [Bucket, Quick])
@pytest.mark.parametrize("listed", [None, Algorithm.MD5])
def test_no_more_is_asked_for_than_the_rate_allows(
    kind: type[Bucket], listed: Algorithm | None, tmp_path: Path
) -> None:
    """Slowly and by threads, alone and many together."""
    rate, clock, asked = MIB, Clock(), list[tuple[float, int]]()

    def came(name: str, data: bytes) -> bytes:
        asked.append((clock.seconds, len(data)))
        return data

    bucket = kind(objects(), listed=listed, lie=came)
    options = Options(limits=SMALL, patience=PATIENT, max_rate=rate)
    result = asyncio.run(engine.load(bucket, tmp_path, options, now=clock.now, sleep=clock.sleep))
    assert result.reason is Reason.LOADED, result.message
    assert tree(tmp_path) == bucket.objects
    total = sum(map(len, bucket.objects.values()))
    assert sum(length for _, length in asked) == total
    for moment in {at for at, _ in asked}:
        before = sum(length for at, length in asked if at < moment)
        assert before <= rate * moment + 1
    assert (total - MIB) / rate <= clock.seconds <= total / rate


def test_without_a_limit_nobody_waits(tmp_path: Path) -> None:
    result, seconds = paced(Quick(objects(), listed=Algorithm.MD5), tmp_path, None)
    assert (result.reason, seconds) == (Reason.LOADED, 0)


def test_what_is_there_costs_nothing(tmp_path: Path) -> None:
    bucket = Bucket(objects())
    assert paced(bucket, tmp_path, MIB)[1] > 10
    bucket.objects["more"] = os.urandom(MIB)
    result, seconds = paced(bucket, tmp_path, MIB)
    assert (result.files, seconds) == (1, 0)
    assert tree(tmp_path) == bucket.objects


@pytest.mark.parametrize("size", [MIB, 3 * MIB], ids=["whole", "ranges"])
def test_another_try_counts_again(size: int, tmp_path: Path) -> None:
    failed = set[tuple[str, int]]()

    def once(entry: Entry, start: int) -> None:
        if (entry.name, start) not in failed:
            failed.add((entry.name, start))
            raise Unreachable("busy")

    bucket = Bucket({"a": os.urandom(size), "b": os.urandom(size)}, fail=once)
    result, seconds = paced(bucket, tmp_path, MIB)
    assert result.reason is Reason.LOADED, result.message
    assert len(bucket.reads) == 2 * 2 * size // MIB
    assert seconds == 2 * 2 * size // MIB - 1


def test_what_a_thread_leaves_is_not_counted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "_TURN", -1.0)  # it hands over after each file
    bucket = Quick({f"{n:03d}": os.urandom(MIB // 16) for n in range(64)}, listed=Algorithm.MD5)
    result, seconds = paced(bucket, tmp_path, MIB // 4)
    assert result.reason is Reason.LOADED
    assert not bucket.reads
    once = 64 * (MIB // 16) / (MIB // 4)
    assert seconds <= 2 * once, "counted again it would be many times; what is given back late may lie idle"


def test_what_a_thread_cannot_read_is_counted_once(tmp_path: Path) -> None:
    bucket = Quick({"a": os.urandom(3 * MIB), "b": os.urandom(MIB)}, odd={"a", "b"}, listed=Algorithm.MD5)
    result, seconds = paced(bucket, tmp_path, MIB)
    assert (result.reason, seconds) == (Reason.LOADED, 3)


def test_ranges_are_short_enough_to_move_evenly_and_those_of_the_journal_stay(tmp_path: Path) -> None:
    def refuse(entry: Entry, start: int) -> None:
        if start:
            raise Denied("no longer")

    roomy = Limits()
    bucket = Bucket({"a": os.urandom(20 * MIB)}, fail=refuse)
    assert paced(bucket, tmp_path / "begun", None, limits=roomy)[0].reason is Reason.ACCESS_DENIED
    bucket.fail = lambda entry, start: None
    bucket.reads.clear()
    for place, length in (("begun", roomy.range), ("new", 2 * MIB)):
        bucket.reads.clear()
        assert paced(bucket, tmp_path / place, 3 * MIB, limits=roomy)[0].reason is Reason.LOADED
        assert {wanted for _, start, wanted in bucket.reads if start + wanted < 20 * MIB} == {length}
    assert tree(tmp_path / "begun") == tree(tmp_path / "new") == bucket.objects


def test_a_load_that_waits_for_its_rate_is_neither_silent_nor_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second object may be asked for after sixteen seconds, and both watches look at each moment until then."""
    seconds, looks = [0.0], {"load": 0, "reads": 0}
    bucket = Bucket({"a": os.urandom(MIB), "b": os.urandom(MIB)})

    def watched(of: type, name: str) -> None:
        look = of.look  # type: ignore[attr-defined]

        def counted(*arguments: object, **named: object) -> None:
            looks[name] += 1
            look(*arguments, **named)

        monkeypatch.setattr(of, "look", counted)

    async def sleep(wanted: float) -> None:
        while not bucket.served:  # noqa: ASYNC110 - the first one
            await asyncio.sleep(0)
        seconds[0] += wanted
        before = dict(looks)
        while not all(looks[name] >= before[name] + 2 for name in looks):  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    watched(engine.Load, "load")
    watched(Fetching, "reads")
    monkeypatch.setattr(engine, "EVERY", 0.01)
    options = Options(limits=SMALL, patience=replace(QUICK, silence=15, stall=5), max_rate=SMALLEST)
    result = asyncio.run(engine.load(bucket, tmp_path, options, now=lambda: seconds[0], sleep=sleep))
    assert result.reason is Reason.LOADED, result.message
    assert seconds == [16]
    assert len(bucket.reads) == 2
