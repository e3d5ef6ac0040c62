"""Contents that are compared with a sum of the sums of parts, as they came to the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kaas.loader import checksums
from kaas.loader.report import Reason
from kaas.loader.source import Algorithm, Checksum, Entry
from tests.unit.loader.bucket import MIB, run, tree
from tests.unit.loader.test_lane import Quick

SMALL = b"0123456789abcdef" * 100
LARGE = os.urandom(3 * MIB + 17)


@dataclass
class Composite(Quick):
    """A bucket that has no other sums. lengths: of parts; alike: what it says of them before they are measured."""

    algorithm: Algorithm = Algorithm.CRC32
    lengths: Callable[[int], Sequence[int]] = lambda size: equal(size, 2 * MIB)
    alike: Callable[[int], Sequence[int]] = lambda size: equal(size, 2 * MIB)
    tells: bool = True
    measurings: list[str] = field(default_factory=list)

    async def checksum(self, entry: Entry) -> Checksum | None:
        return self._sum(entry, self.alike(entry.size))

    def _sum(self, entry: Entry, said: Sequence[int]) -> Checksum:
        data = self._now(entry)
        spans = checksums.spans(self.lengths(entry.size))
        value = checksums.of_sums(self.algorithm, (checksums.of(self.algorithm, data[a:b]) for a, b in spans))
        return Checksum(self.algorithm, value, tuple(said))

    async def measured(self, entry: Entry, checksum: Checksum) -> Checksum | None:
        self.measurings.append(entry.name)
        return self._sum(entry, self.lengths(entry.size)) if self.tells else None


def equal(size: int, part: int) -> Sequence[int]:
    return [min(part, size - at) for at in range(0, size, part)]


def uneven(size: int) -> Sequence[int]:
    return [size // 3, size - size // 3 - size // 5, size // 5]


OBJECTS = {"small": SMALL, "large": LARGE}


@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.CRC32C, Algorithm.SHA256])
@pytest.mark.parametrize("part", [MIB, 2 * MIB, MIB + 5, 10 * MIB], ids=["a range", "ranges", "no ranges", "one"])
def test_a_sum_of_sums_is_compared(tmp_path: Path, algorithm: Algorithm, part: int) -> None:
    lengths = lambda size: equal(size, part)  # noqa: E731
    bucket = Composite(dict(OBJECTS), algorithm=algorithm, lengths=lengths, alike=lengths)
    result = run(bucket, tmp_path)
    assert result.reason is Reason.LOADED, result.message
    assert result.verified == {algorithm.value: 2}
    assert tree(tmp_path) == OBJECTS
    assert bucket.measurings == []


@pytest.mark.parametrize("name", list(OBJECTS))
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32C, Algorithm.SHA1])
def test_a_content_that_is_not_its_sum_is_loaded_again(tmp_path: Path, name: str, algorithm: Algorithm) -> None:
    bucket, lies = Composite(dict(OBJECTS), algorithm=algorithm), [1]

    def lie(of: str, data: bytes) -> bytes:
        return bytes([data[0] ^ 1]) + data[1:] if of == name and lies and not lies.pop() - 1 else data

    bucket.lie = lie
    assert run(bucket, tmp_path).reason is Reason.LOADED
    assert tree(tmp_path) == OBJECTS


@pytest.mark.parametrize("name", list(OBJECTS))
def test_one_that_never_is_ends_the_load(tmp_path: Path, name: str) -> None:
    bucket = Composite(dict(OBJECTS))
    bucket.lie = lambda of, data: data[::-1] if of == name else data
    result = run(bucket, tmp_path)
    assert result.reason is Reason.CORRUPT
    assert f"{name}: came 3 times and never with crc32" in result.message


def test_parts_that_only_seem_alike_are_measured(tmp_path: Path) -> None:
    bucket = Composite(dict(OBJECTS), lengths=uneven)
    result = run(bucket, tmp_path)
    assert result.reason is Reason.LOADED, result.message
    assert result.verified == {"crc32": 2}
    assert sorted(bucket.measurings) == ["large", "small"]
    assert len(bucket.streamed) + len(bucket.reads) == 5, "nothing is fetched twice for it"


def test_where_nobody_tells_how_long_parts_are_sizes_are_compared(tmp_path: Path) -> None:
    bucket = Composite(dict(OBJECTS), lengths=uneven, tells=False)
    result = run(bucket, tmp_path)
    assert result.reason is Reason.LOADED, result.message
    assert result.verified == {"size": 2}
    assert tree(tmp_path) == OBJECTS
