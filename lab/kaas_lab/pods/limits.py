"""Limits of memory and CPU by control groups, where this machine lets us make them; without, none is enforced.

The container sees its own group where a program looks for it, so that it finds its limits as in a real container.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environment import quantity
from .sandbox import Mount

ROOT = Path("/sys/fs/cgroup")
OURS = "kaas-lab"
PERIOD = 100_000  # microseconds; the kernel's default


@dataclass(frozen=True)
class Group:
    """A directory of control groups, the path at which a container sees it, and what is written to it."""

    path: Path
    seen_at: str
    values: Mapping[str, str]

    @property
    def processes(self) -> Path:
        """A process that writes 0 here belongs to it."""
        return self.path / "cgroup.procs"


class Limits:
    """Groups of one container, made by `apply` and taken away by `remove`."""

    def __init__(self, name: str, resources: Mapping[str, Any]) -> None:
        limits = resources.get("limits") or {}
        memory, cpu = limits.get("memory"), limits.get("cpu")
        self._memory = int(quantity(str(memory))) if memory else None
        self._cpu = quantity(str(cpu)) if cpu else None
        self._name = f"{OURS}/{name}"
        self._made: list[Group] = []

    def apply(self) -> tuple[list[Path], list[Mount]]:
        """Make the groups; returns the files into which the process writes itself, and mounts of the groups."""
        for group in self._second() if (ROOT / "cgroup.controllers").exists() else self._first():
            with suppress(OSError):  # not ours to make: the container runs without a limit
                _make(group)
                self._made.append(group)
        mounts = [Mount(group.path, group.seen_at) for group in self._made]
        return [group.processes for group in self._made], mounts

    def was_out_of_memory(self) -> bool:
        """Whether the kernel has ended a process for the limit of memory."""
        for group in self._made:
            for name in ("memory.events", "memory.oom_control"):
                with suppress(OSError):
                    counts = dict(line.split() for line in (group.path / name).read_text().splitlines())
                    if int(counts.get("oom_kill", "0")):
                        return True
        return False

    def remove(self) -> None:
        """Take the groups away; nothing runs in them any more."""
        for group in self._made:
            with suppress(OSError):
                os.rmdir(group.path)
        self._made.clear()

    def _first(self) -> list[Group]:
        """Version 1: a hierarchy for each kind of limit."""
        found = []
        if self._memory:
            values = {"memory.limit_in_bytes": str(self._memory)}
            found.append(Group(ROOT / "memory" / self._name, f"{ROOT}/memory", values))
        if self._cpu:
            values = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": str(int(self._cpu * PERIOD))}
            found.append(Group(ROOT / "cpu" / self._name, f"{ROOT}/cpu", values))
        return found

    def _second(self) -> list[Group]:
        """Version 2: one hierarchy for all."""
        values: dict[str, str] = {}
        if self._memory:
            values |= {"memory.max": str(self._memory), "memory.swap.max": "0"}
        if self._cpu:
            values["cpu.max"] = f"{int(self._cpu * PERIOD)} {PERIOD}"
        return [Group(ROOT / self._name, str(ROOT), values)] if values else []


def _make(group: Group) -> None:
    """Raises OSError when this machine does not let us."""
    parts = group.path.relative_to(ROOT).parts
    for depth in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:depth])
        place.mkdir(exist_ok=True)
        if depth < len(parts) and (place / "cgroup.subtree_control").exists():
            (place / "cgroup.subtree_control").write_text("+memory +cpu")
    for name, value in group.values.items():
        with suppress(FileNotFoundError):  # a kernel without swap accounting
            (group.path / name).write_text(value)


def group_name(state: Path) -> str:
    """Name of all groups of the lab at `state`."""
    return hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]


def release(state: Path) -> None:
    """Take away the groups that the lab at `state` has left."""
    for top in (ROOT, ROOT / "memory", ROOT / "cpu"):
        mine = top / OURS / group_name(state)
        for path in [*sorted(mine.glob("**/"), reverse=True), mine.parent]:  # the last one stays if another lab has it
            with suppress(OSError):
                os.rmdir(path)
