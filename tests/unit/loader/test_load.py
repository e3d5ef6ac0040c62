from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.loader.faults import exit_code
from kaas.loader.filters import Filter
from kaas.loader.options import Options, Patience, Verify
from kaas.loader.owner import Owner
from kaas.loader.report import Exit, Phase, Progress, Reason, Result
from kaas.loader.run import load
from kaas.loader.shards import Shard
from kaas.loader.source import Algorithm, Checksum, Denied, Entry, Refused, Unreachable
from tests.unit.loader.bucket import MIB, QUICK, SMALL, Bucket, run, tree

LARGE = os.urandom(3 * MIB + 17)
FILES = {"a": b"one", "b/c": b"two", "b/d/e": b"", "b/größe ☃": b"three", "z/large": LARGE}


def test_all_objects_become_files(tmp_path: Path) -> None:
    bucket = Bucket(dict(FILES))
    result = run(bucket, tmp_path / "new" / "data")
    assert (result.reason, result.message) == (
        Reason.LOADED,
        "5 files with 3.0 MiB loaded; compared: 4 by crc64nvme, 1 by size",
    )
    assert tree(tmp_path / "new" / "data") == FILES
    assert (result.files, result.bytes, result.skipped) == (5, sum(map(len, FILES.values())), 0)
    assert len(result.digest) == 64


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    bucket = Bucket(dict(FILES))
    first = run(bucket, tmp_path)
    bucket.reads.clear()
    bucket.objects["a"] = b"new"
    second = run(bucket, tmp_path)
    assert bucket.reads == [("a", 0, 3)]
    assert (second.files, second.skipped) == (1, 4)
    assert tree(tmp_path) == bucket.objects
    assert first.digest != second.digest


def test_a_file_that_somebody_changed_is_fetched_again(tmp_path: Path) -> None:
    bucket = Bucket(dict(FILES))
    run(bucket, tmp_path)
    (tmp_path / "a").write_bytes(b"ONE")
    (tmp_path / "b" / "c").unlink()
    result = run(bucket, tmp_path)
    assert (result.files, result.skipped) == (2, 3)
    assert tree(tmp_path) == FILES


def test_another_source_is_loaded_anew(tmp_path: Path) -> None:
    run(Bucket(dict(FILES)), tmp_path)
    assert run(Bucket(dict(FILES), label="mem://other/"), tmp_path).files == len(FILES)


def test_markers_become_directories_and_empty_ones_stay(tmp_path: Path) -> None:
    bucket = Bucket({"d/": b"", "e/f/": b"", "e/f/g": b"1"})
    assert run(bucket, tmp_path, delete=True).reason is Reason.LOADED
    assert (tmp_path / "d").is_dir()
    assert tree(tmp_path) == {"e/f/g": b"1"}


@pytest.mark.parametrize("names", [["a", "a/b"], ["a/b", "a/b/c/d"], ["x", "x-y", "x.z", "x/"]])
def test_a_file_that_is_a_directory_too_names_both(tmp_path: Path, names: list[str]) -> None:
    result = run(Bucket({name: b"" if name.endswith("/") else b"1" for name in names}), tmp_path)
    assert result.reason is Reason.INVALID_KEY
    assert f"{names[0]} and {names[-1]}" in result.message
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/./b", "x\0y", "s" * 256, ".kaas-load/x"])
def test_a_key_that_is_no_path_ends_the_load(tmp_path: Path, name: str) -> None:
    result = run(Bucket({name: b"1"}), tmp_path / "data")
    assert result.reason is Reason.INVALID_KEY
    assert exit_code(result.reason) is Exit.PERMANENT
    assert os.listdir(tmp_path) == ["data"]


def test_a_marker_with_a_content_is_refused(tmp_path: Path) -> None:
    result = run(Bucket({"d/": b"content"}), tmp_path)
    assert result.reason is Reason.INVALID_KEY
    assert "7 bytes" in result.message


