"""What wakes the features of add-ons, and what does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kaas.addons.watched import concern, concern_of_addon, counted, said_of_addon
from tests.unit.addons.world import raw_addon, raw_cluster, update_to

CLUSTER = raw_cluster(
    update_to("exporter", "1.0.0", "2.0.0", "Pending"),
    addOns=[{"name": "exporter", "version": "1.0.0", "state": "Ready", "message": "x"}],
    controlPlane={"replicas": 3, "ready": 3, "upToDate": 3},
)
ADDON = {**raw_addon("exporter", "1.0.0"), "status": {"versions": [{"version": "1.0.0", "digest": "d"}]}}


def changed(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(obj)
    *way, last = path.split(".")
    place: Any = found
    for step in way:
        place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
    place[last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.labels", {"tier": "test"}),
        ("metadata.deletionTimestamp", "2026-01-01T00:00:00Z"),
        ("metadata.annotations", {"cluster.x-k8s.io/paused": ""}),
        ("spec.site", "south"),
        ("status.version", "v1.37.0"),
        ("status.controlPlane.ready", 2),
        ("status.addOns", []),
        ("status.update.steps.1.state", "Running"),
        ("status.update.stopped", {"reason": "x"}),
        ("status.update.rolledBack", [{"what": "AddOn", "addOn": "exporter"}]),
        ("status.update.addOns", []),
    ],
)
def test_a_cluster_is_looked_at_when_what_decides_has_changed(path: str, value: Any) -> None:
    assert concern(changed(CLUSTER, path, value)) != concern(CLUSTER)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.resourceVersion", "9"),
        ("metadata.annotations", {"a": "b"}),
        ("status.conditions", []),
        ("status.update.steps.1.message", "it waits"),
        ("status.update.nextTime", "2026-01-01T00:00:00Z"),
        ("status.nodePools", []),
    ],
)
def test_a_cluster_is_not_looked_at_for_anything_else(path: str, value: Any) -> None:
    assert concern(changed(CLUSTER, path, value)) == concern(CLUSTER)


def test_an_update_without_add_ons_wakes_nobody() -> None:
    bare = changed(CLUSTER, "status.update.addOns", [])
    assert concern(bare) == concern(changed(bare, "status.update.steps.1.state", "Running"))


def test_clusters_are_looked_at_for_what_is_said_of_versions_and_not_for_who_has_them() -> None:
    assert concern_of_addon(changed(ADDON, "status.clusters", {"selected": 3})) == concern_of_addon(ADDON)
    assert concern_of_addon(changed(ADDON, "status.versions", [])) != concern_of_addon(ADDON)
    assert concern_of_addon(changed(ADDON, "spec.order", 3)) != concern_of_addon(ADDON)


def test_an_addon_is_looked_at_for_what_people_say_and_what_clusters_have() -> None:
    assert said_of_addon(changed(ADDON, "status", {})) == said_of_addon(ADDON)
    assert said_of_addon(changed(ADDON, "spec.order", 3)) != said_of_addon(ADDON)
    assert counted(changed(CLUSTER, "status.addOns.0.message", "y")) == counted(CLUSTER)
    assert counted(changed(CLUSTER, "status.addOns.0.state", "Failed")) != counted(CLUSTER)
