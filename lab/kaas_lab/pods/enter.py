"""Runs a program in a mount namespace of its own: `python -I -S enter.py SPEC`. It imports nothing of the lab.

The new root is a tmpfs in which every entry of the old one is bound, apart from what a mount of the container takes the
place of: so no directory is made on this machine for a mount to lie on. The process then becomes the program.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys
from typing import Any

# Source: linux/sched.h and linux/mount.h.
NEW_NAMESPACE, NEW_USER = 0x00020000, 0x10000000
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18
FAILED = 128
"""Exit code when the program could not be started, as runc has it."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def detach() -> None:
    """Leave the mount namespace; who is not root becomes root in a user namespace of its own. Raises OSError."""
    uid, gid = os.getuid(), os.getgid()
    flags = NEW_NAMESPACE | (0 if uid == 0 else NEW_USER)
    if _LIBC.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as out:
                out.write(text)
    mount("none", "/", RECURSIVE | PRIVATE)


def mount(source: str, target: str, flags: int, kind: str = "none") -> None:
    """The system call. Raises OSError."""
    if _LIBC.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def populate(old: str, new: str, targets: set[str]) -> None:
    """Bind the entries of a directory into another; one on the way to a target is made and filled in its turn."""
    on_the_way = {target[len(old) :].strip("/").partition("/")[0] for target in targets if target.startswith(old)}
    for entry in os.scandir(old):
        path = f"{old}{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(path), f"{new}/{entry.name}")
        elif path in targets:
            continue
        elif entry.name in on_the_way and entry.is_dir():
            os.mkdir(f"{new}/{entry.name}")
            populate(f"{path}/", f"{new}/{entry.name}", targets)
        else:
            bind(path, f"{new}/{entry.name}")


def bind(source: str, target: str, *, read_only: bool = False) -> None:
    """Show a file or directory at another place as well. One that may not be shown is left out."""
    is_directory = stat.S_ISDIR(os.stat(source).st_mode)
    os.makedirs(target if is_directory else os.path.dirname(target), exist_ok=True)
    if not is_directory and not os.path.exists(target):
        with open(target, "w"):
            pass
    mount(source, target, BIND | RECURSIVE)
    if read_only:
        mount(source, target, BIND | REMOUNT | READ_ONLY)


def enter(spec: dict[str, Any]) -> None:
    """Build the new root at `root`, and go into it."""
    root, mounts = spec["root"], spec["mounts"]
    detach()
    mount("lab", root, 0, "tmpfs")
    populate("/", root, {entry["target"] for entry in mounts})
    for entry in mounts:
        bind(entry["source"], f"{root}{entry['target']}", read_only=entry["readOnly"])
    os.chroot(root)
    os.chdir(spec["directory"])


def main() -> None:
    """Read the spec, enter, and become the program."""
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    for group in spec["groups"]:
        with open(group, "w") as out:
            out.write("0")
    enter(spec)
    argv = spec["argv"]
    if argv:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        sys.exit(FAILED)
