"""Whether what is to be loaded fits: known after the listing's first pages, and not hours later."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Self

from kaas.loader.faults import Fault
from kaas.loader.report import Reason

MARGIN: Final = 1.05
"""For directories, indirect blocks and the journal: so many times the bytes and files of the listing."""


@dataclass(frozen=True, slots=True)
class Space:
    """Free bytes and inodes. inodes is None where the file system makes them as they are needed."""

    free: int
    inodes: int | None

    @classmethod
    def of(cls, fd: int) -> Self:
        """Of the file system of an open directory, for one who is not root."""
        found = os.fstatvfs(fd)
        return cls(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)

    @classmethod
    def once_empty(cls, fd: int) -> Self:
        """Of the same when all that is there was removed."""
        found = os.fstatvfs(fd)
        blocks = found.f_bavail + found.f_blocks - found.f_bfree
        inodes = found.f_favail + found.f_files - found.f_ffree
        return cls(blocks * found.f_frsize, inodes if found.f_files else None)

    def check(self, needed: int, files: int) -> None:
        """Fault when so many more bytes and files do not fit."""
        if needed and needed * MARGIN > self.free:
            raise Fault(
                Reason.INSUFFICIENT_CAPACITY,
                f"the source needs at least {size(needed)} more (and 5 % beside), the volume has {size(self.free)} "
                "free: make it larger or load less of the source",
            )
        if self.inodes is not None and files * MARGIN > self.inodes:
            raise Fault(
                Reason.INSUFFICIENT_CAPACITY,
                f"the source has at least {files} files to be loaded, the volume has room for {self.inodes} more: "
                "make it larger or load less of the source",
            )


def size(count: float) -> str:
    """Bytes as people read them, in powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the unit's own
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
