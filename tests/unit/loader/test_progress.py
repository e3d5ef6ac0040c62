"""What a load tells of how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from kaas.loader.report import Phase, Progress, Reason
from kaas.loader.source import Entry
from tests.unit.loader.bucket import Bucket, run


def test_what_is_listed_is_reported_and_so_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaas.loader.run.EVERY", 0.01)
    seen: list[Progress] = []
    told = asyncio.Event()

    class Slow(Bucket):
        """It goes on when the load has told of what is listed so far."""

        async def pages(self) -> AsyncIterator[Sequence[Entry]]:
            async for page in Bucket.pages(self):
                yield page
                told.clear()
                await asyncio.wait_for(told.wait(), 60)

    def report(progress: Progress) -> None:
        seen.append(progress)
        told.set()

    result = run(Slow({f"{n}": b"1" for n in range(7)}), tmp_path, report=report)
    assert result.reason is Reason.LOADED
    counts = [p.listed for p in seen if p.phase is Phase.LISTING]
    assert counts == sorted(counts)
    assert {3, 6} <= set(counts)
    last = seen[-1]
    assert last.phase is Phase.VERIFYING
    assert (last.bytes_done, last.bytes_total, last.files_done, last.files_total) == (7, 7, 7, 7)
