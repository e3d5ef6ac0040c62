"""Directories that many threads make and use at once."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaas.loader.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    made = Tree(root, clear=True)
    yield made
    made.close()
    os.close(root)


def opened(path: Path) -> list[str]:
    """What is open below a directory."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # others close something just now
            found.append(os.readlink(link))
    return [name for name in found if name.startswith(f"{path}/")]


def test_directories_of_threads_that_have_ended_are_closed(tree: Tree, tmp_path: Path) -> None:
    """A load whose source changes has new threads for each listing."""
    threads = [threading.Thread(target=tree.directory, args=(f"d{n}/e",)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not opened(tmp_path)
    assert len(os.listdir(tmp_path)) == len(threads)


def test_directories_of_threads_that_wait_are_closed_at_the_end(tree: Tree, tmp_path: Path) -> None:
    used, over = threading.Event(), threading.Event()

    def use() -> None:
        tree.directory("a/b")
        used.set()
        over.wait(10)

    thread = threading.Thread(target=use)
    thread.start()
    assert used.wait(10)
    assert opened(tmp_path)
    tree.close()
    assert not opened(tmp_path)
    over.set()
    thread.join()


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_another_thread_has_moved_out_of_the_way(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Both find a file where a directory should be, and one is quicker."""
    (tmp_path / "way").write_bytes(b"a file")
    (tmp_path / "part").write_bytes(b"content")
    look = os.lstat

    def slowly(name: str, *, dir_fd: int) -> os.stat_result:
        found = look(name, dir_fd=dir_fd)
        if (tmp_path / "way").is_file():
            (tmp_path / "way").unlink()
            (tmp_path / "way").mkdir()
        return look(name, dir_fd=dir_fd) if when == "before" else found

    monkeypatch.setattr(os, "lstat", slowly)
    tree.place("part", tree.root, "way/file")
    assert (tmp_path / "way/file").read_bytes() == b"content"