def test_a_planted_link_leads_nowhere(tmp_path: Path) -> None:
    outside, data = tmp_path / "outside", tmp_path / "data"
    outside.mkdir()
    data.mkdir()
    (data / "b").symlink_to(outside)
    (outside / "kept").write_bytes(b"kept")
    (data / "a").symlink_to(outside / "kept")
    result = run(Bucket(dict(FILES)), data)
    assert result.reason is Reason.INVALID_KEY
    assert "b: is a symbolic link" in result.message
    assert run(Bucket(dict(FILES)), data, delete=True).reason is Reason.LOADED
    assert tree(outside) == {"kept": b"kept"}
    assert tree(data) == FILES
    assert not (data / "a").is_symlink()


def test_a_planted_journal_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    data = tmp_path / "data"
    data.mkdir()
    (data / ".kaas-load").symlink_to(tmp_path / "outside")
    assert run(Bucket(dict(FILES)), data).reason is Reason.INVALID_SPEC
    assert os.listdir(tmp_path / "outside") == []


def test_delete_removes_what_the_source_has_not(tmp_path: Path) -> None:
    for name in ("old/deep/file", "lost+found/x", "keep.txt", "b/stale"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / "link").symlink_to("/etc")
    takes = Filter(exclude=["*.txt"]).takes
    result = run(Bucket(dict(FILES)), tmp_path, delete=True, takes=takes)
    assert (result.reason, result.deleted) == (Reason.LOADED, 3)
    assert tree(tmp_path) == FILES | {"lost+found/x": b"old", "keep.txt": b"old"}
    assert sorted(os.listdir(tmp_path)) == [".kaas-load", "a", "b", "keep.txt", "lost+found", "z"]
    assert os.path.exists("/etc/passwd")


