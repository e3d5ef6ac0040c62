"""A change that replaces machines waits for repairs of the same pool, and no other change does."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kaas.api.constants import FINALIZER
from kaas.clusters.plan import plan
from kaas.clusters.snapshot import Snapshot
from tests.unit.clusters.builders import cluster, ids, pool, reasons, settled, site, snapshot

SPEC: dict[str, Any] = {
    "version": "1.36",
    "controlPlane": {"flavor": "cpu-2", "replicas": 3},
    "nodePools": [pool(zones=["az-1", "az-2"]), pool("train", flavor="dgx")],
}


def under_repair(changes: dict[str, Any], **in_flight: int) -> Snapshot:
    """A Cluster that runs as SPEC says and is changed, with repairs in flight by pool; control_plane is that."""
    before = settled(cluster(metadata={"finalizers": [FINALIZER]}, **SPEC))
    spec = copy.deepcopy(SPEC)
    for path, value in changes.items():
        *way, last = (int(p) if p.isdigit() else p for p in path.split("."))
        place: Any = spec
        for part in way:
            place = place[part]
        place[last] = value
    named = {("" if name == "control_plane" else name): number for name, number in in_flight.items()}
    pools = [{"name": name, "inFlight": number, "unhealthy": 1} for name, number in named.items()]
    status = {"repair": {"unhealthy": 1, "inFlight": 1, "quarantined": 0, "pools": pools}}
    after = cluster(metadata={"finalizers": [FINALIZER]}, status=status, **spec)
    return snapshot(after, site(), classes=before.classes, identity=before.identity, live=before.live)


@pytest.mark.parametrize(
    ("changes", "in_flight"),
    [
        ({"version": "v1.36.1"}, {"cpu": 1}),
        ({"version": "v1.36.1"}, {"control_plane": 1}),
        ({"nodePools.0.flavor": "cpu-2"}, {"cpu": 2}),
        ({"nodePools.0.labels": {"a": "b"}}, {"cpu": 1}),
        ({"nodePools.1.gpu": {"taint": "None"}}, {"train": 1}),
        ({"controlPlane.flavor": "cpu-4"}, {"control_plane": 1}),
    ],
)
def test_change_that_replaces_machines_waits(changes: dict[str, Any], in_flight: dict[str, int]) -> None:
    steps = plan(under_repair(changes, **in_flight))
    assert ids(steps) == ["repairs", "cluster"]
    assert reasons(steps) == ["RepairUnderWay"]
    assert "kaas repair status -n tenants" in steps[0].gates[0].message


@pytest.mark.parametrize(
    ("changes", "in_flight"),
    [
        ({"version": "v1.36.1"}, {"cpu": 0}),
        ({"nodePools.0.flavor": "cpu-2"}, {"train": 1}),
        ({"nodePools.0.flavor": "cpu-2"}, {"control_plane": 1}),
        ({"nodePools.0.replicas": 5}, {"cpu": 1}),
        ({"nodePools.0.zones": ["az-1"]}, {"cpu": 1}),
        ({"nodePools": []}, {"cpu": 1}),
        ({"nodePools.1.gpu": {"drainTimeoutSeconds": 60}}, {"train": 1}),
        ({"repair": {"mode": "Off"}}, {"cpu": 1}),
        ({"controlPlane.replicas": 5}, {"control_plane": 1}),
    ],
)
def test_any_other_change_does_not(changes: dict[str, Any], in_flight: dict[str, int]) -> None:
    assert ids(plan(under_repair(changes, **in_flight))) == ["cluster"]


def test_nothing_waits_that_does_not_change() -> None:
    assert plan(under_repair({}, cpu=1, control_plane=1)) == []
