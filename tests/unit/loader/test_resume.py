"""Loads that are cut off at any point go on: after a kill, after a power cut, after a disk that failed."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kaas.loader import disk, large, recent, small
from kaas.loader.journal import Journal
from kaas.loader.report import Reason
from kaas.loader.shards import Shard
from kaas.loader.source import Denied, Entry
from kaas.loader.tree import Tree
from tests.unit.loader.bucket import MIB, QUICK, SMALL, Bucket, run, tree

SIZES = st.one_of(st.sampled_from([0, 10, 500]), st.sampled_from([MIB, MIB + 1, 2 * MIB + 5, 4 * MIB]))
FILES = st.lists(SIZES, min_size=1, max_size=30).map(
    lambda sizes: {f"d{n % 3}/{n:02d}": s for n, s in enumerate(sizes)}
)
"""More files than are fetched at once, so that some are there when others are cut off."""

SMALL_ONES = {f"{n:02d}": 100 for n in range(40)}


def contents(sizes: dict[str, int]) -> dict[str, bytes]:
    return {name: random.Random(name).randbytes(size) for name, size in sizes.items()}  # noqa: S311 - any will do


def cut_off(bucket: Bucket, at: Path, reads: int, copy: Path) -> bool:
    """Load until so many reads were made; whether it was. What is on the disk at that moment goes to `copy`."""
    before = len(bucket.reads)

    def fail(entry: Entry, start: int) -> None:
        if len(bucket.reads) - before >= reads:
            if not copy.exists():
                shutil.copytree(at, copy, symlinks=True)
            raise Denied("killed")

    bucket.fail = fail
    try:
        run(bucket, at)
    finally:
        bucket.fail = lambda entry, start: None
    return copy.exists()


@settings(max_examples=15)
@given(FILES, st.lists(st.integers(1, 40), max_size=3))
@example(sizes={"large": 12 * MIB}, kills=[10, 1])
@example(sizes=SMALL_ONES, kills=[35])
def test_after_kills(tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, int], kills: list[int]) -> None:
    base = tmp_path_factory.mktemp("kills")
    bucket, at = Bucket(contents(sizes)), base / "0"
    at.mkdir()
    happened = 0
    for number, reads in enumerate(kills, 1):
        if cut_off(bucket, at, reads, base / str(number)):
            happened += 1
            at = base / str(number)
    assert run(bucket, at).reason is Reason.LOADED
    assert tree(at) == bucket.objects
    assert os.listdir(at / ".kaas-load" / "parts") == []
    assert sum(bucket.served.values()) - sum(sizes.values()) <= happened * (SMALL.buffers + SMALL.range)
    shutil.rmtree(base)


@settings(max_examples=15)
@given(FILES, st.lists(st.integers(1, 40), min_size=1, max_size=2))
@example(sizes={"large": 12 * MIB}, cuts=[10])
@example(sizes=SMALL_ONES, cuts=[35])
def test_after_power_cuts(tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, int], cuts: list[int]) -> None:
    """What was not synced is zeros, and the names are there all the same."""
    base = tmp_path_factory.mktemp("cuts")
    bucket, at = Bucket(contents(sizes)), base / "0"
    at.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for number, reads in enumerate(cuts, 1):
            copy = base / str(number)
            safe: dict[str, tuple[int, bytes]] = {}
            patch.setattr(disk, "sync_file_system", synced(at, copy, safe))
            patch.setattr(recent, "boot", lambda number=number: f"boot {number}")
            if cut_off(bucket, at, reads, copy):
                at = copy
                lose(at, safe)
    assert run(bucket, at).reason is Reason.LOADED
    assert tree(at) == bucket.objects
    shutil.rmtree(base)


def synced(at: Path, copy: Path, safe: dict[str, tuple[int, bytes]]) -> Callable[[int], None]:
    """A sync that notes what is on the disk from then on; after the power cut there is none."""

    def sync(fd: int) -> None:
        if not copy.exists():
            safe.clear()
            safe.update(data_of(at))

    return sync


def data_of(path: Path) -> dict[str, tuple[int, bytes]]:
    """Contents and times of loaded files and of parts, by name."""
    found = (p for p in path.rglob("*") if p.is_file() and (".kaas-load" not in p.parts or "parts" in p.parts))
    return {str(p.relative_to(path)): (p.stat().st_mtime_ns, p.read_bytes()) for p in found}


def lose(path: Path, safe: dict[str, tuple[int, bytes]]) -> None:
    """Have every byte be zero that was not on the disk; times and names are as they were."""
    for name, (mtime, data) in data_of(path).items():
        kept = safe.get(name, (0, b""))[1]
        if kept != data:
            kept = bytes(a if a == b else 0 for a, b in zip(data, kept.ljust(len(data), b"\0"), strict=False))
        (path / name).write_bytes(kept)
        os.utime(path / name, ns=(mtime, mtime))


def failing(real: Callable[..., Any], number: int, after: int) -> Callable[..., Any]:
    """A function that fails from one of its calls on."""
    calls = [0]

    def call(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, Reason.INSUFFICIENT_CAPACITY),
        (errno.EDQUOT, Reason.INSUFFICIENT_CAPACITY),
        (errno.EIO, Reason.FAILED),
    ],
)
@pytest.mark.parametrize(
    ("where", "what"),
    [
        (small, "_write"),
        (large, "_write"),
        (disk, "reserve"),
        (disk, "sync_file_system"),
        (recent.Recent, "write"),
        (Tree, "place"),
    ],
    ids=["small", "large", "reserve", "sync", "line", "rename"],
)
def test_after_a_disk_that_failed(
    tmp_path: Path, where: object, what: str, number: int, reason: Reason, after: int
) -> None:
    bucket = Bucket(contents({"a": 10, "b": 20, "c": 2 * MIB, "d": 3 * MIB + 1, "e/f": 5}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, what, failing(getattr(where, what), number, after))
        result = run(bucket, tmp_path, patience=QUICK)
    if result.reason is not Reason.LOADED:  # it needed the call less often
        assert result.reason is reason
        assert os.strerror(number) in result.message
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects


@pytest.mark.parametrize("damage", ["ledger.sqlite", "ledger.sqlite-wal", "recent.1", "foreign", "empty"])
def test_with_a_damaged_journal(tmp_path: Path, damage: str) -> None:
    bucket = Bucket(contents({"a": 10, "c": 4 * MIB}))
    at = tmp_path / "copy"
    (tmp_path / "0").mkdir()
    assert cut_off(bucket, tmp_path / "0", 3, at)
    journal = at / ".kaas-load"
    if damage == "foreign":
        (journal / "ledger.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5000))
    elif damage == "empty":
        (journal / "ledger.sqlite").write_bytes(b"")
    for path in journal.glob(f"{damage}*"):
        data = bytearray(path.read_bytes())
        data[len(data) // 3 :] = os.urandom(len(data) - len(data) // 3)
        path.write_bytes(data)
    assert run(bucket, at).reason is Reason.LOADED
    assert tree(at) == bucket.objects


def test_a_file_that_could_not_be_moved_is_not_fetched_again(tmp_path: Path) -> None:
    bucket = Bucket(contents({"large": 3 * MIB}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tree, "place", failing(Tree.place, errno.EIO, 0))
        assert run(bucket, tmp_path).reason is Reason.FAILED
    bucket.served.clear()
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
    assert not bucket.served


def test_a_large_file_that_was_moved_before_a_power_cut_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger has some of its ranges, and the move is on the disk before the next checkpoint."""
    bucket, at, copy = Bucket(contents({"large": 12 * MIB})), tmp_path / "0", tmp_path / "copy"
    at.mkdir()
    assert cut_off(bucket, at, 10, tmp_path / "before")
    place = Tree.place

    def copied(moved: Tree, part: str, parts: int, name: str) -> None:
        place(moved, part, parts, name)
        shutil.copytree(at, copy)

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "place", copied)
        assert run(bucket, at).reason is Reason.LOADED
    monkeypatch.setattr(recent, "boot", lambda: "another")
    bucket.served.clear()
    assert run(bucket, copy).reason is Reason.LOADED
    assert tree(copy) == bucket.objects
    assert not bucket.served


