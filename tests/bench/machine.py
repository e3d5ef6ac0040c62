"""The machine that is measured on: without it no figure means anything."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil

BUSY = 1.0  # load average beyond which others take part of the time that is measured


def describe() -> dict[str, Any]:
    """Processor, cores, memory, system, Python, and the load average of the last minute."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memoryGiB": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def header(machine: dict[str, Any]) -> str:
    """One line for a person."""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memoryGiB']} GiB, {machine['system']}, "
        f"Python {machine['python']}, load average {machine['load']}"
    )


def warning(load: float) -> str:
    """What to think of the figures when others work on the machine; empty when nobody does."""
    if load <= BUSY:
        return ""
    return f"the load average is {load:.1f}: others work on this machine, and times come out longer than they are"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
