"""Globs: what they take, what they cannot be, that none of them is slow, and that some of them leave nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader.faults import exit_code
from kaas.loader.filters import Filter, PatternError
from kaas.loader.report import Exit, Reason
from kaas.loader.shards import Shard
from tests.unit.loader.bucket import Bucket, run, tree

FITS = {
    "*.json": (["a.json", "d/e/a.json", ".json"], ["a.jsonl", "a.json/b"]),
    "config.json": (["config.json", "a/config.json"], ["Config.json", "xconfig.json", "config.json/x"]),
    "/config.json": (["config.json"], ["a/config.json"]),
    "a/*.bin": (["a/x.bin", "a/.bin"], ["x.bin", "a/b/x.bin", "c/a/x.bin"]),
    "a/**/x": (["a/x", "a/b/x", "a/b/c/x"], ["ax", "x", "a/xx"]),
    "**/x": (["x", "a/x", "a/b/x"], ["ax", "x/y"]),
    "a/**": (["a/x", "a/b/c", "a/"], ["a", "ab/c"]),
    "**": (["x", "a/b", "a/"], []),
    "logs/": (["logs/x", "logs/a/b", "logs/", "a/logs/x"], ["logs", "xlogs/y"]),
    "/logs/": (["logs/x", "logs/"], ["a/logs/x"]),
    "a/b/": (["a/b/c", "a/b/"], ["x/a/b/c", "a/b"]),
    "empty": (["empty", "empty/", "a/empty/"], ["empty/x"]),
    "?": (["a", "ü", "a/b", "\n"], ["ab"]),
    "[ab]x": (["ax", "bx"], ["cx", "x"]),
    "[a-c]": (["a", "b", "c"], ["d", "-"]),
    "[!a-c]": (["d", "-"], ["a"]),
    "[]]": (["]"], ["["]),
    "[!]]": (["x"], ["]"]),
    "[[]": (["["], ["]"]),
    "[^a]": (["^", "a"], ["b"]),
    "[\\]": (["\\"], ["x"]),
    "a.b": (["a.b"], ["axb"]),
    "a+(b)|c$": (["a+(b)|c$"], ["aab"]),
    "a\\*": (["a\\x"], ["a*"]),
}  # fmt: skip
WRONG = {
    "a//b": "two slashes",
    "/": "two slashes",
    "a**": "whole segments",
    "**b/c": "whole segments",
    "[ab": "has no ]",
    "[]": "has no ]",
    "[!]": "has no ]",
    "[b-a]": "class of characters",
    "a[b/c]d": "has no ]",
}


@pytest.mark.parametrize("pattern", FITS)
def test_what_a_pattern_fits(pattern: str) -> None:
    fits, others = FITS[pattern]
    wanted = Filter([pattern])
    assert [name for name in fits if not wanted.takes(name)] == []
    assert [name for name in others if wanted.takes(name)] == []
    left = Filter([], [pattern])
    assert [name for name in fits if left.takes(name)] == []


@pytest.mark.parametrize("pattern", WRONG)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(PatternError, match=re.escape(WRONG[pattern])) as refusal:
        Filter([pattern])
    assert repr(pattern) in str(refusal.value)


def test_without_patterns_all_is_taken() -> None:
    assert Filter().takes("anything/at/all")
    assert Filter.parse([""], [" , "]).takes("x")


def test_commas_stand_between_patterns() -> None:
    wanted = Filter.parse(["*.json, *.txt", "a/**"], ["secret.*,a/b/"])
    assert [n for n in ("x.json", "y/x.txt", "a/c", "z.bin", "secret.json", "a/b/c") if wanted.takes(n)] == [
        "x.json",
        "y/x.txt",
        "a/c",
    ]


def test_exclude_wins() -> None:
    assert not Filter(["*.bin"], ["big.bin"]).takes("big.bin")


@given(st.text(alphabet="ab*?[]!-/\\.", max_size=8), st.text(alphabet="ab/.-", max_size=12))
def test_any_text_is_a_pattern_or_refused(pattern: str, name: str) -> None:
    try:
        wanted = Filter.parse([pattern])
    except PatternError:
        return
    wanted.takes(name)


def test_a_hard_pattern_on_a_long_name_is_quick() -> None:
    wanted = Filter(["**/*a*/**/*b*/**/c"])
    assert not wanted.takes("ab/" * 60 + "d")


TYPO = Filter.parse(["*.safetensor"]).takes


@pytest.mark.parametrize("shard", [Shard(), Shard(0, 2), Shard(1, 2)], ids=str)
def test_patterns_that_leave_nothing_are_wrong_and_cost_nothing(tmp_path: Path, shard: Shard) -> None:
    """Pods would begin on an empty volume; and one that was full would be emptied."""
    bucket = Bucket({"m/a.safetensors": b"1", "m/b.safetensors": b"2", "m/": b""})
    assert run(bucket, tmp_path, shard=shard).reason is Reason.LOADED
    there = tree(tmp_path)
    result = run(bucket, tmp_path, shard=shard, takes=TYPO, delete=True, delete_excluded=True)
    assert (result.reason, exit_code(result.reason)) == (Reason.INVALID_SPEC, Exit.PERMANENT)
    assert result.message == "of 2 objects of the source none fits include and exclude: correct them"
    assert tree(tmp_path) == there
    assert run(bucket, tmp_path, shard=shard).files == 0


def test_an_object_that_is_left_out_is_told_too(tmp_path: Path) -> None:
    assert run(Bucket({"one": b"1"}), tmp_path, takes=Filter.parse([], ["o*"]).takes).reason is Reason.INVALID_SPEC


def test_a_loader_to_which_nothing_falls_has_loaded(tmp_path: Path) -> None:
    bucket, wanted = Bucket({"a.bin": b"1", "b": b"2"}), Filter.parse(["*.bin"]).takes
    results = [run(bucket, tmp_path, shard=Shard(index, 4), takes=wanted) for index in range(4)]
    assert [r.reason for r in results] == [Reason.LOADED] * 4
    assert sum(r.files for r in results) == 1


def test_directories_alone_are_no_objects(tmp_path: Path) -> None:
    result = run(Bucket({"a/": b"", "b/": b""}), tmp_path, takes=TYPO)
    assert (result.reason, result.files) == (Reason.LOADED, 0)
