"""Add-ons of which nothing is said any more, as after the management cluster was restored: what is there stays."""

from __future__ import annotations

import pytest

from kaas.kube import resources
from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object
from tests.unit.addons.world import World, raw_addon, thing

OLD, NEW = thing("settings", data={"a": "1"}), thing("settings", data={"a": "2"})


async def lost(*versions: str, **content: list[Object]) -> World:
    """It has 1.0.0, its status is lost, and the Addon has these versions."""
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[OLD])
    await found.settle()
    found.addon(raw_addon("exporter", *versions), **content)
    forget(found)
    return found


def forget(found: World) -> None:
    found.start()
    found.put({**found.cluster, "status": {"version": "v1.36.1"}})
    found.events.clear()


async def test_the_version_that_is_there_is_put_there_again_and_not_the_newest() -> None:
    found = await lost("1.0.0", "2.0.0", v2_0_0=[NEW])
    found.server.found("ConfigMap", "settings")["data"] = {"a": "by hand"}
    await found.settle()
    entry = found.entries["exporter"]
    assert (entry["version"], entry["state"], "wanted" in entry, "message" in entry) == ("1.0.0", "Ready", False, False)
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "1"}
    assert found.events == [
        ("AddOnFound", "exporter 1.0.0 is in the Cluster already, and nothing was said of it: it stays")
    ]


async def test_a_version_that_the_addon_has_no_more_stays() -> None:
    found = await lost("2.0.0", v2_0_0=[NEW])
    await found.settle()
    entry = found.entries["exporter"]
    assert (entry["version"], entry["state"]) == ("1.0.0", "Ready")
    assert "does not have 1.0.0 any more: put it back" in entry["message"]
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "1"}


async def test_a_version_that_is_another_one_now_stays() -> None:
    found = await lost("1.0.0", "2.0.0", v1_0_0=[NEW], v2_0_0=[NEW])
    await found.settle()
    entry = found.entries["exporter"]
    assert entry["version"] == "1.0.0"
    assert "than when it was put into the Cluster" in entry["message"] or "made anew" in entry["message"]
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "1"}


async def test_nothing_is_put_there_before_it_is_known_what_is() -> None:
    found = await lost("1.0.0", "2.0.0", v2_0_0=[NEW])
    found.server.down = Unavailable("get ConfigMap", "timed out")
    await found.examine()
    again = await found.look()
    assert found.entries["exporter"]["state"] == "Waiting"
    found.start()
    found.server.down = None
    found.clock.step(again or 0.0)
    await found.settle()
    assert found.entries["exporter"]["version"] == "1.0.0"


async def test_what_was_not_through_counts_for_nothing() -> None:
    """It was begun in another life, and then lost."""
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[OLD, thing("other")])
    found.server.faults["other"] = Unavailable("apply ConfigMap other", "no answer in 8 s")
    await found.examine()
    await found.look()
    assert "ConfigMap/kaas-add-on-exporter" in found.server.names
    found.server.faults.clear()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[NEW])
    forget(found)
    await found.settle()
    assert found.entries["exporter"]["version"] == "2.0.0"
    assert [reason for reason, _ in found.events] == ["AddOnInstalled"]


async def test_what_was_to_go_and_has_not_begun_to_go_when_it_is_wanted_again_stays() -> None:
    found = await lost("1.0.0", "2.0.0", v2_0_0=[NEW])
    await found.settle()
    addon = found.index.get(resources.ADDON, None, "exporter")
    assert addon is not None
    found.unput(resources.ADDON, None, "exporter")
    found.server.ticks = lambda: found.clock.step(9.0)
    await found.look()
    assert (found.entries["exporter"]["state"], "version" in found.entries["exporter"]) == ("Removing", False)
    found.server.ticks = lambda: None
    found.put(addon)
    await found.settle()
    assert found.entries["exporter"]["version"] == "1.0.0"
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "1"}


@pytest.mark.parametrize("broken", ["{", "[1]"])
async def test_what_cannot_be_read_is_told_and_nothing_is_put_there(broken: str) -> None:
    found = await lost("1.0.0", "2.0.0", v2_0_0=[NEW])
    found.server.found("ConfigMap", "kaas-add-on-exporter")["data"]["objects"] = broken
    await found.settle(30.0)
    assert found.entries["exporter"]["state"] == "Failed"
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "1"}