def test_what_was_known_of_a_part_that_is_gone_is_not_believed_of_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power is cut when the next part is on the disk, and no line about it is."""
    bucket, at, copy = Bucket(contents({"large": 12 * MIB})), tmp_path / "0", tmp_path / "copy"
    at.mkdir()
    assert cut_off(bucket, at, 10, tmp_path / "before")
    for part in (at / ".kaas-load" / "parts").iterdir():
        part.unlink()
    assert cut_off(bucket, at, 0, copy)
    monkeypatch.setattr(recent, "boot", lambda: "another")
    assert run(bucket, copy).reason is Reason.LOADED
    assert tree(copy) == bucket.objects


@pytest.mark.parametrize("then", [b"small", None])
def test_no_part_of_an_object_that_was_large_is_left(tmp_path: Path, then: bytes | None) -> None:
    bucket = Bucket(contents({"a": 10, "large": 5 * MIB}))

    def change(entry: Entry, start: int) -> None:
        if start == 4 * MIB:
            bucket.objects.pop("large", None)
            bucket.objects |= {"large": then} if then else {}

    bucket.fail = change
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
    assert os.listdir(tmp_path / ".kaas-load" / "parts") == []
    assert run(bucket, tmp_path).skipped == len(bucket.objects)


def test_the_ledger_knows_nothing_that_is_not_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Bucket({"a": b"1"}).entry("a")
    root = os.open(tmp_path, os.O_RDONLY)
    journal = Journal.open(root, "mem://", Shard())
    journal.ledger.take([entry], [], 1)
    journal.made([(entry, 77)])
    monkeypatch.setattr(disk, "sync_file_system", failing(disk.sync_file_system, errno.EIO, 0))
    with pytest.raises(OSError, match="Input/output error"):
        journal.settle(*journal.turn())
    assert [known.mtime for known in journal.ledger.known("", 9)] == [None]
    monkeypatch.undo()  # a loss is told once: the next sync succeeds
    journal.made([(entry, 78)])
    journal.settle(*journal.turn())
    journal.close()
    journal = Journal.open(root, "mem://", Shard())
    assert [known.mtime for known in journal.ledger.known("", 9)] == [None]
    journal.close()
    os.close(root)
