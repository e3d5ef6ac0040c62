"""System calls of Linux that Python has not, or not with the flags that are needed here."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def open_directory(path: str | Path, upper: int | None = None) -> int:
    """Open a directory, of an open one where `upper` is given; OSError for what is none, a link to one among it."""
    return os.open(path, _DIRECTORY, dir_fd=upper)


def sync_file_system(fd: int) -> None:
    """Have all that was written to the file system of an open file on its disk; OSError when some of it was lost.

    One call for thousands of files, where fsync is one each. Source: syncfs(2), which tells of errors since Linux 5.8.
    """
    if _LIBC.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def reserve(fd: int, length: int) -> None:
    """Give a file its length, and its place on the disk where the file system can; OSError when it has no such place.

    Not posix_fallocate: its stand-in writes zeros, hours of them on NFS. Source: fallocate(2).
    """
    if _LIBC.fallocate(fd, 0, ctypes.c_longlong(0), ctypes.c_longlong(length)) == 0:
        return
    number = ctypes.get_errno()
    if number not in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINTR}:
        raise OSError(number, os.strerror(number))
    os.ftruncate(fd, length)
