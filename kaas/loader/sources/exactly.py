"""What holds of reads whatever library makes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from kaas.loader.address import Address
from kaas.loader.source import Buffer, Unreachable

PIECE: Final = 256 * 1024
"""Bytes that a thread is given at once: few enough for memory that is used again and again."""


def plain(key: str) -> bool:
    """Whether obstore can name a key. Source: object_store, Path::parse."""
    if any(segment in {"", ".", ".."} for segment in key.split("/")):
        return False
    return key.isprintable() or not any(c < " " or c == "\x7f" for c in key)


def shown(bucket: str, key: str) -> str:
    """Bucket and key in one line, for messages: control characters and what is no UTF-8 are escaped."""
    return f"{bucket}/{key}".encode("utf-8", "backslashreplace").decode().translate(_ESCAPED)


_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)}


def object_of(address: Address, key: str) -> str:
    """Bucket and key, for messages."""
    return shown(f"{address.scheme}://{address.place}", key)


def exact(data: Buffer, length: int, what: str) -> Buffer:
    """Data, when it is as long as it should be."""
    if len(data) != length:
        raise Unreachable(f"{what}: {len(data)} bytes came instead of {length}")
    return data


def pieces(data: Iterable[Buffer], length: int, what: str) -> Iterator[Buffer]:
    """Pieces of data, none beyond its length; Unreachable when it ends before that, or does not end there."""
    came = 0
    for piece in data:
        came += len(piece)
        if came > length:
            break
        yield piece
    if came != length:
        raise Unreachable(f"{what}: {came} bytes came instead of {length}")
