"""Removing what strangers have left in a directory: links, devices, and trees of any depth.

A directory is moved into one place of the loader's own and taken apart there, level by level: neither paths nor open
directories become more with its depth, and one that is half removed is found by the next load.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from itertools import islice
from typing import Final

from kaas.loader import disk
from kaas.loader.looks import handle, path_of

_AT_ONCE: Final = 10_000


class Trash:
    """A directory of the journal's, on the same file system. Used by one thread. OSError as the file system gives.

    moved: called for each directory, for a load that may not be silent for long.
    """

    NAME: Final = "trash"

    def __init__(self, journal: int, moved: Callable[[], None]) -> None:
        self._journal = journal
        self._moved = moved
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.NAME, 0o700, dir_fd=journal)
        self.fd = disk.open_directory(self.NAME, journal)
        try:
            self._next = max((int(n) for n in os.listdir(self.fd) if n.isdecimal()), default=0)
            self.empty()
        except BaseException:
            os.close(self.fd)
            raise

    def take(self, upper: int, name: str) -> None:
        """Remove what is at a name in an open directory, with all that is below; one that has gone is gone."""
        with contextlib.suppress(FileNotFoundError):
            self._take(upper, name)
            self.empty()

    def _take(self, upper: int, name: str) -> None:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=upper).st_mode):
            os.unlink(name, dir_fd=upper)
            return
        unlock(upper, name)
        self._next += 1
        os.rename(name, str(self._next), src_dir_fd=upper, dst_dir_fd=self.fd)

    def empty(self) -> None:
        """Remove all that is in it."""
        while found := _some(self.fd):
            for name in found:
                self._apart(name)
                self._moved()

    def _apart(self, name: str) -> None:
        """Remove a directory; those in it become its neighbours."""
        if not stat.S_ISDIR(os.lstat(name, dir_fd=self.fd).st_mode):
            os.unlink(name, dir_fd=self.fd)
            return
        unlock(self.fd, name)
        fd = disk.open_directory(name, self.fd)
        try:
            while found := _some(fd):
                for inner in found:
                    self._take(fd, inner)
                self._moved()
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=self.fd)

    def close(self) -> None:
        """Close it, and remove it when it is empty."""
        os.close(self.fd)
        with contextlib.suppress(OSError):
            os.rmdir(self.NAME, dir_fd=self._journal)


def _some(fd: int) -> list[str]:
    """Names in an open directory, not more than fit into memory."""
    with os.scandir(fd) as entries:
        return [entry.name for entry in islice(entries, _AT_ONCE)]


def unlock(upper: int, name: str) -> None:
    """Let its owner into a directory that nobody may enter: it can be neither moved nor emptied as it is."""
    with handle(upper, name) as fd:
        found = os.fstat(fd)
        if found.st_uid == os.geteuid() and found.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(path_of(fd), stat.S_IRWXU)
