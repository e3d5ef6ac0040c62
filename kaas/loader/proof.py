"""Sums by which a content is known from one that somebody has made to look like it.

A CRC finds damage. Whoever wants another content with the same CRC writes a few bytes, so none of them proves anything
of a file that a stranger has written. MD5 and SHA-1 do: that two contents with one sum can be made helps only who has
made the original too, and of a given content nobody has found a second one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from kaas.loader.checksums import BLOCK
from kaas.loader.source import Algorithm, Checksum, Entry

STRONG: Final = frozenset({Algorithm.MD5, Algorithm.SHA1, Algorithm.SHA256})


@dataclass(frozen=True, slots=True)
class Proof:
    """A strong sum of a whole object. piece: it is the sum of the sums of parts of so many bytes; None: of the content.

    Source of pieces: the ETag that S3 gives what came in parts, MD5 of their MD5s.
    """

    checksum: Checksum
    piece: int | None = None


@runtime_checkable
class Proving(Protocol):
    """A source that knows stronger sums than those it lists. SourceError, as every method of a source."""

    async def proof(self, entry: Entry) -> Proof | None:
        """The strongest sum that the store has of an object; None when it has none that proves anything."""


def proof_of(checksum: Checksum | None) -> Proof | None:
    """What a sum proves; None for nothing."""
    return Proof(checksum) if checksum is not None and checksum.algorithm in STRONG else None


def holds(proof: Proof, fd: int, size: int, moved: Callable[[], None]) -> bool:
    """Whether the first `size` bytes of an open file are what was proven. moved: called for each block read.

    OSError as reads give.
    """
    algorithm = proof.checksum.algorithm
    if proof.piece is None:
        return bool(_sum(algorithm, fd, 0, size, moved).hexdigest() == proof.checksum.value)
    whole = hashlib.new(algorithm.value, usedforsecurity=False)
    for start in range(0, size, proof.piece):
        whole.update(_sum(algorithm, fd, start, min(size, start + proof.piece), moved).digest())
    return whole.hexdigest() == proof.checksum.value


def _sum(algorithm: Algorithm, fd: int, start: int, end: int, moved: Callable[[], None]) -> Any:
    # "usedforsecurity" only keeps a machine in FIPS mode from refusing MD5.
    found = hashlib.new(algorithm.value, usedforsecurity=False)
    while start < end and (block := os.pread(fd, min(BLOCK, end - start), start)):
        found.update(block)
        start += len(block)
        moved()
    return found
