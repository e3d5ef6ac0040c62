"""Several loaders of one volume: whether all that they load fits, and what another number of them leaves."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from kaas.loader.journal import Journal
from kaas.loader.report import Reason
from kaas.loader.shards import Shard
from kaas.loader.source import Entry
from kaas.loader.space import MARGIN, Space
from tests.unit.loader.bucket import MIB, Bucket, gone, run, tree

SIZE = 64 * 1024
SHARDS = [Shard(index, 4) for index in range(4)]


def made(count: int, chance: str, size: int = SIZE) -> dict[str, bytes]:
    return {f"d{n % 5}/{n:03}": random.Random(f"{chance}{n}").randbytes(size) for n in range(count)}  # noqa: S311


def used(root: Path) -> Iterator[int]:
    """Of what is loaded and of parts; ledgers are what the margin is for."""
    for path in root.rglob("*"):
        if path.is_file() and (".kaas-load" not in path.parts or path.parent.name == "parts"):
            yield path.stat().st_blocks * 512


@dataclass
class Disk:
    """A volume of so many bytes and files."""

    root: Path
    size: int
    files: int = 10**6

    def space(self) -> Space:
        found = list(used(self.root))
        return Space(self.size - sum(found), self.files - len(found))


Make = Callable[..., Disk]


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(size: float, files: float = 10**6) -> Disk:
        found = Disk(tmp_path, int(size), int(files))
        monkeypatch.setattr(Space, "of", classmethod(lambda cls, fd: found.space()))
        return found

    return make


@pytest.mark.parametrize("shard", SHARDS)
@pytest.mark.parametrize(
    ("size", "files"), [(40 * SIZE / 3, 100), (40 * SIZE * MARGIN - 1, 100), (99 * SIZE, 41)], ids=str
)
def test_a_volume_that_is_too_small_for_all_is_refused_by_each(
    tmp_path: Path, disk: Make, shard: Shard, size: float, files: int
) -> None:
    disk(size, files)
    bucket = Bucket(made(40, "a"))
    result = run(bucket, tmp_path, shard=shard)
    assert result.reason is Reason.INSUFFICIENT_CAPACITY
    assert bucket.reads == []


def test_what_others_keep_on_the_volume_is_no_room(tmp_path: Path, disk: Make) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data").write_bytes(os.urandom(20 * SIZE))
    disk(40 * SIZE * MARGIN + 10 * SIZE)
    bucket = Bucket(made(40, "a"))
    assert run(bucket, tmp_path / "ours", shard=SHARDS[0]).reason is Reason.INSUFFICIENT_CAPACITY
    disk(40 * SIZE * MARGIN + 20 * SIZE + 1)
    assert run(bucket, tmp_path / "ours", shard=SHARDS[0]).reason is Reason.LOADED


@pytest.mark.parametrize("seed", range(6))
def test_what_fits_is_never_refused_however_much_others_have_loaded(tmp_path: Path, disk: Make, seed: int) -> None:
    """Begun one after the other, again and again, with objects that change and a volume that just holds all."""
    chance = random.Random(seed)  # noqa: S311
    bucket = Bucket(made(40, "a"), page=chance.choice([1, 7, 1000]))
    total = sum(map(len, bucket.objects.values()))
    disk(total * MARGIN + 4096, files=40 * MARGIN + 1)
    for shard in chance.sample([*SHARDS, *SHARDS], 8):
        assert run(bucket, tmp_path, shard=shard).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects


@dataclass
class Raced(Bucket):
    """Others do something between the pages of its listing."""

    between: list[Callable[[], object]] = field(default_factory=list)

    async def pages(self) -> AsyncIterator[Sequence[Entry]]:
        async for page in super().pages():
            yield page
            if self.between:
                await asyncio.to_thread(self.between.pop(0))


@pytest.mark.parametrize("seed", range(4))
def test_nor_is_it_while_others_load(tmp_path: Path, disk: Make, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    objects = made(40, "a") | {f"large{n}": bytes(3 * MIB + n) for n in range(3)}
    disk(sum(map(len, objects.values())) * MARGIN + 4096 * 43)
    order = chance.sample(SHARDS, 4)
    bucket = Raced(objects, between=[partial(run, Bucket(objects), tmp_path, shard=shard) for shard in order[1:]])
    assert run(bucket, tmp_path, shard=order[0]).reason is Reason.LOADED
    assert not bucket.between
    assert tree(tmp_path) == objects


@pytest.mark.parametrize("count", [1, 4, 3], ids=["of one", "of as many", "of fewer"])
def test_parts_that_somebody_has_begun_are_room(tmp_path: Path, disk: Make, count: int) -> None:
    """They are as long as what they become, and that is counted as missing."""
    objects = {f"large{n}": random.Random(n).randbytes(4 * MIB) for n in range(4)}  # noqa: S311
    disk(sum(map(len, objects.values())) * MARGIN + 4096)
    for index in range(count):
        run(Bucket(objects, fail=_at_its_end), tmp_path, shard=Shard(index, count))
    assert sum(used(tmp_path)) > MIB
    for shard in reversed(SHARDS):
        assert run(Bucket(objects), tmp_path, shard=shard).reason is Reason.LOADED
    assert tree(tmp_path) == objects


def _at_its_end(entry: Entry, start: int) -> None:
    if start == 3 * MIB:
        raise gone()


def test_a_sync_that_replaces_all_fits(tmp_path: Path, disk: Make) -> None:
    disk(40 * SIZE * MARGIN + 30 * SIZE)
    for chance in ("a", "b"):
        for shard in SHARDS:
            assert run(Bucket(made(40, chance)), tmp_path, shard=shard).reason is Reason.LOADED
    assert tree(tmp_path) == made(40, "b")


LARGE = {"large": bytes(4 * MIB), "small": b"x"}


def left(root: Path) -> set[str]:
    """What the journal has beside locks."""
    top = root / ".kaas-load"
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (4, 3)])
def test_another_number_of_loaders_leaves_nothing_of_the_first(tmp_path: Path, before: int, after: int) -> None:
    """Nobody else would: their parts would take their room for ever."""
    for index in range(before):
        run(Bucket(LARGE, fail=_at_its_end), tmp_path, shard=Shard(index, before))
    assert sum(used(tmp_path)) >= 4 * MIB
    for index in range(after):
        assert run(Bucket(LARGE), tmp_path, shard=Shard(index, after)).reason is Reason.LOADED
    assert tree(tmp_path) == LARGE
    ledgers = {"ledger.sqlite"} if after == 1 else {f"{index}-of-{after}/ledger.sqlite" for index in range(after)}
    assert {name for name in left(tmp_path) if "recent." not in name} == ledgers
    assert {name.rpartition("/")[0] for name in left(tmp_path)} == {name.rpartition("/")[0] for name in ledgers}


def test_a_load_that_is_at_work_keeps_what_it_has(tmp_path: Path) -> None:
    run(Bucket(LARGE, fail=_at_its_end), tmp_path)
    root = os.open(tmp_path, os.O_RDONLY)
    journal = Journal.open(root, "mem://bucket/", Shard())
    before = left(tmp_path)
    assert run(Bucket(LARGE), tmp_path, shard=Shard(0, 2)).reason is Reason.LOADED
    assert before <= left(tmp_path)
    assert os.listdir(journal.parts)
    journal.close()
    os.close(root)


def test_what_is_there_is_loaded_once_more_by_another_number_of_loaders(tmp_path: Path) -> None:
    """Each file stays until its new one is whole; the same number goes on from where it was."""
    bucket = Bucket(made(20, "a"))
    for count, fetched in ((1, 20), (1, 0), (2, 20), (2, 0)):
        assert sum(run(bucket, tmp_path, shard=Shard(index, count)).files for index in range(count)) == fetched
        assert tree(tmp_path) == bucket.objects


def test_links_in_place_of_journals_are_removed_and_lead_nowhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "lock").write_bytes(b"")
    (precious / "data").write_bytes(b"x")
    top = tmp_path / "volume" / ".kaas-load"
    top.mkdir(parents=True)
    for name in ("0-of-9", "parts"):
        (top / name).symlink_to(precious)
    assert run(Bucket(LARGE), tmp_path / "volume", shard=Shard(0, 2)).reason is Reason.LOADED
    assert sorted(path.name for path in precious.iterdir()) == ["data", "lock"]
    assert {path.name for path in top.iterdir()} == {"lock", "0-of-2"}