def test_nothing_is_deleted_after_a_listing_that_broke_off(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    bucket = Bucket(dict(FILES))
    pages = bucket.pages

    async def broken():  # type: ignore[no-untyped-def]
        async for page in pages():
            yield page
            raise Unreachable("mem://bucket/: cut off")

    bucket.pages = broken  # type: ignore[method-assign]
    assert run(bucket, tmp_path, delete=True).reason is Reason.UNREACHABLE
    assert tree(tmp_path) == {"old": b"old"}


def test_a_file_makes_way_for_a_directory_and_back(tmp_path: Path) -> None:
    run(Bucket({"x/y": b"1", "f": b"2"}), tmp_path)
    assert "f: is a file" in run(Bucket({"f/g": b"4"}), tmp_path).message
    assert "x: is a directory" in run(Bucket({"x": b"3"}), tmp_path).message
    assert run(Bucket({"x": b"3", "f/g": b"4"}), tmp_path, delete=True).reason is Reason.LOADED
    assert tree(tmp_path) == {"x": b"3", "f/g": b"4"}


def test_shards_share_and_together_have_all(tmp_path: Path) -> None:
    files = {f"d{n % 7}/{n}": str(n).encode() for n in range(60)}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_bytes(b"")
    bucket = Bucket(files)
    results = [run(bucket, tmp_path, delete=True, shard=Shard(index, 3)) for index in range(3)]
    assert tree(tmp_path) == files
    assert sum(r.files for r in results) == len(files)
    assert sum(r.deleted for r in results) == 1
    assert all(r.files for r in results)
    assert run(bucket, tmp_path, shard=Shard(0, 3)).files == 0
    assert run(bucket, tmp_path, shard=Shard(0, 1)).files == len(files)
    assert not list((tmp_path / ".kaas-load").glob("*-of-3"))


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_contents_are_compared(tmp_path: Path, algorithm: Algorithm) -> None:
    bucket = Bucket({"s": b"small", "large": LARGE}, sums=algorithm)
    assert run(bucket, tmp_path).verified == {algorithm.value: 2}
    assert tree(tmp_path) == bucket.objects


@pytest.mark.parametrize("algorithm", [Algorithm.CRC32C, Algorithm.MD5])
@pytest.mark.parametrize("name", ["s", "large"])
@pytest.mark.parametrize("times", [2, 3])
def test_a_damaged_content_is_fetched_again_twice(tmp_path: Path, name: str, algorithm: Algorithm, times: int) -> None:
    bucket = Bucket({"s": b"small", "large": LARGE}, sums=algorithm)
    damaged: list[str] = []

    def lie(read: str, data: bytes) -> bytes:
        if read != name or len(damaged) == times or (name == "large" and len(data) != 17):
            return data
        damaged.append(read)
        return bytes([data[0] ^ 1]) + data[1:]

    bucket.lie = lie
    result = run(bucket, tmp_path)
    if times == 3:
        assert result.reason is Reason.CORRUPT
        assert f"p/{name}" in result.message
        assert name not in tree(tmp_path)
    else:
        assert result.reason is Reason.LOADED
        assert tree(tmp_path) == bucket.objects


def test_an_etag_that_is_no_md5_is_not_believed(tmp_path: Path) -> None:
    bucket = Bucket({"s": b"small", "large": LARGE}, sums=None, listed=Algorithm.MD5)
    entry = bucket.entry

    def lying(name: str) -> Entry:
        return replace(entry(name), checksum=Checksum(Algorithm.MD5, "0" * 32))

    bucket.entry = lying  # type: ignore[method-assign]
    assert run(bucket, tmp_path).verified == {"size": 2}
    bucket.sums = Algorithm.CRC32
    assert run(bucket, tmp_path / "again").verified == {"crc32": 2}


@pytest.mark.parametrize(("verify", "method"), [(Verify.SIZE, "size"), (Verify.OFF, "off")])
def test_contents_are_not_compared_on_request(tmp_path: Path, verify: Verify, method: str) -> None:
    assert run(Bucket({"s": b"small", "large": LARGE}), tmp_path, verify=verify).verified == {method: 2}


def test_an_object_that_changes_is_listed_and_loaded_anew(tmp_path: Path) -> None:
    bucket = Bucket({"s": b"small", "large": LARGE, "gone": b"1"})

    def change(entry: Entry, start: int) -> None:
        if entry.name == "large" and start > 0 and bucket.listings == 1:
            bucket.objects["large"] = b"now small"
            bucket.objects.pop("gone", None)

    bucket.fail = change
    result = run(bucket, tmp_path, delete=True)
    assert result.reason is Reason.LOADED
    assert tree(tmp_path) == {"s": b"small", "large": b"now small"}
    assert bucket.listings == 2
    assert bucket.served["s"] == len(b"small")


def test_an_object_that_changes_always_ends_the_load(tmp_path: Path) -> None:
    bucket = Bucket({"s": b"0"})
    bucket.fail = lambda entry, start: bucket.objects.update(s=bucket.objects["s"] + b"0")
    result = run(bucket, tmp_path)
    assert (result.reason, bucket.listings) == (Reason.CHANGED, 3)
    assert exit_code(result.reason) is Exit.RETRY


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Denied("no"), Reason.ACCESS_DENIED),
        (Refused("no"), Reason.INVALID_SPEC),
        (Unreachable("no"), Reason.UNREACHABLE),
    ],
)
def test_errors_of_the_source_have_reasons(tmp_path: Path, error: Exception, reason: Reason) -> None:
    def fail(entry: Entry, start: int) -> None:
        if start == MIB or entry.name == "s":
            raise error

    for objects in ({"s": b"1"}, {"large": LARGE}):
        result = run(Bucket(objects, fail=fail), tmp_path)
        assert (result.reason, result.message) == (reason, "no")


def test_a_range_that_does_not_come_is_asked_for_again(tmp_path: Path) -> None:
    bucket = Bucket({"s": b"1", "large": LARGE}, stuck={"s"})
    bucket.fail = lambda entry, start: bucket.stuck.discard("s") if bucket.served["large"] == len(LARGE) else None
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects
    assert [r for r in bucket.reads if r[0] == "s"][1:]


def test_a_load_to_which_nothing_comes_ends(tmp_path: Path) -> None:
    patience = Patience(stall=3600, silence=0.5)
    result = run(Bucket({"s": b"1"}, stuck={"s"}), tmp_path, patience=patience)
    assert (result.reason, exit_code(result.reason)) == (Reason.STALLED, Exit.RETRY)


def test_what_fails_often_but_not_always_is_loaded(tmp_path: Path) -> None:
    seen: dict[tuple[str, int], int] = {}

    def fail(entry: Entry, start: int) -> None:
        count = seen[entry.name, start] = seen.get((entry.name, start), 0) + 1
        if count < QUICK.tries:
            raise Unreachable("SlowDown", 0.001)

    bucket = Bucket(dict(FILES), fail=fail)
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == FILES


