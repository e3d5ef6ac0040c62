"""A second load of the same directory: what it may believe of the first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from kaas.loader.report import Reason
from kaas.loader.source import Entry, Unreachable
from tests.unit.loader.bucket import Bucket, run, tree


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
