"""Logs of a lab's processes, by the process's name."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from kaas_lab import processes


class NoLog(Exception):
    """No log, or more than one, has that name."""


def names(state: Path) -> dict[str, Path]:
    """Every log under a state directory: its path below it, without `logs/` and `.log`, to the file."""
    found = {}
    for path in sorted(state.rglob("*.log")):
        place = path.relative_to(state).with_suffix("").parts
        found["/".join(part for part in place if part not in {"logs", "sites"})] = path
    return found


def find(state: Path, name: str) -> Path:
    """The log called `name`, by its last word where that is clear: `nova-api` for `lab/nova-api`. Raises NoLog."""
    known = names(state)
    if name in known:
        return known[name]
    matches = [key for key in known if key.endswith(f"/{name}")]
    if len(matches) == 1:
        return known[matches[0]]
    raise NoLog(f"no log is called {name!r}; there are: {', '.join(matches or known) or 'none'}")


def follow(path: Path, write: Callable[[str], object], until: Callable[[], bool] = lambda: False) -> None:
    """Write what is in a log's end and what is added to it, until Ctrl-C or until `until()` holds."""
    write(processes.tail(path) + "\n")
    with path.open(errors="replace") as log:
        log.seek(0, 2)
        while not until():
            _pass_on(log, write)
            time.sleep(0.2)
        _pass_on(log, write)


def _pass_on(log: IO[str], write: Callable[[str], object]) -> None:
    while text := log.read(1 << 16):
        write(text)
