"""What a load needs of a volume: what it replaces it does not need twice, but for what is in flight."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader.report import Reason
from kaas.loader.space import Need, Space, freed
from tests.unit.loader.bucket import MIB, Bucket, run, tree

FILES = st.lists(st.tuples(st.integers(0, 100), st.none() | st.integers(0, 100)), max_size=40)
"""Bytes of each new file, and of the one that it replaces."""


@given(FILES, st.integers(1, 8), st.randoms())
def test_never_is_more_needed_than_was_said(
    files: list[tuple[int, int | None]], at_once: int, chance: random.Random
) -> None:
    """Whatever is fetched side by side, and whichever is whole first."""
    need = Need(at_once)
    for length, there in files:
        need.add(length, there)
    waiting, flying = list(files), list[tuple[int, int | None]]()
    room, count, most, most_files = 0, 0, 0, 0
    while waiting or flying:
        if waiting and len(flying) < at_once and (not flying or chance.random() < 0.6):
            flying.append(waiting.pop(0))
            room, count = room + flying[-1][0], count + 1
        else:
            _, there = flying.pop(chance.randrange(len(flying)))
            room, count = room - (there or 0), count - (there is not None)
        most, most_files = max(most, room), max(most_files, count)
    assert most <= need.bytes
    assert most_files <= need.files


def test_as_much_is_needed_as_is_said_when_the_largest_are_in_flight_at_the_end() -> None:
    need = Need(2)
    for length, there in ((10, None), (30, 30), (20, 25), (5, 5), (7, 7)):
        need.add(length, there)
    assert need.bytes == 10 + 30 + 20
    assert need.files == 1 + 2


def has(monkeypatch: pytest.MonkeyPatch, free: int, inodes: int = 1000) -> None:
    monkeypatch.setattr(Space, "of", classmethod(lambda cls, fd: Space(free, inodes)))


def made(count: int, size: int, chance: str) -> dict[str, bytes]:
    return {f"d/{n:03}": random.Random(f"{chance}{n}").randbytes(size) for n in range(count)}  # noqa: S311


@pytest.mark.parametrize("page", [1000, 7])
def test_what_has_changed_fits_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    run(Bucket(made(100, 64 * 1024, "old")), tmp_path)
    bucket = Bucket(made(100, 64 * 1024, "new"), page=page)
    has(monkeypatch, 2 * MIB, inodes=20)
    result = run(bucket, tmp_path)
    assert (result.reason, result.files) == (Reason.LOADED, 100)
    assert tree(tmp_path) == bucket.objects


@pytest.mark.parametrize(
    ("free", "inodes", "more"),
    [(MIB // 4, 1000, 0), (2 * MIB, 4, 0), (2 * MIB, 1000, 64)],
    ids=["no room for those in flight", "no inodes for those in flight", "more than was there"],
)
def test_what_does_not_fit_even_so_is_refused_in_the_middle_of_its_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, inodes: int, more: int
) -> None:
    run(Bucket(made(100, 64 * 1024, "old")), tmp_path)
    bucket = Bucket(made(100, 64 * 1024, "new") | {f"e/{n:03}": bytes(MIB) for n in range(more)}, page=10)
    has(monkeypatch, free, inodes)
    assert run(bucket, tmp_path).reason is Reason.INSUFFICIENT_CAPACITY
    assert bucket.reads == []


def test_only_a_file_of_its_own_frees_its_room(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(os.urandom(64 * 1024))
    assert freed(path.lstat()) == 64 * 1024
    with path.open("r+b") as file:
        file.truncate(MIB)
    assert freed(path.lstat()) == 64 * 1024  # the rest is a hole
    os.link(path, tmp_path / "b")
    assert freed(path.lstat()) is None
    (tmp_path / "c").symlink_to("a")
    assert freed((tmp_path / "c").lstat()) is None
    assert freed(tmp_path.lstat()) is None
    assert freed(None) is None


def test_what_strangers_have_left_is_no_room_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket(made(10, 64 * 1024, "old"))
    (tmp_path / "junk").write_bytes(bytes(MIB))
    has(monkeypatch, 0, inodes=0)
    assert run(bucket, tmp_path, distrust="ours").reason is Reason.INSUFFICIENT_CAPACITY
    result = run(bucket, tmp_path, distrust="ours", delete=True, delete_excluded=True)
    assert result.reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
