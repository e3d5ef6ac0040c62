"""A cloud that takes connections and never answers: what the Clusters of other clouds notice of it."""

from __future__ import annotations

import base64
import json
import socket
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kaas.api.constants import SYSTEM_NAMESPACE
from kaas.kube.objects import Object
from tests.bench import fleet
from tests.bench.bare import bare, fill
from tests.bench.bench import Bench
from tests.bench.changes import Changes, watching
from tests.bench.controllers import controller, until
from tests.bench.figures import Figure, Limit
from tests.e2e.platform import Platform

SITE = "hole"
BLOCKED = 20
NOISE = 0.1  # seconds by which p99 of two equal runs differ on a machine that has other work


def run(bench: Bench) -> Sequence[Figure]:
    """Changes of Clusters of one cloud, one after the other, without and with Clusters that wait for the other."""
    clusters, rounds = bench.size(50, 10), bench.size(8, 2)
    with bare(bench, "black-hole") as platform, _hole() as port:
        fill(bench, platform, clusters)
        with controller(platform) as process, watching(platform) as changes:
            until("every Cluster is reconciled", lambda: process.synced(clusters))
            without = _latencies(bench, changes, clusters, rounds)
            _block(bench, platform, port)
            behind = _latencies(bench, changes, clusters, rounds)
    limit = Limit(_p99(without) * 1.5 + NOISE)
    note = f"{len(behind)} changes; limit: half more than without, and {NOISE:g} s"
    return [
        Figure("change to Cluster API, p99, all clouds well", _p99(without), "s"),
        Figure(f"the same with {BLOCKED} Clusters at a black hole", _p99(behind), "s", limit, note),
        Figure("median without", statistics.median(without), "s"),
        Figure("median with", statistics.median(behind), "s"),
    ]


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def _latencies(bench: Bench, changes: Changes, clusters: int, rounds: int) -> list[float]:
    bench.say(f"{clusters * rounds} changes")
    changes.clear()
    for _ in range(rounds):
        changes.send((fleet.name_of(n) for n in range(clusters)), every=0.15)
    return changes.latencies()


@contextmanager
def _hole() -> Iterator[int]:
    """A port at which connections are taken and nothing is said."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield server.getsockname()[1]


def _block(bench: Bench, platform: Platform, port: int) -> None:
    """New Clusters on a Site whose Keystone is the hole; they wait for it from now on."""
    platform.apply(_secret(port), _site())
    platform.apply(*(fleet.cluster(f"blocked-{n:02}", SITE) for n in range(BLOCKED)))
    names = [f"blocked-{n:02}" for n in range(BLOCKED)]
    until("Clusters that wait for their cloud", lambda: all(_waits(platform, n) for n in names))
    bench.say(f"{BLOCKED} Clusters wait for a cloud that does not answer")


def _waits(platform: Platform, name: str) -> bool:
    return str(platform.condition(name, "Accepted").get("reason", "")).startswith("Cloud")


def _site() -> Object:
    found = fleet.site(SITE)
    return {**found, "metadata": {"name": SITE}}


def _secret(port: int) -> Object:
    auth = {"auth_url": f"http://127.0.0.1:{port}/v3", "username": "u", "password": "p", "project_name": "p"}
    domains = {"user_domain_name": "Default", "project_domain_name": "Default"}
    clouds = {"clouds": {"openstack": {"auth": {**auth, **domains}, "region_name": "RegionOne"}}}
    data = {"clouds.yaml": base64.b64encode(json.dumps(clouds).encode()).decode()}
    meta = {"name": f"{SITE}-openstack", "namespace": SYSTEM_NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}
