"""Clusters that are paused, and what is left as it is: nothing is done there, and it is seen whether it works."""

from __future__ import annotations

import copy

import pytest

from kaas.addons.course import DRIFT
from kaas.kube import resources
from kaas.kube.errors import Invalid
from kaas.kube.objects import Object
from tests.unit.addons.world import World, raw_addon, thing, update_to

PAUSED = "cluster.x-k8s.io/paused"
WORKS = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}


def world(*objects: Object) -> World:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=list(objects or (thing("settings"),)))
    return found


def pause(found: World, annotations: Object | None = None) -> None:
    cluster = copy.deepcopy(found.cluster)
    cluster["metadata"]["annotations"] = {PAUSED: ""} if annotations is None else annotations
    found.put(cluster)


async def looks(found: World) -> None:
    """Again and again for hours."""
    await found.examine()
    for _ in range(5):
        await found.look()
        found.clock.step(DRIFT)


async def test_nothing_is_put_into_a_paused_cluster_until_it_is_not_any_more() -> None:
    found = world()
    pause(found)
    await looks(found)
    assert found.server.calls == 0
    assert found.entries["exporter"]["state"] == "Waiting"
    assert PAUSED in found.entries["exporter"]["message"]
    pause(found, {})
    await found.settle()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_nothing_is_applied_again_or_brought_to_another_version_in_it() -> None:
    found = world(thing("settings", data={"a": "1"}))
    await found.settle()
    pause(found)
    found.server.found("ConfigMap", "settings")["data"] = {"a": "by hand"}
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("settings", data={"a": "2"})])
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    written = len(found.server.log)
    await looks(found)
    assert len(found.server.log) == written
    entry = found.entries["exporter"]
    assert (entry["state"], entry["version"]) == ("Ready", "1.0.0")
    assert PAUSED in entry["message"]
    pause(found, {})
    await found.settle()
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "2"}
    assert "message" not in found.entries["exporter"]


async def test_nothing_is_taken_out_of_it_and_what_was_begun_stands() -> None:
    found = world(thing("settings"), thing("held"))
    found.server.holds = {"held"}
    await found.settle()
    found.unput(resources.ADDON, None, "exporter")
    await found.look()
    assert found.entries["exporter"]["state"] == "Removing"
    pause(found)
    found.server.remove("ConfigMap", "held")
    await looks(found)
    assert "ConfigMap/settings" in found.server.names
    assert found.entries["exporter"]["state"] == "Removing"
    assert PAUSED in found.entries["exporter"]["message"]
    pause(found, {})
    await found.settle()
    assert found.server.names == set()


async def test_what_was_being_put_there_and_what_failed_stands_too() -> None:
    found = world(thing("settings"))
    found.server.faults["settings"] = Invalid("apply ConfigMap monitoring/settings", "unknown field", code=422)
    await found.settle(30.0)
    pause(found)
    await looks(found)
    assert found.entries["exporter"]["state"] == "Failed"
    assert [reason for reason, _ in found.events] == ["AddOnFailed"]


async def test_it_is_seen_in_a_paused_cluster_whether_it_works() -> None:
    found = world(thing("exporter", "Deployment"))
    found.server.works = False
    await found.settle(10.0)
    pause(found)
    assert await found.look() == 10.0
    assert "its controller has not seen it yet; the annotation" in found.entries["exporter"]["message"]
    found.server.found("Deployment", "exporter")["status"] = WORKS
    found.clock.step(10.0)
    assert await found.look() is None
    assert found.entries["exporter"]["state"] == "Ready"
    assert found.entries["exporter"]["message"].startswith("the annotation")


@pytest.mark.parametrize("is_new", [False, True])
async def test_what_is_left_as_it_is_can_become_ready(is_new: bool) -> None:
    found = world(thing("exporter", "Deployment"))
    found.server.works = False
    await found.settle(10.0)
    found.put(raw_addon("exporter", "9.0.0"))
    if is_new:
        found.start()
    assert await found.look() == 10.0
    assert found.entries["exporter"]["state"] == "Starting"
    found.server.found("Deployment", "exporter")["status"] = WORKS
    found.clock.step(10.0)
    assert await found.look() is None
    assert found.entries["exporter"]["state"] == "Ready"
    assert "does not have 1.0.0 any more" in found.entries["exporter"]["message"]


async def test_what_is_missing_is_not_made_anew_while_it_is_left_as_it_is() -> None:
    found = world(thing("exporter", "Deployment"))
    found.server.works = False
    await found.settle(10.0)
    found.put(raw_addon("exporter", "9.0.0"))
    found.server.remove("Deployment", "exporter")
    found.clock.step(10.0)
    await looks(found)
    assert found.entries["exporter"]["message"].startswith("Deployment.apps monitoring/exporter: it is missing; ")
    assert "Deployment/exporter" not in found.server.names
