"""The driver's volumes and snapshots on this machine's disk."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_BLOCK = 4096
INODE_BYTES = 16384
"""Bytes of a volume for each inode of it. Source: mke2fs.conf, `inode_ratio`."""


class Directories:
    """Below one directory: `volumes/HANDLE`, `snapshots/HANDLE`, each made whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.volumes, self.snapshots, self._parts = root / "volumes", root / "snapshots", root / "parts"
        for directory in (self.volumes, self.snapshots, self._parts):
            directory.mkdir(parents=True, exist_ok=True)

    def create(self, handle: str, origin: Path | None, limit: int | None) -> None:
        """Make a volume unless it is there. origin: what it is filled with. limit: bytes that it can hold."""
        place = self.volumes / handle
        if place.exists():
            return
        if limit is None:
            self._fill(place, origin)
            return
        place.mkdir()
        mount_limited(place, limit)
        if origin:
            copy(origin, place)

    def snapshot(self, volume: str, handle: str, size: int) -> None:
        """Copy a volume of so many bytes unless that is done already. Raises OSError."""
        place, source = self.snapshots / handle, self.volumes / volume
        if place.exists():
            return
        if not source.is_dir():
            raise FileNotFoundError(f"rpc error: code = NotFound desc = volume {volume} not found")
        self._size(handle).write_text(str(size))
        self._fill(place, source)

    def known(self, handle: str) -> int:
        """Size of the volume of which a snapshot was made, in bytes. Raises FileNotFoundError."""
        if not (self.snapshots / handle).is_dir():
            raise FileNotFoundError(f"rpc error: code = NotFound desc = snapshot {handle} not found")
        return int(self._size(handle).read_text())

    def delete_snapshot(self, handle: str) -> None:
        """Remove a snapshot, whether or not it is there."""
        self.delete(self.snapshots / handle)
        self._size(handle).unlink(missing_ok=True)

    def _size(self, handle: str) -> Path:
        return self.snapshots / f"{handle}.bytes"

    def delete(self, place: Path) -> None:
        """Remove a volume or snapshot, whether or not it is there."""
        unmount(place)
        shutil.rmtree(place, ignore_errors=True)

    def _fill(self, place: Path, origin: Path | None) -> None:
        part = self._parts / place.name
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        part.chmod(0o777)  # who the containers of this machine run as is nothing that a volume could refuse
        if origin:
            copy(origin, part)
        part.rename(place)


def copy(origin: Path, to: Path) -> None:
    """Copy a tree with all that cp keeps; blocks are shared where the file system can. Raises OSError."""
    done = subprocess.run(  # noqa: S603 - fixed words
        ["cp", "--archive", "--reflink=auto", "--sparse=auto", f"{origin}/.", str(to)],  # noqa: S607 - of coreutils
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OSError(done.stderr.strip())


def mount_limited(place: Path, limit: int) -> bool:
    """Mount a file system of so many bytes, and of an inode for each INODE_BYTES. False where we may not."""
    options = f"size={limit // _BLOCK * _BLOCK},nr_inodes={max(limit // INODE_BYTES, 16)},mode=0777"
    return bool(_LIBC.mount(b"lab", str(place).encode(), b"tmpfs", ctypes.c_ulong(0), options.encode()) == 0)


def unmount(place: Path) -> None:
    """Take away a file system that is mounted there, if any."""
    detach = 2  # MNT_DETACH of sys/mount.h
    if os.path.ismount(place):
        _LIBC.umount2(str(place).encode(), detach)


def release(state: Path) -> None:
    """Take away every file system that a lab at `state` has mounted."""
    start = f"{state.resolve()}/"
    lines = Path("/proc/self/mounts").read_text().splitlines()
    for place in [line.split(" ")[1] for line in lines]:
        if place.startswith(start):
            unmount(Path(place))
