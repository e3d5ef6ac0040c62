"""What a place to load from is asked, and what it can answer: the engine's side of every kind of source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

Buffer: TypeAlias = "bytes | bytearray | memoryview"
"""Bytes as a source hands them over; written and summed without a copy."""


class Algorithm(StrEnum):
    """How a content is summed. The names are those that reports show."""

    CRC32 = "crc32"
    CRC32C = "crc32c"
    CRC64NVME = "crc64nvme"
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"


@dataclass(frozen=True, slots=True)
class Checksum:
    """Sum of a whole object, as the store has it. value: lower-case hexadecimal of the big-endian sum.

    parts: lengths of the parts that an object came to the store in, all of it, when this is the sum of their sums; none
    when it is that of the content.
    """

    algorithm: Algorithm
    value: str
    parts: tuple[int, ...] = ()

    def __reduce__(self) -> tuple[type[Checksum], tuple[object, ...]]:
        return Checksum, (self.algorithm, self.value, self.parts)  # a third of the time that dataclasses take


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing.

    key: as the store has it, whole. name: what is below the source's prefix: the path in the destination, once it is
    checked. size: bytes. version: what changes when the content does (ETag or generation), "" when unknown. checksum:
    what the listing itself says; `Source.checksum` may know a better one.
    """

    key: str
    name: str
    size: int
    version: str
    checksum: Checksum | None = None

    def __reduce__(self) -> tuple[type[Entry], tuple[object, ...]]:
        return Entry, (self.key, self.name, self.size, self.version, self.checksum)


class SourceError(Exception):
    """A source did not give what it was asked for. The message names bucket and key, and the way out."""


class NotThere(SourceError):
    """No such bucket, prefix or key: trying again would not help."""


class Denied(SourceError):
    """Credentials are missing, wrong or too weak: trying again would not help."""


class Refused(SourceError):
    """The source cannot be used as it is named: another region, an address that is not allowed, a kind not known."""


class Changed(SourceError):
    """The object is not any more what was listed: it has to be listed and loaded anew."""


class Unreachable(SourceError):
    """No answer, or one that says to try again (429, 5xx, SlowDown, cut off, too slow). wait: seconds it asks for."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Source(Protocol):
    """One bucket and prefix, open. Every method raises a SourceError and nothing else; none tries again by itself.

    One event loop's; many reads at once.
    """

    @property
    def label(self) -> str:
        """URL without credentials, for people."""

    def pages(self) -> AsyncIterator[Sequence[Entry]]:
        """All objects, a page of the listing at a time, directory markers (`a/`) included, with size 0."""

    async def read(self, entry: Entry, start: int, length: int) -> Buffer:
        """So many bytes from `start` on, exactly; a small object that is asked for whole takes one request.

        Changed when the version is not that of the entry, where the store can tell.
        """

    async def checksum(self, entry: Entry) -> Checksum | None:
        """The best sum that the store has of the whole object; None when it has none that can be compared."""

    async def close(self) -> None:
        """Close all connections."""


@runtime_checkable
class Measuring(Protocol):
    """A source whose objects came to it in parts that it can be asked for. SourceError, as every method of a source."""

    async def measured(self, entry: Entry, checksum: Checksum) -> Checksum | None:
        """A sum of sums with the lengths that the parts really have; None when the store does not tell.

        One request a part: for a content that is not what the sum says if the parts are taken to be alike.
        """


@dataclass(slots=True)
class Stream:
    """A content on its way to a thread. Nothing is asked for before the first piece is.

    pieces: each is good until the thread asks for another one, of this content or the next. told: what the answer says
    that the whole object sums up to, put there by whoever makes the pieces.
    """

    pieces: Iterator[Buffer]
    told: list[Checksum] = field(default_factory=list)

    @property
    def checksum(self) -> Checksum | None:
        """What the answer says of the whole object; None when it does not. Known from the first piece on."""
        return self.told[0] if self.told else None


@runtime_checkable
class Streaming(Protocol):
    """A source that threads can read as well, which costs less."""

    def stream(self, entry: Entry, start: int, length: int) -> Stream | None:
        """The bytes that `read` gives, as they come; None when only `read` can give them.

        Blocks, many threads at once. Changed and NotThere are final; after another SourceError `read` may know a way.
        """


class Reader(Hashable, Protocol):
    """What another process needs to read as a source does: it can be pickled, compared and hashed."""

    def open(self) -> Streaming:
        """What reads so, for threads."""


@runtime_checkable
class Portable(Protocol):
    """A source that other processes can read as well."""

    async def reader(self) -> Reader | None:
        """For reads from now on; None when only this process can make them."""
