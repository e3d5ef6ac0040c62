"""A file that comes in one request: compared, written and moved to its place in one go."""

from __future__ import annotations

import os
from typing import Final

from kaas.loader import checksums
from kaas.loader.source import Buffer, Checksum
from kaas.loader.tree import Tree

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def store(tree: Tree, parts: int, part: str, name: str, data: Buffer, expected: Checksum | None) -> int | None:
    """Write a file; returns its mtime in nanoseconds, None when it is not what it must be (then nothing is written).

    part: name for it in the directory of parts until it is whole. OSError as the file system gives.
    """
    if expected is not None and not checksums.matches(expected, data):
        return None
    fd = os.open(part, _NEW, 0o644, dir_fd=parts)
    try:
        _write(fd, memoryview(data))
        tree.own(fd)
        mtime = os.fstat(fd).st_mtime_ns
    finally:
        os.close(fd)
    tree.place(part, parts, name)
    return mtime


def _write(fd: int, data: memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]
