"""Sharing out objects: each to exactly one, evenly, and for ever the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader.shards import Shard, owns


@given(st.text(max_size=20), st.integers(1, 64))
def test_each_object_is_one_shards(name: str, count: int) -> None:
    assert sum(owns(name, index, count) for index in range(count)) == 1


def test_the_same_in_every_version() -> None:
    """Figures of the first version. They must never change: loads that run are shared out by them."""
    names = ["", "a", "a/b", "models/foo.safetensors", "日本", "\udcff"]
    assert [next(i for i in range(8) if owns(name, i, 8)) for name in names] == GOLDEN


GOLDEN = [4, 7, 0, 3, 2, 1]


def test_evenly() -> None:
    counts = [sum(owns(f"data/part-{n:05}.parquet", index, 7) for n in range(7000)) for index in range(7)]
    assert all(850 < count < 1150 for count in counts)


def test_parse() -> None:
    assert Shard.parse("2/4") == Shard(2, 4)
    assert Shard().owns("anything")


@pytest.mark.parametrize("text", ["", "1", "4/4", "0/0", "0/65", "-1/4", "1/4 ", "a/b", "1/4/8"])
def test_wrong(text: str) -> None:
    with pytest.raises(ValueError, match="shard"):
        Shard.parse(text)
