"""Sums of contents that arrive in ranges, in any order. Pure, but for reading a file back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from awscrt import checksums

from kaas.loader.source import Algorithm, Buffer, Checksum

BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Cyclic:
    """A sum of which those of two pieces give that of the whole.

    of: of data, and of what came before it. combine: of two pieces, and the length of the second.
    """

    bits: int
    of: Callable[[Buffer, int], int]
    combine: Callable[[int, int, int], int]

    def whole(self, sums: Iterable[int], piece: int, size: int) -> int:
        """Of sums of pieces in their order; each of so many bytes, but for the last of what remains of `size`."""
        found, at = 0, 0
        for value in sums:
            length = min(piece, size - at)
            found = self.combine(found, value, length) if at else value
            at += length
        return found

    def text(self, value: int) -> str:
        """As a Checksum has it."""
        return f"{value:0{self.bits // 4}x}"


CYCLIC: Final[dict[Algorithm, Cyclic]] = {
    Algorithm.CRC32: Cyclic(32, checksums.crc32, checksums.combine_crc32),
    Algorithm.CRC32C: Cyclic(32, checksums.crc32c, checksums.combine_crc32c),
    Algorithm.CRC64NVME: Cyclic(64, checksums.crc64nvme, checksums.combine_crc64nvme),
}


def of(algorithm: Algorithm, data: Buffer) -> str:
    """Sum of a content that is there whole."""
    cyclic = CYCLIC.get(algorithm)
    return cyclic.text(cyclic.of(data, 0)) if cyclic else str(_hash(algorithm, data).hexdigest())


def matches(expected: Checksum, data: Buffer) -> bool:
    """Whether a content is the one that was summed."""
    if not expected.parts:
        return of(expected.algorithm, data) == expected.value
    view = memoryview(data)
    sums = (of(expected.algorithm, view[start:end]) for start, end in spans(expected.parts))
    return of_sums(expected.algorithm, sums) == expected.value


def of_sums(algorithm: Algorithm, sums: Iterable[str]) -> str:
    """Sum of the sums of parts, as S3 makes it of an object that came in parts."""
    return of(algorithm, b"".join(map(bytes.fromhex, sums)))


def spans(parts: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Where each of some parts begins and ends."""
    at = 0
    for length in parts:
        yield at, at + length
        at += length


def file_matches(expected: Checksum, fd: int, size: int, moved: Callable[[], None] = lambda: None) -> bool:
    """Whether the first bytes of a file, read back, are the content that was summed. OSError as reads give.

    moved: called for each block: a large file on a slow disk takes longer than a load may be silent.
    """
    algorithm, parts = expected.algorithm, expected.parts
    if not parts:
        return _of_file(algorithm, fd, 0, size, moved) == expected.value
    sums = (_of_file(algorithm, fd, start, end, moved) for start, end in spans(parts))
    return of_sums(algorithm, sums) == expected.value


def _of_file(algorithm: Algorithm, fd: int, start: int, end: int, moved: Callable[[], None]) -> str:
    blocks = _blocks(fd, start, end, moved)
    if cyclic := CYCLIC.get(algorithm):
        total = 0
        for block in blocks:
            total = cyclic.of(block, total)
        return cyclic.text(total)
    found = _hash(algorithm)
    for block in blocks:
        found.update(block)
    return str(found.hexdigest())


def _blocks(fd: int, start: int, end: int, moved: Callable[[], None]) -> Iterator[bytes]:
    while start < end and (block := os.pread(fd, min(BLOCK, end - start), start)):
        yield block
        start += len(block)
        moved()


def _hash(algorithm: Algorithm, data: Buffer = b"") -> Any:
    # They find damage, nobody relies on them against an attacker.
    return hashlib.new(algorithm.value, data, usedforsecurity=False)
