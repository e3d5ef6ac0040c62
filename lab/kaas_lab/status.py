"""The processes of a lab as a table for people."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from kaas_lab import processes, sockets

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Row:
    """One process. rss: bytes of memory. cpu, age: seconds. addresses: where it listens."""

    name: str
    pid: int
    rss: int
    cpu: float
    age: float
    addresses: tuple[str, ...]


def rows(state: Path) -> list[Row]:
    """Living processes of the lab at `state`, by name."""
    found = (_row(pid, name) for pid, name in processes.find(state).items())
    return sorted((row for row in found if row), key=lambda row: (row.name, row.pid))


def _row(pid: int, name: str) -> Row | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # ended since
        return None
    # proc(5): fields 14, 15, 22 and 24 of the line, of which the first two are cut off.
    cpu, start, pages = int(fields[11]) + int(fields[12]), int(fields[19]), int(fields[21])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - start / _TICK
    addresses = tuple(dict.fromkeys(listener.address for listener in sockets.of_process(pid)))
    return Row(name, pid, pages * _PAGE, cpu / _TICK, age, addresses)


def table(state: Path) -> Table:
    """The rows, with the sum of memory and processor time below."""
    found = rows(state)
    drawn = Table(box=None, show_footer=True)
    drawn.add_column("PROCESS", f"{len(found)} processes")
    drawn.add_column("PID", justify="right")
    drawn.add_column("MEMORY", _megabytes(sum(r.rss for r in found)), justify="right")
    drawn.add_column("CPU", f"{sum(r.cpu for r in found):.0f} s", justify="right")
    drawn.add_column("AGE", justify="right")
    drawn.add_column("LISTENS AT", overflow="fold")
    for row in found:
        where = " ".join(row.addresses)
        drawn.add_row(row.name, str(row.pid), _megabytes(row.rss), f"{row.cpu:.0f} s", _duration(row.age), where)
    return drawn


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
