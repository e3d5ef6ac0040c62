from __future__ import annotations

import os
from pathlib import Path

import pytest

from kaas.loader import container
from kaas.loader.options import LARGEST_BUFFERS, MIB, Limits

CPUS = float(len(os.sched_getaffinity(0)))


def made(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("own", "files", "memory", "cpus"),
    [
        ("0::/\n", {"memory.max": "268435456\n", "cpu.max": "50000 100000\n"}, 2**28, 0.5),
        ("0::/\n", {"memory.max": "max\n", "cpu.max": "max 100000\n"}, None, CPUS),
        ("0::/pod/c\n", {"pod/memory.max": "1000", "pod/c/memory.max": "2000", "pod/c/cpu.max": "10 100"}, 1000, 0.1),
        ("0::/../other\n", {}, None, CPUS),
        (
            "5:memory:/\n4:cpu,cpuacct:/\n",
            {
                "memory/memory.limit_in_bytes": "536870912",
                "cpu/cpu.cfs_quota_us": "25000",
                "cpu/cpu.cfs_period_us": "100000",
            },
            2**29,
            0.25,
        ),
        (
            "5:memory:/pod\n",
            {"memory/memory.limit_in_bytes": "9223372036854771712", "memory/pod/memory.limit_in_bytes": "77"},
            77,
            CPUS,
        ),
        ("5:memory:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, CPUS),
    ],
    ids=["v2", "v2-without", "v2-nested", "v2-outside", "v1", "v1-nested", "v1-without"],
)
def test_limits(tmp_path: Path, own: str, files: dict[str, str], memory: int | None, cpus: float) -> None:
    group = tmp_path / "self"
    group.write_text(own)
    assert container.limits(made(tmp_path / "cgroup", files), group) == Limits(memory, min(cpus, CPUS))


def test_without_cgroups(tmp_path: Path) -> None:
    assert container.limits(tmp_path / "none", tmp_path / "nothing") == Limits(None, CPUS)


@pytest.mark.parametrize("memory", [None, 16 * MIB, 64 * MIB, 128 * MIB, 300 * MIB, 10**12])
def test_ranges_in_flight_take_two_fifths_of_the_memory(memory: int | None) -> None:
    limits = Limits(memory, 2)
    assert limits.buffers <= min(LARGEST_BUFFERS, (memory or 10**12) * 2 // 5)
    assert limits.range & (limits.range - 1) == 0
    assert MIB <= limits.range <= 8 * MIB
    assert limits.buffers // limits.range >= (8 if limits.range > MIB else 6)
    assert 8 <= limits.streams <= 64
