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
