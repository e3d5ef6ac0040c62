"""A file system on a loop device, and what its disk has at one moment: that is left when the power is cut."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0
"""Seconds until a disk that should come to rest is taken for one that never does."""
_FORMAT = ("mkfs.ext4", "-q", "-F", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0")
"""Nothing is left to be written in the background."""


@dataclass(frozen=True)
class Disk:
    """A mounted file system. image: the file that is its disk; device: as `/dev/loop0`; root: where it is mounted."""

    image: Path
    device: str
    root: Path

    def copy(self, to: Path) -> None:
        """What the disk has now, as of one moment: all that was written to it, and nothing of the page cache.

        TimeoutError when there is always something being written.
        """
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            before = self._written()
            _run("cp", "--sparse=always", str(self.image), str(to))
            if before == self._written() and not before[1]:
                return
        raise TimeoutError(f"{self.device} is never at rest")

    def _written(self) -> tuple[str, int]:
        """What was written and flushed so far, and how many requests are under way. Source: block/stat.rst of Linux."""
        found = (Path("/sys/block") / Path(self.device).name / "stat").read_text().split()
        return " ".join([*found[4:7], *found[11:14], *found[15:16]]), int(found[8])


def make(image: Path, size: int) -> None:
    """An empty file system of so many bytes in a file. CalledProcessError when it cannot be made."""
    image.touch()
    os.truncate(image, size)
    _run(*_FORMAT, str(image))


@contextmanager
def mounted(image: Path, root: Path) -> Iterator[Disk]:
    """Mount the file system of an image, as after a start of the machine; unmounted in every case.

    CalledProcessError where the machine does not let one.
    """
    root.mkdir()
    with ExitStack() as held:
        device = _run("losetup", "--find", "--show", str(image)).strip()
        held.callback(_run, "losetup", "--detach", device)
        _run("mount", "-t", "ext4", device, str(root))
        held.callback(_run, "umount", "--lazy", str(root))  # also when somebody has still a file of it open
        yield Disk(image, device, root)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
