"""A directory that a stranger has filled: nothing is left in it but what the source has, as a load makes it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kaas.loader.filters import Filter
from kaas.loader.looks import Looks, Usual, mended
from kaas.loader.owner import Owner
from kaas.loader.report import Reason
from kaas.loader.source import Algorithm
from kaas.loader.trash import Trash, unlock
from tests.unit.loader.bucket import MIB, Bucket, run, tree
from tests.unit.loader.strangers import FILES, LARGE, bucket, distrusting, filled

Poison = Callable[[Path], None]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return filled(tmp_path / "volume")


def _extra(volume: Path) -> None:
    (volume / "evil.sh").write_bytes(b"evil")
    (volume / "b" / "more").mkdir()
    (volume / "b" / "more" / "evil.sh").write_bytes(b"evil")
    (volume / "lost+found").mkdir()
    (volume / "lost+found" / "evil.sh").write_bytes(b"evil")
    os.mkfifo(volume / "pipe")
    (volume / os.fsdecode(b"\xff")).write_bytes(b"evil")


def _links(volume: Path) -> None:
    (volume / "a").unlink()
    (volume / "a").symlink_to("/etc/passwd")
    shutil.rmtree(volume / "b")
    (volume / "b").symlink_to("/etc")
    (volume / "dangling").symlink_to("nowhere")


def _kinds(volume: Path) -> None:
    (volume / "a").unlink()
    os.mkfifo(volume / "a")
    (volume / "b" / "c").unlink()
    (volume / "b" / "c" / "d").mkdir(parents=True)
    (volume / "b" / "c" / "d" / "evil").write_bytes(b"evil")
    shutil.rmtree(volume / "z")
    (volume / "z").write_bytes(b"no directory")


def _right_sizes(volume: Path) -> None:
    """A link that is as long as its file, and a pipe in place of an empty one."""
    (volume / "a").unlink()
    (volume / "a").symlink_to("b/c")
    (volume / "b" / "d" / "e").unlink()
    os.mkfifo(volume / "b" / "d" / "e")


def _one_file_twice(volume: Path) -> None:
    (volume / "b" / "c").unlink()
    (volume / "elsewhere").write_bytes(b"two")
    os.link(volume / "elsewhere", volume / "b" / "c")
    shutil.copy2(volume / "a", volume / ".kaas-load" / "same")
    (volume / "a").unlink()
    os.link(volume / ".kaas-load" / "same", volume / "a")


def _other_sizes(volume: Path) -> None:
    (volume / "a").write_bytes(b"one and more")
    (volume / "z" / "large").write_bytes(LARGE[:MIB])
    (volume / "b" / "d" / "e").write_bytes(b"no longer empty")


def _journal(kind: str) -> Poison:
    def poison(volume: Path) -> None:
        shutil.rmtree(volume / ".kaas-load")
        if kind == "link":
            (volume / "other").mkdir()
            (volume / ".kaas-load").symlink_to("other")
        elif kind == "file":
            (volume / ".kaas-load").write_bytes(b"")
        else:
            (volume / ".kaas-load").mkdir()
            for name in ("lock", "trash", "parts", "ledger.sqlite", "mark"):
                (volume / ".kaas-load" / name).symlink_to("/etc/passwd")

    return poison


@pytest.mark.parametrize(
    "poison",
    [
        _extra,
        _links,
        _kinds,
        _right_sizes,
        _one_file_twice,
        _other_sizes,
        *map(_journal, ("link", "file", "full of links")),
    ],
)
def test_only_what_the_source_has_is_left(volume: Path, poison: Poison) -> None:
    before = Path("/etc/passwd").read_bytes()
    poison(volume)
    result = distrusting(bucket(), volume)
    assert result.reason is Reason.LOADED, result.message
    assert tree(volume) == FILES
    found = [p for p in volume.rglob("*") if ".kaas-load" not in p.relative_to(volume).parts]
    assert {str(p.relative_to(volume)) for p in found} - {"lost+found"} == {*FILES, "b", "b/d", "z"}
    assert all(p.lstat().st_nlink == 1 for p in found if stat.S_ISREG(p.lstat().st_mode))
    assert not any(p.is_symlink() for p in volume.rglob("*"))
    assert Path("/etc/passwd").read_bytes() == before


def test_two_files_of_the_source_are_never_one(tmp_path: Path) -> None:
    """Who writes to one would write to the other."""
    found = Bucket({"a": b"same", "b/c": b"same", "d": b"same"}, listed=Algorithm.MD5)
    assert run(found, tmp_path).reason is Reason.LOADED
    (tmp_path / "b" / "c").unlink()
    os.link(tmp_path / "a", tmp_path / "b" / "c")
    assert distrusting(found, tmp_path).skipped == 2
    assert {p.stat().st_nlink for p in (tmp_path / "a", tmp_path / "b" / "c", tmp_path / "d")} == {1}
    assert tree(tmp_path) == found.objects


def test_a_directory_that_nobody_may_enter_is_opened_by_its_owner(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    (inner / "evil").write_bytes(b"evil")
    inner.chmod(0)
    (tmp_path / "closed").chmod(0)
    upper = os.open(tmp_path, os.O_RDONLY)
    unlock(upper, "closed")
    assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o700
    trash = Trash(upper, lambda: None)
    trash.take(upper, "closed")
    trash.close()
    os.close(upper)
    assert list(tmp_path.iterdir()) == []


def test_what_patterns_leave_out_goes_too(volume: Path) -> None:
    """Nobody but a stranger has put it there."""
    (volume / "evil.sh").write_bytes(b"evil")
    (volume / "left" / "out").mkdir(parents=True)
    takes = Filter.parse(exclude=["*.sh", "left/**"]).takes
    assert distrusting(bucket(), volume, takes=takes).deleted == 2
    assert tree(volume) == FILES
    assert not (volume / "left").exists()


def test_a_tree_of_any_depth_goes(volume: Path) -> None:
    place = os.open(volume, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("x" * 20, dir_fd=place)
        inner = os.open("x" * 20, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    assert distrusting(bucket(), volume).reason is Reason.LOADED
    assert sorted(p.name for p in volume.iterdir()) == [".kaas-load", "a", "b", "z"]


def _modes(path: Path) -> dict[str, int]:
    found = (p for p in path.rglob("*") if ".kaas-load" not in p.parts)
    return {str(p.relative_to(path)): stat.S_IMODE(p.lstat().st_mode) for p in found}


@pytest.mark.parametrize("owner", [None, Owner(os.getuid(), os.getgid(), 0o640)])
def test_modes_are_those_of_a_load(tmp_path: Path, owner: Owner | None) -> None:
    run(bucket(), tmp_path / "right", owner=owner)
    volume = tmp_path / "volume"
    run(bucket(), volume, owner=owner)
    (volume / "a").chmod(0o6777)
    (volume / "b" / "c").chmod(0)
    (volume / "z").chmod(0o1777)
    (volume / "b" / "d").chmod(0)
    found = bucket()
    assert distrusting(found, volume, owner=owner).skipped == 5
    assert _modes(volume) == _modes(tmp_path / "right")


def test_what_has_attributes_tacked_on_is_made_anew(volume: Path) -> None:
    os.setxattr(volume / "a", "user.evil", b"1")
    os.setxattr(volume / "z", "user.evil", b"1")
    result = distrusting(bucket(), volume)
    assert (result.files, result.skipped) == (2, 3)
    assert os.listxattr(volume / "a") == os.listxattr(volume / "z") == []


def test_what_is_anothers_may_not_stay(volume: Path) -> None:
    """Only its owner could make it look otherwise, and its owner may write to it."""
    path, mine = volume / "a", os.geteuid()
    ours, theirs = (Looks(uid, os.getegid(), 0o644, frozenset()) for uid in (mine, mine + 1))
    assert Usual(ours, ours).may_stay(path.lstat(), 3)
    assert not Usual(theirs, theirs).may_stay(path.lstat(), 3)
    with path.open("rb") as file:
        assert mended(file.fileno(), ours)
        assert not mended(file.fileno(), theirs)


def test_what_may_not_be_removed_ends_the_load_for_good(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (volume / "evil.sh").write_bytes(b"evil")
    unlink = os.unlink

    def refusing(path: str, **more: int) -> None:
        if path == "evil.sh":
            raise PermissionError(1, "Operation not permitted", path)
        unlink(path, **more)

    monkeypatch.setattr(os, "unlink", refusing)
    result = distrusting(bucket(), volume)
    assert result.reason is Reason.INVALID_SPEC
    assert "evil.sh: came with the volume" in result.message


def test_a_removal_that_was_cut_off_is_ended_by_the_next_load(volume: Path) -> None:
    left = volume / ".kaas-load" / "trash" / "1" / "deep"
    assert distrusting(bucket(), volume).reason is Reason.LOADED
    left.mkdir(parents=True)
    (left / "evil").write_bytes(b"evil")
    (left.parents[1] / "probe").mkdir()
    assert distrusting(bucket(), volume).reason is Reason.LOADED
    assert not left.parents[1].exists()
