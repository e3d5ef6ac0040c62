"""Objects whose contents are made up when they are read, so that one may have terabytes."""

from __future__ import annotations

import base64
import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache

from awscrt import checksums

_PERIOD = 2**20 - 3
"""Bytes after which a content begins anew: odd, so that no range looks like another one."""
_SUMMED = 2**28


@dataclass(frozen=True)
class Blob:
    """An object. seed: says its content; None for zeros. etag: with quotes. checksum: base64, of CRC64NVME."""

    size: int
    seed: int | None
    etag: str
    checksum: str = ""

    def read(self, start: int, length: int) -> bytes:
        """Bytes of the content."""
        if self.seed is None:
            return bytes(length)
        block, at = _block(self.seed), start % _PERIOD
        return (block * (length // _PERIOD + 2))[at : at + length]


@lru_cache(64)
def _block(seed: int) -> bytes:
    return random.Random(seed).randbytes(_PERIOD)  # noqa: S311 - any bytes will do


def blob(size: int, seed: int | None = 0, *, md5: bool = True, summed: bool = True) -> Blob:
    """An object with the sums that a store would have: an ETag that is its MD5, or one of a multipart upload."""
    made = Blob(size, seed, "")
    content = made.read(0, size) if size <= _SUMMED and (md5 or summed) else b""
    whole = md5 and size <= _SUMMED
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest() if whole else f"{seed or 0:032x}-2"
    total = base64.b64encode(checksums.crc64nvme(content).to_bytes(8, "big")).decode() if summed and content else ""
    return Blob(size, seed, f'"{etag}"', total)
