"""A source with as many objects as are wanted, none of which can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from kaas.loader.options import Limits, Options
from kaas.loader.run import load
from kaas.loader.source import Buffer, Checksum, Denied, Entry

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


def forget_memory() -> None:
    """Begin anew with `most_memory`. Source: proc(5), clear_refs."""
    Path("/proc/self/clear_refs").write_text("5")


def most_memory() -> int:
    """Most bytes of memory that this process had. Not of its rusage: there what started it counts, too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("/proc/self/status has no VmHWM")


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
