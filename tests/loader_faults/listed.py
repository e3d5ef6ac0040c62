"""A source with as many objects as are wanted, none of which can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from kaas.loader.options import Limits, Options
from kaas.loader.run import load
from kaas.loader.source import Buffer, Checksum, Denied, Entry
from tests.memory import most_memory

PAGE = 1000


class Listed:
    """Objects of one size, in directories of a hundred."""

    label = "mem://listed/"

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self.pages_read = 0

    async def pages(self) -> AsyncIterator[Sequence[Entry]]:
        """The listing."""
        for start in range(0, self.count, PAGE):
            self.pages_read += 1
            yield [self._entry(n) for n in range(start, min(start + PAGE, self.count))]

    def _entry(self, number: int) -> Entry:
        name = f"images/of/the/training/set/{number // 100:06d}/image-{number:09d}.jpeg"
        return Entry(f"prefix/{name}", name, self.size, f"{number:032x}")

    async def read(self, entry: Entry, start: int, length: int) -> Buffer:
        """Never."""
        raise Denied("nothing of it can be read")

    async def checksum(self, entry: Entry) -> Checksum | None:
        """None is known."""
        return None

    async def close(self) -> None:
        """Nothing is open."""


def list_in_a_process(to: str, count: int, found: Any) -> None:
    """Load it as far as it goes; puts the reason, the files of the listing, and the most memory that was used."""
    totals: list[int] = []
    result = asyncio.run(
        load(
            Listed(count, 0 if count < PAGE else 1),
            Path(to),
            Options(limits=Limits(None, 2)),
            report=lambda progress: totals.append(progress.files_total or 0),
        )
    )
    memory = most_memory()
    found.put((str(result.reason), max(totals, default=0), memory, result.digest))
