"""A directory that a stranger has filled: nothing of it is left but what the source's own strong sums prove."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kaas.loader.filters import Filter
from kaas.loader.looks import Looks, Usual, mended
from kaas.loader.owner import Owner
from kaas.loader.proof import Proof
from kaas.loader.report import Reason, Result
from kaas.loader.shards import Shard
from kaas.loader.source import Algorithm, Checksum, Denied, Entry
from tests.unit.loader.bucket import MIB, Bucket, run, tree

LARGE = os.urandom(3 * MIB + 17)
FILES = {"a": b"one", "b/c": b"two", "b/d/e": b"", "b/größe ☃": b"three", "z/large": LARGE}
Poison = Callable[[Path], None]


def bucket() -> Bucket:
    """With MD5 in its listing, as S3 has it of what came in one part."""
    return Bucket(dict(FILES), listed=Algorithm.MD5)


def distrusting(found: Bucket, to: Path, mark: str = "ours", **options: Any) -> Result:
    """A load of a volume that was born of somebody's snapshot."""
    return run(found, to, delete=True, delete_excluded=True, distrust=mark, **options)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume as the loader of another namespace has left it."""
    path = tmp_path / "volume"
    assert run(bucket(), path).reason is Reason.LOADED
    return path


def keeping(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file so that the journal does not notice."""
    found = path.stat()
    change(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def rewritten(path: Path, data: bytes) -> None:
    keeping(path, lambda p: p.write_bytes(data))


def forged(volume: Path) -> None:
    """A ledger that says of a file that is not the source's what a load would say."""
    rewritten(volume / "a", b"bad")
    database = sqlite3.connect(volume / ".kaas-load" / "ledger.sqlite")
    database.execute("UPDATE entry SET mtime = ? WHERE name = 'a'", ((volume / "a").stat().st_mtime_ns,))
    database.execute("CREATE TRIGGER t AFTER DELETE ON entry BEGIN UPDATE entry SET mtime = 1; END")
    database.commit()
    database.close()


def test_what_is_right_is_read_and_not_fetched(volume: Path) -> None:
    found = bucket()
    result = distrusting(found, volume)
    assert found.reads == []
    assert (result.reason, result.files, result.skipped, result.deleted) == (Reason.LOADED, 0, 5, 0)
    assert result.verified == {"md5": 4, "size": 1}
    assert tree(volume) == FILES


def test_believing_the_journal_would_not_notice(volume: Path) -> None:
    """Else the other tests prove nothing."""
    forged(volume)
    assert run(bucket(), volume, delete=True).skipped == 5
    assert (volume / "a").read_bytes() == b"bad"


def test_a_file_of_the_same_size_and_time_is_loaded_anew(volume: Path) -> None:
    rewritten(volume / "a", b"bad")
    rewritten(volume / "z" / "large", LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    found = bucket()
    result = distrusting(found, volume)
    assert (result.files, result.skipped) == (2, 3)
    assert set(found.served) == {"a", "z/large"}
    assert tree(volume) == FILES


def test_a_forged_journal_is_not_even_opened(volume: Path) -> None:
    forged(volume)
    (volume / ".kaas-load" / "parts" / "left").write_bytes(b"evil")
    (volume / ".kaas-load" / "evil.sh").write_bytes(b"evil")
    (volume / ".kaas-load" / "deep" / "er").mkdir(parents=True)
    (volume / ".kaas-load" / "mark").write_bytes(b"theirs")
    assert distrusting(bucket(), volume).files == 1
    assert tree(volume) == FILES
    inside = {p.name for p in (volume / ".kaas-load").iterdir() if not p.name.startswith("recent.")}
    assert inside == {"lock", "mark", "parts", "ledger.sqlite"}
    assert list((volume / ".kaas-load" / "parts").iterdir()) == []


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
    [_extra, _links, _kinds, _one_file_twice, _other_sizes, *map(_journal, ("link", "file", "full of links"))],
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


def test_a_sum_that_anybody_can_meet_proves_nothing(volume: Path) -> None:
    """Of a CRC a second content is a matter of a few bytes."""
    found = Bucket(dict(FILES), sums=Algorithm.CRC64NVME, listed=Algorithm.CRC32C)
    result = distrusting(found, volume)
    assert (result.files, result.skipped) == (4, 1)
    assert tree(volume) == FILES


class Proven(Bucket):
    """A bucket that has sums of sums of parts, as S3 has."""

    piece = MIB
    asked: int = 0

    async def proof(self, entry: Entry) -> Proof | None:
        self.asked += 1
        data = self._now(entry)
        parts = [data[at : at + self.piece] for at in range(0, len(data), self.piece)]
        whole = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()  # noqa: S324
        return Proof(Checksum(Algorithm.MD5, whole), self.piece)


def test_what_came_to_the_store_in_parts_is_proven_by_their_sums(volume: Path) -> None:
    found = Proven(dict(FILES))
    assert distrusting(found, volume).verified == {"md5": 4, "size": 1}
    assert found.reads == []
    assert found.asked == 4
    rewritten(volume / "z" / "large", LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    assert distrusting(found, volume, mark="others").files == 1
    assert tree(volume) == FILES


def test_an_object_that_changes_while_it_is_compared_is_listed_anew(volume: Path) -> None:
    found = Proven(dict(FILES))
    proof = found.proof

    async def changing(entry: Entry) -> Proof | None:
        if entry.name == "a":
            found.objects["a"] = b"new"
        return await proof(entry)

    found.proof = changing  # type: ignore[method-assign]
    assert distrusting(found, volume).reason is Reason.LOADED
    assert tree(volume) == {**FILES, "a": b"new"}
    assert found.listings == 2


def test_what_was_compared_once_is_not_again_by_the_same_load(volume: Path) -> None:
    """A loader that was killed goes on; nobody but this claim's loaders has had the volume since."""
    rewritten(volume / "a", b"bad")
    found = bucket()

    def fail(entry: Entry, start: int) -> None:
        raise Denied("killed")

    found.fail = fail
    assert distrusting(found, volume).reason is Reason.ACCESS_DENIED
    keeping(volume / "z" / "large", lambda p: p.write_bytes(bytes(len(LARGE))))
    again = distrusting(bucket(), volume)
    assert (again.files, again.verified) == (1, {"md5": 1})  # the mark is believed
    theirs = distrusting(bucket(), volume, mark="theirs")
    assert (theirs.files, theirs.skipped) == (1, 4)
    assert tree(volume) == FILES


def test_what_the_source_has_changed_is_loaded(volume: Path) -> None:
    found = bucket()
    found.objects["a"] = b"1.1"
    assert distrusting(found, volume).files == 1
    assert tree(volume) == found.objects


def test_without_deletion_a_stranger_files_stay_and_others_are_compared(volume: Path) -> None:
    rewritten(volume / "a", b"bad")
    (volume / "own").write_bytes(b"kept")
    (volume / "b" / "c").chmod(0o600)
    result = run(bucket(), volume, distrust="ours")
    assert (result.files, result.skipped, result.deleted) == (1, 4, 0)
    assert tree(volume) == {**FILES, "own": b"kept"}


def test_of_several_loaders_each_compares_its_own(volume: Path) -> None:
    rewritten(volume / "a", b"bad")
    found = bucket()
    results = [run(found, volume, distrust="ours", shard=Shard(i, 2)) for i in range(2)]
    assert sum(r.files for r in results) == 1
    assert sum(r.skipped for r in results) == 4
    assert tree(volume) == FILES
    with pytest.raises(ValueError, match="several loaders"):
        distrusting(found, volume, shard=Shard(0, 2))


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


def test_a_sum_of_the_whole_proves_as_well(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(LARGE)
    assert distrusting(Bucket({"a": LARGE}, listed=Algorithm.SHA256), tmp_path).verified == {"sha256": 1}
