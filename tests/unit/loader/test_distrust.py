"""A directory that a stranger has filled: what of it is believed, and by which sums."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from kaas.loader.report import Reason
from kaas.loader.shards import Shard
from kaas.loader.source import Algorithm, Checksum, Denied, Entry
from tests.unit.loader.bucket import MIB, Bucket, run, tree
from tests.unit.loader.strangers import FILES, LARGE, bucket, distrusting, filled, keeping, rewritten


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return filled(tmp_path / "volume")


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

    async def proof(self, entry: Entry) -> Checksum | None:
        self.asked += 1
        data = self._now(entry)
        parts = [data[at : at + self.piece] for at in range(0, len(data), self.piece)]
        whole = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()  # noqa: S324
        return Checksum(Algorithm.MD5, whole, tuple(map(len, parts)))


def test_what_came_to_the_store_in_parts_is_proven_by_their_sums(volume: Path) -> None:
    found = Proven(dict(FILES))
    assert distrusting(found, volume).verified == {"md5": 4, "size": 1}
    assert found.reads == []
    assert found.asked == 4
    rewritten(volume / "z" / "large", LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    assert distrusting(found, volume, mark="others").files == 1
    assert tree(volume) == FILES


def test_a_sum_of_the_whole_proves_as_well(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(LARGE)
    assert distrusting(Bucket({"a": LARGE}, listed=Algorithm.SHA256), tmp_path).verified == {"sha256": 1}


def test_an_object_that_changes_while_it_is_compared_is_listed_anew(volume: Path) -> None:
    found = Proven(dict(FILES))
    proof = found.proof

    async def changing(entry: Entry) -> Checksum | None:
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
    assert not (volume / "a").exists()  # it has made way: its room may be needed
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
