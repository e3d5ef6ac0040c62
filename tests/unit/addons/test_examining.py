"""What is said of Addons."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.kube import resources
from kaas.kube.errors import Forbidden
from tests.unit.addons.world import World, raw_addon, raw_cluster, thing, update_to


async def look(found: World, name: str = "exporter", seconds: float = 10.0) -> float | None:
    found.clock.step(seconds)
    return await found.reader.reconcile(name)


def versions(found: World, name: str = "exporter") -> dict[str, dict[str, Any]]:
    return {v["version"]: v for v in found.status_of(name)["versions"]}


def usable(found: World) -> tuple[str, str]:
    (condition,) = found.status_of("exporter")["conditions"]
    return condition["status"], condition["message"]


async def test_each_version_is_said_to_be_usable_or_why_not() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v1_0_0=[thing("a"), thing("b")])
    assert await look(found) == 30.0
    said = versions(found)
    assert (said["1.0.0"]["objects"], said["1.0.0"]["since"]) == (2, "2026-01-01T00:00:10Z")
    assert len(said["1.0.0"]["digest"]) == 64
    assert said["2.0.0"].keys() == {"version", "message"}
    assert "there is no ConfigMap kaas-system/exporter-2.0.0" in said["2.0.0"]["message"]
    assert usable(found)[0] == "False"
    assert usable(found)[1].startswith("2.0.0: there is no ConfigMap")
    assert found.status_of("exporter")["observedGeneration"] == 1


async def test_what_cannot_be_used_is_looked_at_again_and_nothing_else() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v1_0_0=[thing("a")])
    await look(found)
    found.reads.clear()
    writes = found.writes.count
    assert await look(found, seconds=30.0) == 30.0
    assert (found.reads, found.writes.count) == (["exporter-2.0.0"], writes)
    found.config_map("exporter-2.0.0", [thing("a")])
    assert await look(found, seconds=30.0) is None
    assert versions(found)["2.0.0"]["since"] == "2026-01-01T00:01:10Z"
    assert usable(found) == ("True", "all 2 versions can be used")
    found.reads.clear()
    assert await look(found) is None
    assert found.reads == []


async def test_a_config_map_that_is_not_immutable_is_read_until_it_is() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"))
    found.config_map("exporter-1.0.0", [thing("a")], immutable=False)
    assert await look(found) == 30.0
    assert "is not immutable" in versions(found)["1.0.0"]["message"]


async def test_a_new_controller_writes_nothing_that_is_said_already() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("a")])
    await look(found)
    writes = found.writes.count
    found.start()
    await look(found)
    assert found.writes.count == writes
    assert versions(found)["1.0.0"]["since"] == "2026-01-01T00:00:10Z"


async def test_clusters_are_counted() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("a")])
    await found.settle()
    await look(found)
    assert found.status_of("exporter")["clusters"] == {"selected": 1, "current": 1, "failing": 0}
    found.addon({**raw_addon("exporter", "1.0.0", "2.0.0"), "status": found.status_of("exporter")}, v2_0_0=[thing("b")])
    other = raw_cluster(addOns=[{"name": "exporter", "state": "Failed", "version": "2.0.0"}])
    other["metadata"] |= {"name": "other", "uid": "other", "labels": {}}
    found.put(other)
    found.reader._known.clear()
    await look(found)
    assert found.status_of("exporter")["clusters"] == {"selected": 2, "current": 1, "failing": 1}


async def test_clusters_whose_update_to_a_version_has_stopped_are_counted() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v1_0_0=[thing("a")], v2_0_0=[thing("b")])
    stopped = {"since": "2027-01-05T22:00:00Z", "step": "AddOns", "reason": "AddOnFailed", "message": "x"}
    for name, begun in (("one", True), ("two", True), ("three", False)):
        update = update_to("exporter", "1.0.0", "2.0.0", "Failed", stopped=stopped)
        update["steps"] = [{**s, "started": stopped["since"]} if begun else s for s in update["steps"]]
        other = raw_cluster(update, addOns=[{"name": "exporter", "state": "Ready", "version": "1.0.0"}])
        other["metadata"] |= {"name": name, "uid": name}
        found.put(other)
    await look(found)
    assert {v: said.get("stopped") for v, said in versions(found).items()} == {"1.0.0": None, "2.0.0": 2}


async def test_one_addon_is_looked_at_every_two_seconds_at_most() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("a")])
    await look(found)
    assert await look(found, seconds=0.5) == 1.5
    assert await look(found, seconds=1.5) is None


async def test_content_that_clusters_have_otherwise_cannot_be_used_nor_is_it_put_anywhere() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("a")])
    await found.settle()
    found.config_map("exporter-1.0.0", [thing("b")])
    found.start()
    assert await look(found) == 30.0
    said = versions(found)["1.0.0"]
    assert "digest" not in said
    assert "made anew with other data than 1 Clusters have as 1.0.0" in said["message"]
    assert "add another version for these, as 1.8.2-1" in said["message"]
    found.clock.step(1800.0)
    await found.look()
    assert "ConfigMap/b" not in found.server.names
    assert (found.entries["exporter"]["state"], found.entries["exporter"]["version"]) == ("Ready", "1.0.0")
    found.config_map("exporter-1.0.0", [thing("a")])
    assert await look(found, seconds=30.0) is None
    assert usable(found)[0] == "True"


async def test_content_that_no_cluster_has_may_be_made_anew() -> None:
    found = World()
    found.put(raw_cluster(version=None))
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("a")])
    await look(found)
    before = versions(found)["1.0.0"]
    found.config_map("exporter-1.0.0", [thing("b")])
    changed = raw_addon("exporter", "1.0.0", order=1)
    changed["metadata"]["generation"] = 2
    found.put({**changed, "status": found.status_of("exporter")})
    await look(found)
    after = versions(found)["1.0.0"]
    assert after["digest"] != before["digest"]
    assert after["since"] > before["since"]


async def test_what_another_controller_reads_otherwise_is_put_nowhere_until_it_is_said() -> None:
    """The ConfigMap was made anew, and the status still says what was in the former."""
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("a")])
    await found.examine()
    found.config_map("exporter-1.0.0", [thing("b")])
    found.start()
    assert await found.look() == 5.0
    assert found.server.names == set()
    assert "has other data than status.versions of its Addon says" in found.entries["exporter"]["message"]
    await found.settle()
    assert "ConfigMap/b" in found.server.names


async def test_a_controller_that_may_not_read_config_maps_says_so_and_takes_back_nothing() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("a")])
    found.refusal = Forbidden("get ConfigMap kaas-system/exporter-1.0.0", "no rule allows it", code=403)
    assert await look(found) == 30.0
    assert "no rule allows it" in versions(found)["1.0.0"]["message"]
    found.refusal = None
    await look(found, seconds=30.0)
    refusal = found.refusal = Forbidden("get ConfigMap kaas-system/exporter-1.0.0", "no rule allows it", code=403)
    found.start()
    with pytest.raises(Forbidden) as raised:
        await look(found)
    assert raised.value is refusal
    assert "digest" in versions(found)["1.0.0"]


async def test_what_is_deleted_is_forgotten() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("a")])
    await look(found)
    assert found.library.known("exporter-1.0.0") is not None
    found.unput(resources.ADDON, None, "exporter")
    assert await look(found) is None
    assert found.library.known("exporter-1.0.0") is None


async def test_one_that_cannot_be_read_is_left_until_it_is_corrected() -> None:
    found = World()
    found.put({**raw_addon("exporter", "1.0.0"), "spec": {"versions": "none"}})
    assert await look(found) is None
    assert found.writes.count == 0


async def test_an_update_to_a_version_whose_config_map_is_missing_fails_and_takes_nothing() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v1_0_0=[thing("a")])
    await found.settle()
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    await found.look()
    entry = found.entries["exporter"]
    assert (entry["state"], entry["version"], entry["wanted"]) == ("Failed", "1.0.0", "2.0.0")
    assert "2.0.0 cannot be used: there is no ConfigMap" in entry["message"]
    assert "ConfigMap/a" in found.server.names
