"""Whose a journal is, on a volume that somebody else may have filled.

A journal says which files are there and when they were written, and a stranger's may say anything; nothing of it is
read, not even by the database's own code. Only one that bears the mark of this very load is believed: a name that
nobody knew when the volume was cut, as the uid of a claim.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from typing import Final

from kaas.loader.faults import Fault
from kaas.loader.report import Reason
from kaas.loader.trash import Trash, unlock

LOCK: Final = "lock"
_MARK: Final = "mark"
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


@contextlib.contextmanager
def strange(what: str) -> Iterator[None]:
    """Fault when something that came with the volume can neither be used nor removed. what: where that may be."""
    try:
        yield
    except PermissionError as error:
        raise Fault(
            Reason.INVALID_SPEC,
            f"{error.filename or what}: came with the volume, and the loader may neither enter nor remove it "
            f"({error.strerror}): begin with an empty volume",
        ) from error


def clear_way(upper: int, name: str) -> None:
    """Have nothing but a directory that its owner may enter stand where one of the loader's should, if anything."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(name, dir_fd=upper).st_mode):
            unlock(upper, name)
        else:
            os.unlink(name, dir_fd=upper)


def clear_lock(directory: int) -> None:
    """Have nothing but a file stand where the lock should: it is opened before anything else is looked at."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(LOCK, dir_fd=directory).st_mode):
            os.rename(LOCK, f"{LOCK}-{secrets.token_hex(8)}", src_dir_fd=directory, dst_dir_fd=directory)


def claim(directory: int, mark: str, moved: Callable[[], None]) -> None:
    """Have the journal in an open directory, which is locked, bear a mark; all that is in one without it is removed.

    The mark is written last: a process that ends here leaves nothing that is believed. OSError as the system gives.
    """
    if _read(directory) == mark.encode():
        return
    clear_way(directory, Trash.NAME)
    trash = Trash(directory, moved)
    try:
        for name in os.listdir(directory):
            if name not in {LOCK, Trash.NAME}:
                trash.take(directory, name)
    finally:
        trash.close()
    fd = os.open(_MARK, _NEW, 0o600, dir_fd=directory)
    try:
        os.write(fd, mark.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(directory: int) -> bytes:
    try:
        fd = os.open(_MARK, _READ, dir_fd=directory)
    except OSError:
        return b""
    try:
        return os.read(fd, 4096) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
