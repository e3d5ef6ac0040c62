"""A second load of the same directory: what it may believe of the first."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from kaas.loader.options import Verify
from kaas.loader.report import Reason
from kaas.loader.source import Entry, Unreachable
from tests.unit.loader.bucket import MIB, Bucket, run, tree


def test_what_only_a_listing_that_broke_off_had_is_deleted(tmp_path: Path) -> None:
    bucket = Bucket({"a": b"1", "b": b"2", "c/d": b"3"}, page=2)
    run(bucket, tmp_path)
    pages = bucket.pages

    async def broken() -> AsyncIterator[Sequence[Entry]]:
        async for page in pages():
            yield page
            raise Unreachable("mem://bucket/: cut off")

    bucket.pages = broken  # type: ignore[method-assign]
    assert run(bucket, tmp_path).reason is Reason.UNREACHABLE
    bucket.pages = pages  # type: ignore[method-assign]
    del bucket.objects["a"]
    result = run(bucket, tmp_path, delete=True)
    assert (result.skipped, result.deleted) == (2, 1)
    assert tree(tmp_path) == bucket.objects


@pytest.mark.parametrize("before", [Verify.SIZE, Verify.OFF])
def test_what_was_not_compared_is_not_there_for_who_compares(before: Verify, tmp_path: Path) -> None:
    bucket = Bucket({"a": b"right", "large": os.urandom(2 * MIB)}, lie=lambda name, data: b"x" * len(data))
    assert run(bucket, tmp_path, verify=before).reason is Reason.LOADED
    bucket.lie = lambda name, data: data
    assert run(bucket, tmp_path, verify=before).skipped == 2
    assert run(bucket, tmp_path).verified == {"crc64nvme": 2}
    assert tree(tmp_path) == bucket.objects
    assert run(bucket, tmp_path).skipped == 2
    assert run(bucket, tmp_path, verify=before).skipped == 2
