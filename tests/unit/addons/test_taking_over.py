"""Objects that were in a Cluster before an add-on came: they are somebody's."""

from __future__ import annotations

import pytest

from kaas.kube import resources
from kaas.kube.objects import Object
from tests.unit.addons.world import World, raw_addon, thing, update_to

WAY = (
    "is in the Cluster already, and is not the add-on's: delete it, leave it out of the add-on, or hand it over with "
    "the label kaas.internal/add-on=exporter"
)


def world(*objects: Object) -> World:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=list(objects))
    return found


@pytest.mark.parametrize("labels", [{}, {"kaas.internal/add-on": "one-of-before"}])
async def test_what_is_nobodys_is_not_taken_and_nothing_is_written(labels: Object) -> None:
    found = world(thing("first"), thing("settings", data={"a": "1"}))
    theirs = thing("settings", data={"a": "theirs"})
    found.server.put({**theirs, "metadata": {**theirs["metadata"], "labels": labels}})
    found.server.log.clear()
    await found.settle(30.0)
    entry = found.entries["exporter"]
    assert entry["state"] == "Failed"
    assert entry["message"] == f"ConfigMap monitoring/settings {WAY}"
    assert found.server.log == []
    found.unput(resources.ADDON, None, "exporter")
    await found.settle()
    assert found.server.names == {"ConfigMap/settings"}


async def test_what_is_handed_over_is_taken() -> None:
    found = world(thing("settings", data={"a": "1"}))
    found.server.put(thing("settings", data={"a": "theirs"}))
    await found.settle(30.0)
    found.server.found("ConfigMap", "settings")["metadata"]["labels"] = {"kaas.internal/add-on": "exporter"}
    found.clock.step(300.0)
    await found.settle()
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "1"}


async def test_a_newer_version_takes_nothing_either_and_what_was_its_own_is_its_own() -> None:
    found = world(thing("settings"))
    await found.settle()
    found.server.found("ConfigMap", "settings")["metadata"]["labels"] = {}
    found.server.put(thing("theirs"))
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("settings", data={"a": "2"}), thing("theirs")])
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    await found.settle(30.0)
    assert found.entries["exporter"]["message"].startswith("ConfigMap monitoring/theirs is in the Cluster already")
    found.server.remove("ConfigMap", "theirs")
    found.clock.step(300.0)
    await found.settle()
    assert (found.entries["exporter"]["version"], found.entries["exporter"]["state"]) == ("2.0.0", "Ready")
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "2"}


async def test_a_namespace_that_is_there_is_used_as_it_is_and_stays() -> None:
    found = world(thing("monitoring", "Namespace"), thing("settings"))
    found.server.put(thing("monitoring", "Namespace", metadata={"name": "monitoring", "labels": {"team": "a"}}))
    await found.settle()
    assert found.entries["exporter"]["state"] == "Ready"
    found.clock.step(1800.0)
    await found.settle()
    assert found.server.found("Namespace", "monitoring")["metadata"]["labels"] == {"team": "a"}
    found.unput(resources.ADDON, None, "exporter")
    await found.settle()
    assert found.server.names == {"Namespace/monitoring"}
