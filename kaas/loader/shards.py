"""Which of several loaders side by side takes which object. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

MOST: Final = 64
_TEXT: Final = re.compile(r"(\d{1,3})/(\d{1,3})")


def owns(name: str, index: int, count: int) -> bool:
    """Whether the loader `index` (from 0) of `count` takes the object of this name.

    The same in every version: a load that goes on with a newer kaas must not share out anew.
    """
    digest = blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count == index


@dataclass(frozen=True, slots=True)
class Shard:
    """One loader of several: index from 0 below count."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise ValueError(f"{self.count} shards: 1 to {MOST} can work side by side")
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard {self.index} of {self.count}: the first is 0, the last {self.count - 1}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of `I/N`; ValueError when it is none."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"shard {text!r}: write INDEX/COUNT, for example 0/4")
        return cls(int(found[1]), int(found[2]))

    def owns(self, name: str) -> bool:
        """Whether it takes the object of this name."""
        return owns(name, self.index, self.count)
