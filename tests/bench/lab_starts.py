"""How quickly the lab comes up: its parts alone, one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kaas_lab import build, management, openstack, pods, processes
from kaas_lab.layout import Layout, cache
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot

from tests.bench.bare import own_crds
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit

SNAPSHOTS = "openstack-snapshot-"
CACHE = "KAAS_LAB_CACHE"


def run(bench: Bench) -> Sequence[Figure]:
    """Everything is built before: a cold build is another matter, and takes minutes."""
    bench.say("build, warm")
    _build()  # what is missing is built here
    built = _seconds(_build)
    figures = [Figure("kaas lab build, warm", built, "s", Limit(20.0))]
    figures.append(Figure("management cluster", _alone(bench, "management", _management), "s", Limit(10.0)))
    figures.append(Figure("cluster with Pods", _alone(bench, "pods", _pods), "s", Limit(15.0)))
    if bench.quick:
        return figures
    with _without_snapshots(bench.directory("cache")):
        cold = _alone(bench, "openstack-cold", _openstack)
        warm = _alone(bench, "openstack-warm", _openstack)
    return [
        *figures,
        Figure("OpenStack, cold", cold, "s", Limit(25.0), "databases, users, networks, images, flavors made"),
        Figure("OpenStack, from a snapshot", warm, "s", Limit(10.0)),
    ]


def _build() -> None:
    subprocess.run([sys.executable, "-m", "kaas", "lab", "build"], check=True, stdout=sys.stderr)


def _management(layout: Layout) -> None:
    management.up(layout, extra_crds=own_crds())


def _pods(layout: Layout) -> None:
    build.ensure(["pods"], layout, Reporter())
    pods.definitions.ensure()
    management.up(layout, (), extra_crds=own_crds(), runs_pods=pods.Settings())


def _openstack(layout: Layout) -> None:
    openstack.up(layout, "lab", 0, say=lambda _: None)


def _seconds(call: Callable[[], None]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def _alone(bench: Bench, name: str, start: Callable[[Layout], None]) -> float:
    """Seconds of one start; what was started is ended."""
    bench.say(name)
    state = bench.directory(name)
    with free_slot(state) as layout:
        try:
            return _seconds(lambda: start(layout))
        finally:
            processes.stop_all(state, patience=2.0)
            pods.release(state)


@contextmanager
def _without_snapshots(directory: Path) -> Iterator[None]:
    """A cache that has all that the machine's has, but for snapshots of clouds."""
    for entry in cache().iterdir():
        if not entry.name.startswith(SNAPSHOTS):
            (directory / entry.name).symlink_to(entry)
    before = os.environ.get(CACHE)
    os.environ[CACHE] = str(directory)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE]
        else:
            os.environ[CACHE] = before
