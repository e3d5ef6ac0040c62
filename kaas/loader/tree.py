"""The destination: directories and files below one open directory, and never beside it.

Every directory is opened from the one that it is in, and no symbolic link is followed: what somebody plants in the
volume leads nowhere else.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import weakref
from collections import OrderedDict
from typing import Final

from kaas.loader import disk
from kaas.loader.faults import Fault
from kaas.loader.owner import Owner
from kaas.loader.report import Reason

_KEPT: Final = 8
"""Directories that a thread keeps open: of 64 threads all together half of the 1024 files that a process often may."""
_NOT_A_DIRECTORY: Final = frozenset({errno.ENOTDIR, errno.ELOOP})
_IN_THE_WAY: Final = frozenset({errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST})
_TRIES: Final = 3
"""For a directory that others remove between its making and its use: another shard does when it deletes."""


class _Open(OrderedDict[str, int]):
    """Open directories of a thread by path. Closed when the thread ends: each pass of a load has threads of its own."""

    def close(self) -> None:
        """Close all, whoever else does that too."""
        with contextlib.suppress(KeyError):  # it is empty
            while True:
                os.close(self.popitem()[1])

    def __del__(self) -> None:
        self.close()


class Tree:
    """A directory and what is below. clear: whether what is in the way is removed.

    For many threads; each keeps directories of its own open. OSError as the system gives, Fault for what is in the way.
    """

    def __init__(self, root: int, owner: Owner | None = None, *, clear: bool = False) -> None:
        self.root = root
        self._owner = owner
        self._clear = clear
        self._local = threading.local()
        self._caches: list[weakref.ref[_Open]] = []

    def directory(self, path: str, *, make: bool = True) -> int:
        """A directory by its path, open until the thread has used some others; "" is the root. Made when missing."""
        cache, known = self._cache(), path
        while known and known not in cache:
            known = known.rpartition("/")[0]
        if not known:
            fd = self.root
        else:
            cache.move_to_end(known)
            fd = cache[known]
        for name in filter(None, path[len(known) :].split("/")):
            known = f"{known}/{name}" if known else name
            fd = self._open(fd, name, known, make=make)
            self._keep(known, fd)
        return fd

    def at(self, name: str, *, make: bool = True) -> tuple[int, str]:
        """The directory that a path is in, as of `directory`, and the last name of the path."""
        upper, _, last = name.rpartition("/")
        return self.directory(upper, make=make), last

    def _keep(self, path: str, fd: int) -> None:
        cache = self._cache()
        cache[path] = fd
        if len(cache) > _KEPT:
            os.close(cache.popitem(last=False)[1])

    def _cache(self) -> _Open:
        cache: _Open | None = getattr(self._local, "cache", None)
        if cache is None:
            cache = self._local.cache = _Open()
            self._caches.append(weakref.ref(cache))
        return cache

    def _open(self, upper: int, name: str, path: str, *, make: bool) -> int:
        try:
            return disk.open_directory(name, upper)
        except FileNotFoundError:
            if not make:
                raise
        except OSError as error:
            if error.errno not in _NOT_A_DIRECTORY or not make:
                raise
            self._make_way(upper, name, path)
        return self.make(upper, name)

    def make(self, upper: int, name: str) -> int:
        """A directory in an open one as a load makes them, open; one that is there as it is."""
        try:
            os.mkdir(name, dir_fd=upper)
        except FileExistsError:  # another thread or shard was first
            return disk.open_directory(name, upper)
        fd = disk.open_directory(name, upper)
        if self._owner:
            os.fchown(fd, self._owner.uid, self._owner.gid)
            if self._owner.directory_mode is not None:
                os.fchmod(fd, self._owner.directory_mode)
        return fd

    def _make_way(self, upper: int, name: str, path: str) -> None:
        """Remove what is no directory and should be one."""
        try:
            mode = os.lstat(name, dir_fd=upper).st_mode
        except FileNotFoundError:
            return  # another thread was first
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "a file"
        if not self._clear and not stat.S_ISDIR(mode):
            raise Fault(
                Reason.INVALID_KEY,
                f"{path}: is {kind} in the volume, and a directory in the source: remove it, or load with delete",
            )
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # another thread was first
            os.unlink(name, dir_fd=upper)

    def own(self, fd: int) -> None:
        """Give an open file to the owner of what is loaded."""
        if self._owner:
            os.fchown(fd, self._owner.uid, self._owner.gid)
            if self._owner.mode is not None:
                os.fchmod(fd, self._owner.mode)

    def place(self, part: str, parts: int, name: str) -> None:
        """Move a file that is whole from the directory of parts to where it belongs, in one step."""
        for _ in range(_TRIES - 1):
            try:
                return self._move(part, parts, name)
            except FileNotFoundError:
                self.close_thread()  # a directory that was open is gone: it is made again
            except OSError as error:
                if error.errno not in _IN_THE_WAY:
                    raise
                self._remove_directory(name)
        return self._move(part, parts, name)

    def _move(self, part: str, parts: int, name: str) -> None:
        upper, last = self.at(name)
        os.rename(part, last, src_dir_fd=parts, dst_dir_fd=upper)

    def _remove_directory(self, path: str) -> None:
        """Remove a directory that stands where a file should."""
        if not self._clear:
            raise Fault(
                Reason.INVALID_KEY,
                f"{path}: is a directory in the volume, and an object in the source: remove it, or load with delete",
            )
        for inner in reversed(self.below(path)):
            fd = self.directory(inner, make=False)
            for entry in os.listdir(fd):
                if not stat.S_ISDIR(os.lstat(entry, dir_fd=fd).st_mode):
                    os.unlink(entry, dir_fd=fd)
            self.remove_empty(inner)

    def below(self, path: str) -> list[str]:
        """A directory and all that are below, each behind the one that it is in. Symbolic links are none."""
        found, waiting = [], [path]
        while waiting:
            found.append(current := waiting.pop())
            fd = self.directory(current, make=False)
            with os.scandir(fd) as entries:
                names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
            waiting += [f"{current}/{name}" if current else name for name in names]
        return found

    def remove_empty(self, path: str) -> bool:
        """Remove a directory when it is empty; whether it was."""
        upper, _, name = path.rpartition("/")
        cached = self._cache().pop(path, None)
        if cached is not None:
            os.close(cached)
        try:
            os.rmdir(name, dir_fd=self.directory(upper, make=False))
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY}:
                raise
            return False
        return True

    def look(self, name: str) -> os.stat_result | None:
        """What is at a path, the link itself where it is one; None when there is nothing."""
        try:
            upper, last = self.at(name, make=False)
            return os.lstat(last, dir_fd=upper)
        except FileNotFoundError:
            self.close_thread()
            return None
        except OSError as error:
            if error.errno in _NOT_A_DIRECTORY:
                return None
            raise

    def close_thread(self) -> None:
        """Close the directories that this thread keeps open."""
        self._cache().close()

    def close(self) -> None:
        """Close all directories, when no thread works any more."""
        for found in self._caches:
            if cache := found():
                cache.close()
