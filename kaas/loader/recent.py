"""What happened since the journal was last made safe: lines of a file, each with its own sum.

A line costs a write and no wait. It outlives the process, not the machine: whether its file's data came to the disk
nobody knows after a power cut. So each file of lines begins with the boot that it was written in, and lines of another
boot are not believed.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PREFIX: Final = "recent."
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


def boot() -> str:
    """The running kernel's boot; "" when it cannot be told, and then no line is believed."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


class Recent:
    """Lines in files `recent.N` of a directory. Written by one thread."""

    def __init__(self, directory: Path, boot_id: str) -> None:
        self._directory = directory
        self._boot = boot_id
        self._number = max(self._numbers(), default=0)
        self._fd = -1

    def _numbers(self) -> list[int]:
        names = (entry.removeprefix(_PREFIX) for entry in os.listdir(self._directory) if entry.startswith(_PREFIX))
        return sorted(int(name) for name in names if name.isdecimal())

    def lines(self) -> Iterator[list[Any]]:
        """What earlier processes of this boot wrote, in its order; of a file up to the first line that is damaged."""
        for number in self._numbers():
            yield from self._believed(self._directory / f"{_PREFIX}{number}")

    def _believed(self, path: Path) -> Iterator[list[Any]]:
        with path.open("rb") as file:
            head = _parsed(file.readline())
            if not self._boot or head != ["boot", self._boot]:
                return
            for line in file:
                found = _parsed(line)
                if found is None:
                    return
                yield found

    def turn(self) -> list[int]:
        """Begin a new file; returns the numbers of those before, for `drop`."""
        before = self._numbers()
        self._number += 1
        self.close()
        self._fd = os.open(self._directory / f"{_PREFIX}{self._number}", _FLAGS | os.O_EXCL, 0o600)
        self.write(["boot", self._boot])
        return before

    def write(self, *lines: list[Any]) -> None:
        """Add lines, by one write. OSError as writes give."""
        texts = [_ENCODE(line).encode() for line in lines]
        whole = b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts)
        if os.write(self._fd, whole) != len(whole):
            raise OSError(28, os.strerror(28))  # ENOSPC: part of it fitted

    def drop(self, numbers: list[int]) -> None:
        """Remove files whose lines the journal has."""
        for number in numbers:
            (self._directory / f"{_PREFIX}{number}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def _parsed(line: bytes) -> list[Any] | None:
    head, _, text = line.partition(b" ")
    if not text.endswith(b"\n") or head != b"%08x" % zlib.crc32(text[:-1]):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None
