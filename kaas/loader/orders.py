"""What one process of a load tells another: what to load, and what came of it. All of it can be pickled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kaas.loader.hands import Made, Work
from kaas.loader.owner import Owner
from kaas.loader.source import Algorithm, Entry, Reader


@dataclass(frozen=True, slots=True)
class Place:
    """Where to load to, beside the open directories. clear: whether what is in the way goes; streams: most at once."""

    owner: Owner | None
    clear: bool
    streams: int


@dataclass(frozen=True, slots=True)
class Files:
    """Small objects, one after the other. part: name for what is not whole."""

    reader: Reader
    work: Sequence[Work]
    part: str


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of a large object, to be written into a part. algorithm: of their sum, None when nobody wants it."""

    reader: Reader
    entry: Entry
    start: int
    length: int
    file: str
    algorithm: Algorithm | None
    sparse: bool


Order: TypeAlias = "Files | Range"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of an order. made: files that are in their places; total: sum of a range, None when it is not there.

    error: what the next one met, None when it is to be read in another way.
    """

    made: Sequence[Made] = ()
    total: int | None = None
    error: Exception | None = None
