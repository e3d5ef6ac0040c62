"""A year of a thousand Clusters in virtual time: planner and ledger of updates, and a few in the whole reconciler."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.versions import KubernetesVersion
from kaas.updates.ledger import advance
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit
from tests.unit.updates.simulation.bare_year import BareYear
from tests.unit.updates.simulation.invariants import Invariants
from tests.unit.updates.simulation.world import World
from tests.unit.updates.subjects import raw_site

CLUSTERS, WHOLE, DAYS = 1_000, 50, 365
MINORS, PATCHES = range(35, 39), range(10)
NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
CHANNELS = ("Rapid", "Regular", "Stable")
ZONES = ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York")
WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
YEAR = Limit(60.0)


def run(bench: Bench) -> Sequence[Figure]:
    """Processor time of one process."""
    return [_bare(bench.size(CLUSTERS, 20)), _whole(bench.size(WHOLE, 3))]


def _bare(clusters: int) -> Figure:
    """The planner and the ledger of every Cluster."""
    year = bare(clusters)
    seconds = _timed(lambda: year.run(NOW + timedelta(days=DAYS)))
    assert not year.outside
    note = f"{year.updates:,} updates, {year.machines:,} machines, {year.looks:,} decisions"
    return Figure(f"{clusters:,} Clusters, {DAYS} days", seconds, "s", YEAR if clusters == CLUSTERS else None, note)


def _whole(clusters: int) -> Figure:
    """The reconciler and played controllers around it, with everything written; every machine is checked."""
    world = fleet(clusters)
    watched = Invariants(world)
    with patch.object(advance, "LOOK", timedelta(hours=1)):  # for machines that are late: here none is
        seconds = _timed(lambda: world.run(NOW + timedelta(days=DAYS)))
    watched.holds()
    machines = sum(len(m.begun) for m in world.members.values())
    note = f"{clusters} Clusters, {machines:,} machines, {world.looks:,} decisions, {world.writes:,} writes"
    return Figure(f"one Cluster in the reconciler, {DAYS} days", seconds / clusters * 1000, "ms", None, note)


def _timed(work: Any) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def bare(clusters: int) -> BareYear:
    """Clusters of all channels, with a patch a month and a minor every four months."""
    year = BareYear(Site.model_validate(raw_site()), [Release.model_validate(r) for r in _releases()])
    for number in range(clusters):
        cluster = Cluster.model_validate(_cluster(number))
        year.add(cluster, KubernetesVersion.parse(f"v1.35.{number % 3}"), NOW)
    return year


def fleet(clusters: int) -> World:
    """The same."""
    world = World(raw_site(), settles=timedelta())
    for raw in _releases():
        world.put(raw)
    for number in range(clusters):
        world.add(_cluster(number), f"v1.35.{number % 3}")
    return world


def _stamp(days: int) -> str:
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _releases() -> list[dict[str, Any]]:
    found = []
    for minor in MINORS:
        for patch_number in PATCHES:
            day = (minor - MINORS.start) * 120 + patch_number * 30 - 200
            channels = {"rapid": _stamp(day), "regular": _stamp(day + 14), "stable": _stamp(day + 40)}
            version = f"v1.{minor}.{patch_number}"
            spec = {"version": version, "image": version, "channels": channels, "expires": _stamp(day + 365)}
            found.append({"kind": "Release", "metadata": {"name": version}, "spec": spec})
    return [{"apiVersion": "kaas.internal/v1alpha1", **r} for r in found]


def _cluster(number: int) -> dict[str, Any]:
    """Half of them have a window of their own; a tenth is pinned, two fifths stay on a minor."""
    window = {
        "recurrence": f"FREQ=WEEKLY;BYDAY={WEEK[number % 7]}",
        "start": f"{number % 24:02}:00",
        "durationMinutes": 240,
        "timeZone": ZONES[number % len(ZONES)],
    }
    pinned = number % 10 == 0
    spec = {
        "version": f"v1.35.{number % 3}" if pinned else "1.35",
        "site": "north",
        "controlPlane": {"flavor": "cpu-2", "replicas": 3 if number % 3 else 1},
        "nodePools": [{"name": "cpu", "flavor": "cpu-4", "replicas": 1 + number % 3}],
        "updates": {
            "channel": CHANNELS[number % 3],
            "kubernetes": "Patch" if pinned or number % 5 < 2 else "Minor",
        },
        "maintenance": {"windows": [window] if number % 2 else []},
    }
    meta = {"name": f"c-{number}", "namespace": "team", "uid": f"u-{number}"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}
