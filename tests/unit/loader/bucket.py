"""A source in memory, that counts what is asked for and fails when it is told to."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kaas.loader import checksums
from kaas.loader.options import Limits, Options, Patience
from kaas.loader.report import Progress, Result
from kaas.loader.run import load
from kaas.loader.source import Algorithm, Buffer, Changed, Checksum, Entry, NotThere, SourceError

MIB = 2**20
SMALL = Limits(memory=8 * MIB, cpus=1)
"""Ranges of one MiB, three at a time."""
QUICK = Patience(stall=0.2, slowest=1e9, silence=30, tries=4, backoff=0.001, ceiling=0.01, checkpoint=0)


@dataclass
class Bucket:
    """Objects by name. sums: what `checksum` gives. fail: called before each read; raises what it likes."""

    objects: dict[str, bytes] = field(default_factory=dict)
    sums: Algorithm | None = Algorithm.CRC64NVME
    listed: Algorithm | None = None
    page: int = 3
    fail: Callable[[Entry, int], None] = lambda entry, start: None
    served: Counter[str] = field(default_factory=Counter)
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    label: str = "mem://bucket/"
    listings: int = 0
    stuck: set[str] = field(default_factory=set)
    lie: Callable[[str, bytes], bytes] = lambda name, data: data

    def entry(self, name: str) -> Entry:
        """As the listing has it."""
        data = self.objects[name]
        listed = Checksum(self.listed, checksums.of(self.listed, data)) if self.listed and data else None
        return Entry(f"p/{name}", name, len(data), version(data), listed)

    async def pages(self) -> AsyncIterator[Sequence[Entry]]:
        """Pages of the listing."""
        self.listings += 1
        names = sorted(self.objects)
        for start in range(0, len(names), self.page):
            await asyncio.sleep(0)
            yield [self.entry(name) for name in names[start : start + self.page] if name in self.objects]

    async def read(self, entry: Entry, start: int, length: int) -> Buffer:
        """A range."""
        await asyncio.sleep(0)
        self.reads.append((entry.name, start, length))
        self.fail(entry, start)
        if entry.name in self.stuck:
            await asyncio.sleep(3600)
        data = self._now(entry)
        self.served[entry.name] += length
        return self.lie(entry.name, data[start : start + length])

    def _now(self, entry: Entry) -> bytes:
        data = self.objects.get(entry.name)
        if data is None or version(data) != entry.version:
            raise Changed(f"{entry.key} is not what was listed")
        return data

    async def checksum(self, entry: Entry) -> Checksum | None:
        """Sum of an object."""
        await asyncio.sleep(0)
        return Checksum(self.sums, checksums.of(self.sums, self._now(entry))) if self.sums else None

    async def close(self) -> None:
        """Nothing is open."""


def version(data: bytes) -> str:
    """What changes with the content."""
    return hashlib.sha256(data).hexdigest()[:16]


def run(
    bucket: Bucket,
    to: Path,
    report: Callable[[Progress], None] | None = None,
    patience: Patience = QUICK,
    **options: object,
) -> Result:
    """Load it to its end."""
    wanted = Options(limits=SMALL, patience=patience, **options)  # type: ignore[arg-type]
    return asyncio.run(load(bucket, to, wanted, report=report or (lambda progress: None)))


def tree(path: Path) -> dict[str, bytes]:
    """Files below a directory, without the journal's."""
    found = (p for p in path.rglob("*") if p.is_file() and ".kaas-load" not in p.parts)
    return {str(p.relative_to(path)): p.read_bytes() for p in found}


def gone(message: str = "gone") -> SourceError:
    """What a source says of a bucket that is not there."""
    return NotThere(message)
