"""Whether what is to be loaded fits: known after the listing's first pages, and not hours later."""

from __future__ import annotations

import heapq
import os
import stat
from dataclasses import dataclass, field
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

    def fits(self, needed: int, files: int) -> bool:
        """Whether so many more bytes and files fit."""
        return self._holds(needed) and self._has_inodes(files)

    def _holds(self, needed: int) -> bool:
        return not needed or needed * MARGIN <= self.free

    def _has_inodes(self, files: int) -> bool:
        return self.inodes is None or files * MARGIN <= self.inodes

    def check(self, needed: int, files: int) -> None:
        """Fault when so many more bytes and files do not fit."""
        if not self._holds(needed):
            raise Fault(
                Reason.INSUFFICIENT_CAPACITY,
                f"the source needs at least {size(needed)} more (and 5 % beside), the volume has {size(self.free)} "
                "free: make it larger or load less of the source",
            )
        if not self._has_inodes(files):
            raise Fault(
                Reason.INSUFFICIENT_CAPACITY,
                f"the source has at least {files} files to be loaded, the volume has room for {self.inodes} more: "
                "make it larger or load less of the source",
            )


@dataclass(slots=True)
class Need:
    """What a load takes at its fullest, beside what is there. at_once: files that are in flight at most.

    A file that is replaced goes when the new one is whole, so its room is needed twice only while it is in flight; the
    files in flight may be the largest ones.
    """

    at_once: int
    _bytes: int = 0
    _files: int = 0
    _twice: list[int] = field(default_factory=list)

    def add(self, length: int, there: int | None) -> None:
        """A file is to be loaded. there: bytes that are freed when it takes the place of another; None: of no file."""
        spared = 0 if there is None else min(length, there)
        self._bytes += length - spared
        if there is None:
            self._files += 1
        elif len(self._twice) < self.at_once:
            heapq.heappush(self._twice, spared)
        else:
            heapq.heappushpop(self._twice, spared)

    @property
    def bytes(self) -> int:
        """Bytes more than there are now."""
        return self._bytes + sum(self._twice)

    @property
    def files(self) -> int:
        """Files more than there are now."""
        return self._files + len(self._twice)


def freed(found: os.stat_result | None) -> int | None:
    """Bytes that are free again when a file takes the place of what is there; None when that is no file of its own."""
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return None
    return found.st_blocks * 512  # Source: stat(2), whatever the file system's blocks are


def size(count: float) -> str:
    """Bytes as people read them, in powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the unit's own
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
