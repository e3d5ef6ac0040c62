"""What is on a volume already, whoever has loaded it: several loaders have a ledger each, and one volume."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kaas.loader.deletion import KEPT
from kaas.loader.journal import places_of_parts
from kaas.loader.tree import Tree

_GONE = (FileNotFoundError, NotADirectoryError, PermissionError)
"""What others do to a directory meanwhile, and one that is none of the loader's."""


@dataclass(frozen=True, slots=True)
class Stock:
    """Bytes and files."""

    bytes: int
    files: int


def files(tree: Tree, moved: Callable[[], None]) -> Stock:
    """All that are below a directory, also those that no source has; parts are none.

    What others put there meanwhile may be seen or not. A file with holes is as long as it says: it is there.
    moved: called for each, for a load that may not be silent for long. OSError as the file system gives.
    """
    size, count, waiting = 0, 0, [""]
    while waiting:
        path = waiting.pop()
        for entry in _in(tree, path):
            if not path and entry.name in KEPT:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{path}/{entry.name}" if path else entry.name)
            elif found := _file(entry):
                size, count = size + max(found.st_size, _blocks(found)), count + 1
            moved()
    return Stock(size, count)


def parts(tree: Tree) -> Stock:
    """Parts of large files, of all loaders."""
    found = [
        _blocks(part) for place in places_of_parts(tree.root) for entry in _in(tree, place) if (part := _file(entry))
    ]
    return Stock(sum(found), len(found))


def _in(tree: Tree, path: str) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(*_GONE), os.scandir(tree.directory(path, make=False)) as entries:
        yield from entries


def _file(entry: os.DirEntry[str]) -> os.stat_result | None:
    with contextlib.suppress(*_GONE):
        if entry.is_file(follow_symlinks=False):
            return entry.stat(follow_symlinks=False)
    return None


def _blocks(found: os.stat_result) -> int:
    return found.st_blocks * 512  # Source: stat(2), whatever the file system's blocks are
