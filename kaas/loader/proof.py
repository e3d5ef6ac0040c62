"""Sums by which a content is known from one that somebody has made to look like it.

A CRC finds damage. Whoever wants another content with the same CRC writes a few bytes, so none of them proves anything
of a file that a stranger has written. MD5 and SHA-1 do: that two contents with one sum can be made helps only who has
made the original too, and of a given content nobody has found a second one.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from kaas.loader.source import Algorithm, Checksum, Entry

STRONG: Final = frozenset({Algorithm.MD5, Algorithm.SHA1, Algorithm.SHA256})


@runtime_checkable
class Proving(Protocol):
    """A source that knows stronger sums than those it lists. SourceError, as every method of a source."""

    async def proof(self, entry: Entry) -> Checksum | None:
        """The strongest sum that the store has of an object; None when it has none that proves anything."""


def proof_of(checksum: Checksum | None) -> Checksum | None:
    """A sum that proves a content; None when it does not."""
    return checksum if checksum is not None and checksum.algorithm in STRONG else None
