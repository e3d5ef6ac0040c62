"""How a container sees its mounts: at their own paths where this machine lets us, else by paths put in their place.

In a mount namespace (root, or a user namespace) every path is as the Pod says, and read-only is read-only. Without
one, a mount's path is replaced by its directory in the container's command, arguments and variables, and nowhere else.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ENTER = Path(__file__).with_name("enter.py")
_PYTHON = (sys.executable, "-I", "-S", str(ENTER))


@dataclass(frozen=True)
class Mount:
    """A directory or file of this machine at a path of the container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Program:
    """What a container runs. groups: files of control groups into which the process writes itself."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    directory: str = "/"
    groups: tuple[Path, ...] = ()


@functools.cache
def is_possible() -> bool:
    """Whether this machine lets us have mount namespaces, and `$KAAS_LAB_NAMESPACES` does not say `no`."""
    if os.environ.get("KAAS_LAB_NAMESPACES") == "no":
        return False
    root = f"/tmp/.kaas-lab-{os.getpid()}"  # noqa: S108 - made and removed here
    os.mkdir(root, 0o700)
    spec = {"root": root, "mounts": [], "directory": "/", "argv": ["true"], "groups": []}
    try:
        done = subprocess.run(  # noqa: S603 - the lab's own
            [*_PYTHON, "/dev/stdin"], input=json.dumps(spec).encode(), capture_output=True, check=False
        )
    finally:
        os.rmdir(root)
    return done.returncode == 0


def isolated(program: Program, directory: Path) -> Program:
    """The program in a mount namespace. directory: where its root and what it is told are put."""
    root = directory / "root"
    root.mkdir(parents=True, exist_ok=True)
    spec = {
        "root": str(root),
        "mounts": [_entry(mount) for mount in _ordered(program.mounts)],
        "directory": program.directory,
        "argv": program.argv,
        "groups": [str(group) for group in program.groups],
    }
    file = directory / "enter.json"
    file.write_text(json.dumps(spec))
    return replace(program, argv=(*_PYTHON, str(file)), mounts=(), directory="/", groups=())


def replaced(program: Program) -> Program:
    """The program with the directories of its mounts in place of their paths. Control groups are left alone."""
    mounts = _ordered(program.mounts)[::-1]
    return Program(
        argv=tuple(_replace(word, mounts) for word in program.argv),
        environment={name: _replace(value, mounts) for name, value in program.environment.items()},
        mounts=(),
        directory=_replace(program.directory, mounts),
    )


def _entry(mount: Mount) -> dict[str, object]:
    # Where a path of this machine leads, as /var/run to /run: the mount has to lie there.
    target = os.path.realpath(mount.target)
    return {"source": str(mount.source.resolve()), "target": target, "readOnly": mount.read_only}


def _ordered(mounts: Sequence[Mount]) -> list[Mount]:
    """Outer ones first. Programs that would be hidden by a mount, as by one at /tmp, are shown again."""
    programs = {
        Path(path).resolve() for path in (sys.prefix, sys.base_prefix, *sys.path) if path and Path(path).is_dir()
    }
    again = [Mount(path, str(path)) for path in programs if any(path.is_relative_to(m.target) for m in mounts)]
    return sorted([*mounts, *again], key=lambda mount: len(Path(mount.target).parts))


def _replace(text: str, mounts: Sequence[Mount]) -> str:
    if not mounts:
        return text
    places = {mount.target.rstrip("/"): str(mount.source) for mount in mounts}
    names = "|".join(re.escape(path) for path in places)
    # A path of its own, not the middle of another one or of a URL.
    return re.sub(rf"(?<![\w./@%+-])({names})(?![\w.@%+-])", lambda match: places[match[1]], text)
