"""What a file or directory looks like beside its content: whose it is, who may do what with it, and what is tacked on.

What a load makes looks like what it makes just now: a probe says it, whatever user, group, umask, mount and volume do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from kaas.loader.tree import Tree

_PROBE: Final = "probe"
_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_HANDLE: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Looks:
    """attributes: names of extended attributes, as of capabilities and of lists of who may do what."""

    uid: int
    gid: int
    mode: int
    attributes: frozenset[str]

    @classmethod
    def of(cls, fd: int) -> Self:
        """Of something open, also of a handle of `handle`. OSError as the file system gives."""
        found = os.fstat(fd)
        return cls(found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), _attributes(fd))


@dataclass(frozen=True, slots=True)
class Usual:
    """Looks of what a load makes."""

    file: Looks
    directory: Looks

    @classmethod
    def of(cls, tree: Tree, place: int) -> Self:
        """Of what this load would make now, tried in an open directory of its own. OSError as the file system gives."""
        return cls(_of_file(tree, place), _of_directory(tree, place))

    def may_stay(self, found: os.stat_result, size: int | None) -> bool:
        """Whether what is at a path can be a file of a load: of this size, its loader's, and nobody else's too."""
        plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
        return plain and found.st_size == size and found.st_uid == self.file.uid


def _of_file(tree: Tree, place: int) -> Looks:
    fd = os.open(_PROBE, _FILE, 0o644, dir_fd=place)
    try:
        tree.own(fd)
        return Looks.of(fd)
    finally:
        os.close(fd)
        os.unlink(_PROBE, dir_fd=place)


def _of_directory(tree: Tree, place: int) -> Looks:
    fd = tree.make(place, _PROBE)
    try:
        return Looks.of(fd)
    finally:
        os.close(fd)
        os.rmdir(_PROBE, dir_fd=place)


@contextlib.contextmanager
def handle(upper: int, name: str) -> Iterator[int]:
    """Something in an open directory, by which it can be looked at and changed but not read; a link itself."""
    fd = os.open(name, _HANDLE, dir_fd=upper)
    try:
        yield fd
    finally:
        os.close(fd)


def path_of(fd: int) -> str:
    """A path that leads to what is open, whatever is renamed meanwhile."""
    return f"/proc/self/fd/{fd}"


def mended(fd: int, wanted: Looks) -> bool:
    """Whether something looks as is wanted now; group and mode are corrected where its owner may do that.

    fd: open, or a handle; of no symbolic link. OSError as the file system gives.
    """
    found = Looks.of(fd)
    if found.uid != wanted.uid or not found.attributes <= wanted.attributes:
        return False
    if (found.gid, found.mode) == (wanted.gid, wanted.mode):
        return True
    try:
        if found.gid != wanted.gid:
            os.chown(path_of(fd), -1, wanted.gid)
        os.chmod(path_of(fd), wanted.mode)
    except PermissionError:
        return False
    found = Looks.of(fd)
    return (found.gid, found.mode) == (wanted.gid, wanted.mode)


def _attributes(fd: int) -> frozenset[str]:
    try:
        return frozenset(os.listxattr(path_of(fd)))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return frozenset()
