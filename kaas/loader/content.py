"""Whether a content is that of its object: which sum is compared, and what comes of it."""

from __future__ import annotations

from kaas.loader import checksums
from kaas.loader.options import Verify
from kaas.loader.source import Buffer, Checksum, Entry, Measuring, Source


class Judge:
    """Knows what to compare contents with. verify: how they are to be."""

    def __init__(self, source: Source, verify: Verify) -> None:
        self._source = source
        self._verify = verify

    async def expected(self, entry: Entry) -> Checksum | None:
        """The sum that a large object must have: the best of the store, for one request. SourceError.

        Never what the listing alone says: an ETag looks like an MD5 where the store encrypts, and is none.
        """
        return await self._source.checksum(entry) if self._verify is Verify.AUTO else None

    def asks(self, entry: Entry) -> bool:
        """Whether the sum of a small object has to be asked for: the listing has none."""
        return self._verify is Verify.AUTO and entry.checksum is None and entry.size > 0

    def listed(self, entry: Entry) -> Checksum | None:
        """The sum that the listing says a small object has."""
        return entry.checksum if self._verify is Verify.AUTO and entry.size else None

    async def second(self, entry: Entry, data: Buffer, first: Checksum) -> tuple[bool, Checksum | None]:
        """Whether a content that is not what its first sum says is right all the same, and by which.

        An ETag looks like an MD5 and is none where the store encrypts by keys of others; parts may not be alike.
        """
        better = await (self.measured(entry, first) if first.parts else self._source.checksum(entry))
        if better == first and better is not None:
            return False, better
        return better is None or checksums.matches(better, data), better

    async def measured(self, entry: Entry, expected: Checksum) -> Checksum | None:
        """What to compare a content with that is not what a sum of sums says of parts that are alike: they may not be.

        None when the store does not tell how long they are: then nobody knows what that sum says.
        """
        source = self._source
        return await source.measured(entry, expected) if isinstance(source, Measuring) else None

    def method(self, compared: Checksum | None) -> str:
        """Name by which a report counts a file that was compared with this sum."""
        if compared is not None:
            return compared.algorithm.value
        return Verify.OFF.value if self._verify is Verify.OFF else Verify.SIZE.value
