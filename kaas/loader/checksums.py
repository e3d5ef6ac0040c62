"""Sums of contents that arrive in ranges, in any order. Pure, but for reading a file back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
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
    return of(expected.algorithm, data) == expected.value


def of_file(algorithm: Algorithm, fd: int, size: int, moved: Callable[[], None] = lambda: None) -> str:
    """Sum of the first bytes of a file, read back: for sums that need their bytes in order. OSError as reads give.

    moved: called for each block: a large file on a slow disk takes longer than a load may be silent.
    """
    found = _hash(algorithm)
    at = 0
    while at < size:
        block = os.pread(fd, min(BLOCK, size - at), at)
        if not block:
            break
        found.update(block)
        at += len(block)
        moved()
    return str(found.hexdigest())


def _hash(algorithm: Algorithm, data: Buffer = b"") -> Any:
    # They find damage, nobody relies on them against an attacker.
    return hashlib.new(algorithm.value, data, usedforsecurity=False)
