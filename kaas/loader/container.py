"""What the container lets its processes use: limits of its cgroup, version 2 or 1."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kaas.loader.options import Limits

ROOT: Final = Path("/sys/fs/cgroup")
NONE: Final = 1 << 60
"""From here on a limit of memory is none: version 1 shows the largest multiple of a page that fits a signed 64 bits."""


def limits(root: Path = ROOT, own: Path = Path("/proc/self/cgroup")) -> Limits:
    """Limits of this process: the tightest of its cgroup and those above. Without any: None, and the machine's CPUs."""
    groups = _groups(root, own)
    memories = [m for group in groups for m in _memory(group)]
    cpus = [c for group in groups for c in _cpus(group)]
    return Limits(min(memories, default=None), min([*cpus, float(len(os.sched_getaffinity(0)))]))


def _groups(root: Path, own: Path) -> list[Path]:
    """Directories of the process's cgroups, of each controller, from its own up to the root."""
    found: list[Path] = [root, root / "memory", root / "cpu"]
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        base = root if not controllers else root / controllers
        inner = base / path.lstrip("/")
        while ".." not in inner.parts and inner not in {base, inner.parent}:
            found.append(inner)
            inner = inner.parent
    return found


def _memory(group: Path) -> Iterable[int]:
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = _text(group / name).strip()
        if text.isdecimal() and int(text) < NONE:
            yield int(text)


def _cpus(group: Path) -> Iterable[float]:
    quota, _, period = _text(group / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = (_text(group / f"cpu.cfs_{part}_us").strip() for part in ("quota", "period"))
    if quota.isdecimal() and period.isdecimal() and int(period):
        yield int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
