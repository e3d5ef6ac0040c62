"""What a load is told beside where from and where to. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kaas.loader.owner import Owner
from kaas.loader.shards import Shard

MIB: Final = 2**20


class Verify(StrEnum):
    """How what was loaded is compared with the source."""

    AUTO = "auto"
    """By the best sum that the store has, else by size."""
    SIZE = "size"
    OFF = "off"
    """Not at all: a read gives as many bytes as were asked for, and that is all."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a load waits, in seconds, and how often it tries.

    stall: for one range without an answer. slowest: bytes a second at which a range may take longer than that.
    silence: without a byte or a page for the load as a whole. tries: of one range. listings: of a source that changes
    under the load. contents: of a file whose sum is wrong. backoff: the first wait, doubled each time; ceiling: the
    longest one. checkpoint: between two times at which what is there is made to survive a power cut.
    """

    stall: float = 60.0
    slowest: float = 128 * 1024
    silence: float = 600.0
    tries: int = 8
    listings: int = 3
    contents: int = 3
    backoff: float = 0.25
    ceiling: float = 30.0
    checkpoint: float = 5.0

    def deadline(self, length: int) -> float:
        """Seconds that a read of so many bytes may take."""
        return max(self.stall, length / self.slowest)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a load may use. memory: bytes of the container, None when it has no limit; cpus: of the container."""

    memory: int | None = None
    cpus: float = 2.0

    @property
    def buffers(self) -> int:
        """Bytes of ranges in flight: two fifths of the memory, and never so many that all of it passes 256 MB."""
        return max(MIB, min(LARGEST_BUFFERS, self.memory * 2 // 5 if self.memory else LARGEST_BUFFERS))

    @property
    def range(self) -> int:
        """Bytes of a range: a power of two from 1 to 8 MiB, so that at least eight of them fit."""
        fitting = max(MIB, min(LARGEST_RANGE, self.buffers // 8))
        return 1 << (fitting.bit_length() - 1)

    @property
    def streams(self) -> int:
        """Most requests at once. Beyond, more of them cost processor time and bring nothing."""
        return max(8, min(64, int(self.cpus * 16)))


LARGEST_BUFFERS: Final = 80 * MIB
LARGEST_RANGE: Final = 8 * MIB


def everything(name: str) -> bool:
    """Take every object."""
    return True


@dataclass(frozen=True, slots=True)
class Options:
    """How to load.

    takes: whether an object of this name is wanted. delete: remove what the source has not; delete_excluded: also what
    is not wanted. distrust: mark of this load, a name that nobody knew before: files that were there without it are
    believed no more than their contents prove; "" believes whatever journal is there. sparse: leave holes where a whole
    range is zeros, and reserve no space. limits: None for those of the container. max_rate: bytes a second that are
    asked for at most, None for as many as come.
    """

    takes: Callable[[str], bool] = everything
    delete: bool = False
    delete_excluded: bool = False
    distrust: str = ""
    verify: Verify = Verify.AUTO
    owner: Owner | None = None
    shard: Shard = field(default_factory=Shard)
    sparse: bool = False
    limits: Limits | None = None
    max_rate: int | None = None
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        if self.replaces and self.shard.count > 1:
            raise ValueError("distrust and delete-excluded: several loaders cannot replace a directory: use one")

    @property
    def replaces(self) -> bool:
        """Whether nothing stays but what the source has: all else on the volume is a stranger's."""
        return bool(self.distrust) and self.delete and self.delete_excluded
