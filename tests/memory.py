"""Most bytes of memory that a process had. Not of its rusage: there what started it counts, too. Source: proc(5)."""

from __future__ import annotations

from pathlib import Path


def most_memory(pid: int | str = "self") -> int:
    """So many bytes; OSError or LookupError when the process has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"process {pid} has no memory any more")


def forget_memory() -> None:
    """Begin anew with `most_memory` of this process."""
    Path("/proc/self/clear_refs").write_text("5")


def memory_with_children(pid: int) -> int:
    """Bytes of memory of a process and its children now, each page that they share once; 0 when it has ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(_own(each) for each in (str(pid), *children))
    except OSError:
        return 0


def _own(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended meanwhile
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
