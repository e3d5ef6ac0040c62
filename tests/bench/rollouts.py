"""A round of a Rollout of all kinds of updates over a thousand Clusters, whose turn it is, and what is written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.versions import KubernetesVersion
from kaas.updates.rollouts.known_images import KnownImages
from kaas.updates.rollouts.member import Member
from kaas.updates.rollouts.planner import Round, decide
from kaas.updates.rollouts.scene import Known
from kaas.updates.rollouts.turns import Turns
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit

CLUSTERS = 1_000
NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
ROUND = Limit(200.0)
WRITTEN = Limit(1_024.0)
"""KiB: etcd takes requests of 1.5 MiB at most."""
UPDATES = ["Kubernetes", "NodeImages", "ClassRevision"]
T = TypeVar("T")


def _release(version: str) -> Release:
    channels = {"regular": "2026-12-01T00:00:00Z"}
    spec = {"version": version, "image": f"ubuntu-{version}", "channels": channels}
    meta = {"name": version}
    return Release.model_validate({"apiVersion": API_VERSION, "kind": "Release", "metadata": meta, "spec": spec})


KNOWN = Known(KubernetesVersion(36, 3), images=KnownImages([_release("v1.36.1"), _release("v1.36.3")]))


def run(bench: Bench) -> Sequence[Figure]:
    """Processor time; the best of some rounds."""
    rounds = bench.size(5, 1)
    clusters = [_cluster(number) for number in range(CLUSTERS)]
    rollout = _rollout()
    making, members = _timed(rounds, lambda: [Member.of(c) for c in clusters])
    first, started = _timed(rounds, lambda: decide(rollout, members, NOW, KNOWN))
    later = NOW + timedelta(minutes=10)
    moved = [Member.of(_cluster(n, began=n % 10 == 0)) for n in range(CLUSTERS)]
    under_way = _with(rollout, decide(_with(rollout, started), members, NOW, KNOWN))
    middle, found = _timed(rounds, lambda: decide(under_way, moved, later, KNOWN))
    rest, _ = _timed(rounds, lambda: decide(_with(rollout, found), moved, later, KNOWN))
    turns, _ = _timed(rounds, lambda: _turns(_with(rollout, found), clusters, later))
    text, said = _timed(rounds, lambda: json.dumps(found.status.to_json()))
    number = f"{CLUSTERS:,} Clusters"
    return [
        Figure("a round that starts a stage", first * 1000, "ms", ROUND, number),
        Figure("a round in which a tenth has moved", middle * 1000, "ms", ROUND, number),
        Figure("a round in which nothing has", rest * 1000, "ms", ROUND, number),
        Figure("reading all Clusters anew", making * 1000, "ms", None, number),
        Figure("the turns of all Clusters", turns * 1000, "ms", None, number),
        Figure("the status as it is written", len(said) / 1024, "KiB", WRITTEN, f"{text * 1000:.0f} ms"),
    ]


def _timed(rounds: int, work: Callable[[], T]) -> tuple[float, T]:
    times, found = [], []
    for _ in range(rounds):
        begin = time.process_time()
        found = [work()]
        times.append(time.process_time() - begin)
    return min(times), found[0]


def _with(rollout: Rollout, found: Round) -> Rollout:
    return rollout.model_copy(update={"status": found.status})


def _turns(rollout: Rollout, clusters: Sequence[Cluster], now: datetime) -> int:
    """Number of Clusters whose turn it is."""
    turns = Turns([rollout])
    return sum(1 for c in clusters if (turn := turns.of(c, now).kubernetes) is not None and turn.allowed)


def _rollout() -> Rollout:
    """A stage with a tenth of the fleet that is passed by the second, of which a fifth may go at once."""
    canary = {"name": "canary", "selector": {"matchLabels": {"stage": "canary"}}, "maxFailures": "100%"}
    prod = {
        "name": "prod",
        "selector": {"matchExpressions": [{"key": "stage", "operator": "In", "values": ["prod"]}]},
        "maxConcurrency": "20%",
        "perSite": "30%",
        "perZone": "50%",
        "maxFailures": "5%",
    }
    spec = {"channel": "Regular", "updates": UPDATES, "stages": [canary, prod], "maxConcurrency": 200}
    meta = {"name": "fleet", "uid": "fleet", "generation": 1}
    return Rollout.model_validate({"apiVersion": API_VERSION, "kind": "Rollout", "metadata": meta, "spec": spec})


def _cluster(number: int, *, began: bool = False) -> Cluster:
    """One of five Sites with three zones each; all windows are open."""
    window = {"start": "2027-01-04T10:00:00Z", "end": "2027-01-04T18:00:00Z"}
    update = {"nextMaintenance": window, "reason": "RolloutPending"}
    if began:
        update |= {"target": "v1.36.3", "began": "2027-01-04T12:01:00Z"}
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}
    pools = [{"name": f"pool-{n}", "replicas": 8, "ready": 8, "upToDate": 8, "available": 8} for n in range(3)]
    status = {
        "version": "v1.36.1",
        "image": "ubuntu-v1.36.1",
        "classRevision": "kaas-openstack-1",
        "newestClassRevision": {"name": "kaas-openstack-2", "since": "2026-11-01T00:00:00Z"},
        "conditions": [ready | {"lastTransitionTime": "2027-01-01T00:00:00Z"}],
        "nodePools": [{**pool, "version": "v1.36.1"} for pool in pools],
        "update": update,
    }
    spec = {
        "version": "1.36",
        "site": f"site-{number % 5}",
        "controlPlane": {"flavor": "cpu", "zones": [f"az-{number % 3}"]},
        "nodePools": [{"name": pool["name"], "flavor": "cpu", "zones": [f"az-{number % 3}"]} for pool in pools],
    }
    meta = {
        "name": f"c-{number}",
        "namespace": f"team-{number % 50}",
        "uid": f"uid-{number}",
        "labels": {"stage": "prod"},
    }
    return Cluster.model_validate(
        {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec, "status": status}
    )
