"""Removing, before anything is loaded, whatever a load would not have left on a volume that a stranger has filled.

What stays are directories of the listing, and files that may be those of the listing by all but their content.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from kaas.loader import disk
from kaas.loader.deletion import LOST, encodable
from kaas.loader.ledger import Ledger
from kaas.loader.looks import Usual, handle, mended
from kaas.loader.paths import JOURNAL
from kaas.loader.trash import Trash
from kaas.loader.tree import Tree


class Sweep:
    """One such removal, by the only loader of a directory. moved: called for each directory of the listing.

    In the ledger's thread; OSError as the file system gives.
    """

    def __init__(self, tree: Tree, ledger: Ledger, usual: Usual, trash: Trash, moved: Callable[[], None]) -> None:
        self._tree = tree
        self._ledger = ledger
        self._usual = usual
        self._trash = trash
        self._moved = moved
        self.removed = 0

    def run(self) -> int:
        """Remove it; returns how many names went, of directories with all that was below as one."""
        self._lost_and_found()
        self._directory("")
        for path in self._ledger.directories():
            self._directory(path)
        return self.removed

    def _directory(self, path: str) -> None:
        try:
            fd = self._tree.directory(path, make=False)
        except FileNotFoundError:
            return  # it is made when it is needed
        for name in os.listdir(fd):
            whole = f"{path}/{name}" if path else name
            if whole not in {JOURNAL, LOST} and not self._may_stay(fd, name, whole):
                self._remove(fd, name)
        self._moved()

    def _may_stay(self, upper: int, name: str, whole: str) -> bool:
        if not encodable(name):
            return False
        found = os.lstat(name, dir_fd=upper)
        if self._ledger.needs_directory(whole):
            return stat.S_ISDIR(found.st_mode) and self._is_mended(upper, name)
        return self._usual.may_stay(found, self._ledger.size(whole))

    def _is_mended(self, upper: int, name: str) -> bool:
        """Whether a directory is as a load makes it now. One that its files would not be safe in goes with them."""
        with handle(upper, name) as fd:
            return mended(fd, self._usual.directory)

    def _lost_and_found(self) -> None:
        """It belongs to the file system, and mostly nobody else may look in; what is hidden where one may goes."""
        root = self._tree.root
        try:
            fd = disk.open_directory(LOST, root)
        except (FileNotFoundError, PermissionError):
            return
        except NotADirectoryError:
            self._remove(root, LOST)
            return
        try:
            for name in os.listdir(fd):
                self._remove(fd, name)
        finally:
            os.close(fd)

    def _remove(self, upper: int, name: str) -> None:
        self._trash.take(upper, name)
        self.removed += 1
