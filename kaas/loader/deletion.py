"""Removing what the source has not, below the destination and nowhere else, once its listing is whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Final

from kaas.loader.ledger import Ledger
from kaas.loader.options import Options
from kaas.loader.paths import JOURNAL
from kaas.loader.tree import Tree

LOST: Final = "lost+found"
"""At the top, the file system's. Source: mke2fs(8)."""
KEPT: Final = frozenset({JOURNAL, LOST})
"""At the top, and nothing that was loaded."""


def delete(tree: Tree, ledger: Ledger, options: Options, moved: Callable[[], None]) -> int:
    """Remove files that the options take and the listing has not, and directories that are empty then.

    With `delete_excluded` the options take all. Returns the number of files. Of several loaders each removes its own
    names: what no listing has, one of them owns.
    moved: called for each directory, for a load that may not be silent for long.
    In the ledger's thread; OSError as the file system gives.
    """
    removed = 0
    directories = _below(tree)
    for path in directories:
        removed += _in_directory(tree, ledger, options, path)
        moved()
    for path in reversed(directories):
        if path and not ledger.needs_directory(path) and _concerns(f"{path}/", options):
            tree.remove_empty(path)
    return removed


def _below(tree: Tree) -> list[str]:
    found = [""]
    for name in os.listdir(tree.root):
        if name not in KEPT and stat.S_ISDIR(os.lstat(name, dir_fd=tree.root).st_mode):
            found += tree.below(name)
    return found


def _in_directory(tree: Tree, ledger: Ledger, options: Options, path: str) -> int:
    fd = tree.directory(path, make=False)
    with os.scandir(fd) as entries:
        names = [e.name for e in entries if not e.is_dir(follow_symlinks=False)]
    removed = 0
    for name in names:
        whole = f"{path}/{name}" if path else name
        if _unwanted(whole, ledger, options) and whole not in KEPT:
            os.unlink(name, dir_fd=fd)
            removed += 1
    return removed


def _unwanted(name: str, ledger: Ledger, options: Options) -> bool:
    if not _concerns(name, options) or not options.shard.owns(name):
        return False
    return not encodable(name) or not ledger.has(name)


def _concerns(name: str, options: Options) -> bool:
    return options.delete_excluded or options.takes(name)


def encodable(name: str) -> bool:
    """Whether it is UTF-8, as every name that was loaded is."""
    return not any("\ud800" <= c <= "\udfff" for c in name)