def test_owner_and_mode(tmp_path: Path) -> None:
    owner = Owner(os.getuid(), os.getgid(), 0o640)
    run(Bucket(dict(FILES)), tmp_path, owner=owner)
    for name in FILES:
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "b" / "d").stat().st_mode & 0o777 == 0o750


def test_two_loads_at_once_are_refused(tmp_path: Path) -> None:
    results = []

    def fail(entry: Entry, start: int) -> None:
        other = threading.Thread(target=lambda: results.append(run(Bucket({"s": b"1"}), tmp_path)))
        other.start()
        other.join()

    assert run(Bucket({"s": b"1"}, fail=fail), tmp_path).reason is Reason.LOADED
    assert "another load" in results[0].message
    assert run(Bucket({"s": b"2"}), tmp_path).reason is Reason.LOADED


def test_holes_stay_holes(tmp_path: Path) -> None:
    data = bytes(2 * MIB) + b"x" * MIB + bytes(5)
    run(Bucket({"f": data}), tmp_path, sparse=True)
    assert (tmp_path / "f").read_bytes() == data
    assert (tmp_path / "f").stat().st_blocks * 512 < 2 * MIB


def test_damage_does_not_stay_where_a_hole_belongs(tmp_path: Path) -> None:
    bucket = Bucket({"f": bytes(2 * MIB) + b"x" * MIB})
    damaged = [b"y" * MIB]
    bucket.lie = lambda name, data: damaged.pop() if damaged else data
    assert run(bucket, tmp_path, sparse=True).reason is Reason.LOADED
    assert tree(tmp_path) == bucket.objects


def test_deep_trees(tmp_path: Path) -> None:
    files = {
        "/".join("d" * 1000) + "/f": b"1",
        "/".join("d" * 400): b"",
        **{"x/" * n + "f": b"2" for n in range(1, 60)},
    }
    files["/".join("e" * 900) + "/g"] = files.pop("/".join("d" * 400))
    bucket = Bucket(files)
    assert run(bucket, tmp_path).reason is Reason.LOADED
    bucket.objects = {"x/f": b"2"}
    result = run(bucket, tmp_path, delete=True)
    assert (result.reason, result.deleted) == (Reason.LOADED, len(files) - 1)
    assert sorted(os.listdir(tmp_path)) == [".kaas-load", "x"]


@settings(max_examples=30)
@given(st.dictionaries(st.text("ab/.~", min_size=1, max_size=6), st.binary(max_size=5), max_size=8))
def test_any_names_are_loaded_or_refused_and_stay_below(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    base = tmp_path_factory.mktemp("any")
    result = run(Bucket(files), base / "data")
    assert os.listdir(base) == ["data"]
    if result.reason is Reason.LOADED:
        assert tree(base / "data") == {name: data for name, data in files.items() if not name.endswith("/")}
    else:
        assert result.reason is Reason.INVALID_KEY


def test_a_load_that_is_told_to_stop_keeps_what_it_has(tmp_path: Path) -> None:
    bucket = Bucket({"large": LARGE, "stuck": b"1"}, stuck={"stuck"})

    async def stopped() -> Result:
        stop = asyncio.Event()
        bucket.fail = lambda entry, start: stop.set() if (tmp_path / "large").exists() else None
        patience = replace(QUICK, stall=0.05, tries=10**6)
        return await load(bucket, tmp_path, Options(limits=SMALL, patience=patience), stop=stop)

    result = asyncio.run(stopped())
    assert (result.reason, exit_code(result.reason)) == (Reason.INTERRUPTED, Exit.RETRY)
    assert tree(tmp_path) == {"large": LARGE}
    bucket.stuck.clear()
    assert run(bucket, tmp_path).bytes == 1


def test_progress_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaas.loader.run.EVERY", 0.02)
    seen: list[Progress] = []
    bucket = Bucket({"large": LARGE, "stuck": b"1"}, stuck={"stuck"})
    bucket.fail = lambda entry, start: bucket.stuck.clear() if len(seen) > 10 else None
    run(bucket, tmp_path, report=seen.append)
    assert {(p.bytes_total, p.files_total) for p in seen if p.phase is Phase.LOADING} == {(len(LARGE) + 1, 2)}
    done = [p.bytes_done for p in seen]
    assert done == sorted(done)
    assert Progress.parse(seen[-1].line()) == seen[-1]
