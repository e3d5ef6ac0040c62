"""The loader beside s5cmd, rclone and boto3's transfer manager: the same objects, the same server, in turn.

The server costs as little as one can and the destination is memory: what is measured is the clients. Every one is a
process of its own that begins with nothing, and its start is counted. The others are as fast as they are told to be.
rclone and the loader compare what came with sums, s5cmd and boto3 do not. Small files are loaded by kaas with the sums
that S3 has of what came since December 2024 (CRC64NVME), with MD5 as of older objects and, as s5cmd does, without.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kaas_lab.layout import cache

from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit
from tests.memory import memory_with_children

MIB = 2**20
_STORE = Path(__file__).parent / "store"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
_LOOK = 0.01
_LOOKS = 25
"""Between two looks at the memory, which take some time."""
_ONE, _LARGE, _SMALL, _OLD = "one/", "large/", "small/", "old/"
_SLOWEST = "boto3"
_BY_SIZE = "kaas --verify size"
_COMPARED = ("kaas", "s5cmd")


@dataclass(frozen=True)
class Run:
    """One run of a program: seconds, seconds of processor, bytes of memory at most."""

    seconds: float
    processor: float
    memory: float


@dataclass(frozen=True)
class Load:
    """What is loaded."""

    prefix: str
    count: int
    size: int
    summed: bool = True

    @property
    def bytes(self) -> int:
        """In all."""
        return self.count * self.size


def run(bench: Bench) -> list[Figure]:
    """One object, large files, then small ones, and the figures of the issue."""
    one = Load(_ONE, 1, 1024)
    large = Load(_LARGE, 2, bench.size(4096, 64) * MIB)
    small = Load(_SMALL, bench.size(20_000, 400), 100 * 1024)
    old = Load(_OLD, small.count, small.size, summed=False)
    with _served([one, large, small, old]) as url, _empty() as directory:
        runs = {
            load.prefix: _in_turn(bench, load, _programs(url, load, directory), directory, url)
            for load in (one, large, small)
        }
        programs = {name: argv for name, argv in _programs(url, old, directory).items() if name in _COMPARED}
        runs[_OLD] = _in_turn(bench, old, programs, directory, url)
    return [_start(runs[_ONE]), *_large(large, runs[_LARGE]), *_small(small, runs[_SMALL], runs[_OLD])]


def _programs(url: str, load: Load, directory: Path) -> dict[str, list[str]]:
    """Command lines, by the names of programs."""
    bin_ = Path(sys.executable).parent
    source = f"s3://bucket/{load.prefix}"
    kaas = [sys.executable, "-m", "kaas", "load", source, str(directory), "--endpoint", url, "--json"]  # as a Job
    boto3 = [sys.executable, "-m", "tests.bench.loader_boto3"]
    return {
        "kaas": kaas,
        _BY_SIZE: [*kaas, "--verify", "size"],
        "s5cmd": [str(bin_ / "s5cmd"), "--endpoint-url", url, "cp", f"{source}*", f"{directory}/"],
        "rclone": [str(bin_ / "rclone"), "copy", f"play:bucket/{load.prefix}", str(directory), "--transfers=16"],
        "boto3": [*boto3, url, source, str(directory)],
    }


def _in_turn(bench: Bench, load: Load, programs: dict[str, list[str]], directory: Path, url: str) -> dict[str, Run]:
    """Medians of every program, one after the other in every round; boto3, which takes minutes, in the first alone."""
    found: dict[str, list[Run]] = {name: [] for name in programs}
    for round_ in range(bench.size(3, 1)):
        bench.say(f"{load.count} objects of {load.size / MIB:.1f} MiB, round {round_ + 1}")
        for name, argv in programs.items():
            if round_ and name == _SLOWEST:
                continue
            found[name].append(_measured(argv, directory, url))
            _check(name, load, directory)
    return {name: _median(runs) for name, runs in found.items()}


def _measured(argv: Sequence[str], directory: Path, url: str) -> Run:
    _clear(directory)
    start = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, env=_environment(url), stdout=subprocess.DEVNULL, stderr=said)
        memory = look = 0
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            if not (look := look + 1) % _LOOKS:
                memory = max(memory, memory_with_children(process.pid))
            time.sleep(_LOOK)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{argv[0]} failed: {said.read().decode()[-500:]}")
    return Run(seconds, ended[2].ru_utime + ended[2].ru_stime, memory)


def _check(name: str, load: Load, directory: Path) -> None:
    found = [path.stat().st_size for path in directory.iterdir() if path.is_file()]
    if found != [load.size] * load.count:
        raise RuntimeError(f"{name} has not loaded all: {len(found)} files, {sum(found)} bytes")


def _median(runs: list[Run]) -> Run:
    return Run(
        statistics.median(r.seconds for r in runs),
        statistics.median(r.processor for r in runs),
        max(r.memory for r in runs),
    )


def _start(runs: dict[str, Run]) -> Figure:
    said = ", ".join(f"{name} {found.seconds:.2f}" for name, found in runs.items())
    return Figure("one object, which is the start", runs["kaas"].seconds, "s", None, said)


def _large(load: Load, runs: dict[str, Run]) -> list[Figure]:
    rates = {name: load.bytes / MIB / found.seconds for name, found in runs.items()}
    costs = {name: found.processor / (load.bytes / 2**30) for name, found in runs.items()}
    others = {name: rate for name, rate in rates.items() if not name.startswith("kaas")}
    fastest = max(others, key=others.__getitem__)
    said = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    return [
        Figure(
            "large files: time, of the fastest one's", others[fastest] / rates["kaas"], "", Limit(1.1), f"{said} MiB/s"
        ),
        Figure(
            "processor per GiB, of rclone's",
            costs["kaas"] / costs["rclone"],
            "",
            Limit(1.1),
            ", ".join(f"{name} {cost:.2f}" for name, cost in costs.items()) + " s/GiB",
        ),
        _memory("memory, large files", runs),
    ]


def _small(load: Load, runs: dict[str, Run], old: dict[str, Run]) -> list[Figure]:
    rates = {name: load.count / found.seconds for name, found in runs.items()}
    said = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    return [
        Figure(
            "small files: time, of s5cmd's", rates["s5cmd"] / rates["kaas"], "", Limit(1 / 1.3), f"{said} objects/s"
        ),
        Figure("the same without sums, as s5cmd", rates["s5cmd"] / rates[_BY_SIZE], "", Limit(1 / 1.3)),
        Figure(
            "the same with MD5, as of older objects", old["kaas"].seconds / old["s5cmd"].seconds, "", Limit(1 / 1.3)
        ),
        Figure(
            "processor for small files",
            runs["kaas"].processor / load.count * 1e6,
            "µs each",
            None,
            ", ".join(f"{name} {found.processor / load.count * 1e6:.0f}" for name, found in runs.items()),
        ),
        _memory("memory, small files", runs),
    ]


def _memory(what: str, runs: dict[str, Run]) -> Figure:
    said = ", ".join(f"{name} {found.memory / 1e6:.0f}" for name, found in runs.items())
    return Figure(what, runs["kaas"].memory / 1e6, "MB", Limit(256), said)


@contextlib.contextmanager
def _served(loads: Sequence[Load]) -> Iterator[str]:
    """URL of a server that has the objects."""
    wanted = json.dumps([asdict(load) for load in loads])
    argv = [_built(), "-objects", wanted]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


def _built() -> str:
    path = cache() / "bin" / "bench-store"
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["go", "build", "-trimpath", "-buildvcs=false", "-o", str(path), "."]
    subprocess.run(argv, cwd=_STORE, check=True, env=os.environ | {"GOWORK": "off"})
    return str(path)


@contextlib.contextmanager
def _empty() -> Iterator[Path]:
    """A directory in memory, where the machine has one."""
    base = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kaas-bench-", dir=base) as directory:
        yield Path(directory)


def _clear(directory: Path) -> None:
    for path in directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _environment(url: str) -> dict[str, str]:
    return os.environ | {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_CONFIG_PLAY_TYPE": "s3",
        "RCLONE_CONFIG_PLAY_PROVIDER": "Other",
        "RCLONE_CONFIG_PLAY_LIST_VERSION": "2",  # the first version goes on by markers, which the server does not know
        "RCLONE_CONFIG_PLAY_ENDPOINT": url,
        "RCLONE_CONFIG_PLAY_ACCESS_KEY_ID": "key",
        "RCLONE_CONFIG_PLAY_SECRET_ACCESS_KEY": "secret",
    }
