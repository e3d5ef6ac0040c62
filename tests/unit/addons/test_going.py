"""Clusters that do not answer, and what goes out of them or stays."""

from __future__ import annotations

import pytest

from kaas.addons.course import DRIFT
from kaas.kube import resources
from kaas.kube.errors import Invalid, NotFound
from tests.unit.addons.reconciled import DOWN, reasons, world
from tests.unit.addons.world import KEY, World, raw_addon, raw_cluster, thing, update_to


async def test_a_cluster_that_does_not_answer_is_waited_for_and_what_it_has_stays() -> None:
    found = world()
    found.no_way = NotFound("read the kubeconfig", "there is no Secret team-kubeconfig")
    await found.examine()
    again = await found.look()
    assert again is not None
    assert 30 <= again <= 60
    assert found.entries["exporter"]["state"] == "Waiting"
    assert "there is no Secret team-kubeconfig" in found.entries["exporter"]["message"]
    calls = found.server.calls
    found.no_way = None
    await found.look()
    assert found.server.calls == calls
    found.clock.step(60.0)
    await found.settle()
    assert found.entries["exporter"]["state"] == "Ready"
    found.server.down = DOWN
    found.clock.step(DRIFT)
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"
    assert "timed out" in found.entries["exporter"]["message"]
    found.server.down = None
    found.clock.step(60.0)
    await found.look()
    assert "message" not in found.entries["exporter"]
    assert reasons(found) == ["AddOnInstalled"]


async def test_one_that_is_told_to_work_again_is_asked_at_once() -> None:
    found = world()
    found.server.down = DOWN
    await found.examine()
    await found.look()
    found.server.down = None
    plane = {"replicas": 1, "ready": 1, "upToDate": 1}
    found.put({**found.cluster, "status": {**found.cluster["status"], "controlPlane": plane}})
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_one_that_falls_silent_is_asked_once_for_all_its_add_ons() -> None:
    found = world()
    found.addon(raw_addon("other", "1.0.0"), v1_0_0=[thing("else")])
    found.server.down = DOWN
    await found.examine()
    await found.look()
    assert found.server.calls == 1
    assert {e["state"] for e in found.entries.values()} == {"Waiting"}


async def test_a_look_ends_after_some_seconds_and_the_next_goes_on_where_it_was() -> None:
    found = world(*(thing(f"a{number}") for number in range(20)))
    await found.examine()
    found.server.ticks = lambda: found.clock.step(1.0)
    looks = 0
    while (await found.look()) == 0.0:
        looks += 1
    assert 5 <= looks <= 12
    applied = [line for line in found.server.log if "kaas-add-on" not in line]
    assert applied == [f"apply ConfigMap/a{number}" for number in range(20)]


async def test_two_add_ons_with_the_same_object_are_told_of_each_other() -> None:
    found = world(thing("settings", data={"a": "1"}))
    await found.settle()
    found.addon(raw_addon("other", "1.0.0"), v1_0_0=[thing("settings", data={"a": "2"}), thing("else")])
    await found.settle(30.0)
    assert found.entries["other"]["state"] == "Failed"
    assert "ConfigMap monitoring/settings belongs to the add-on exporter" in found.entries["other"]["message"]
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "1"}
    assert {"ConfigMap/else", "ConfigMap/kaas-add-on-other"} & found.server.names == set()
    found.unput(resources.ADDON, None, "exporter")
    found.clock.step(300.0)
    await found.settle()
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "2"}
    assert found.entries.keys() == {"other"}


async def test_what_somebody_else_has_taken_over_is_not_deleted() -> None:
    found = world(thing("settings"), thing("other"))
    await found.settle()
    found.server.put(thing("settings", data={"mine": "now"}))
    found.unput(resources.ADDON, None, "exporter")
    await found.settle()
    assert found.server.names == {"ConfigMap/settings"}
    assert found.entries == {}
    assert reasons(found) == ["AddOnInstalled", "AddOnRemoved"]


async def test_what_goes_goes_in_the_opposite_order() -> None:
    found = world(thing("first"), thing("second"), thing("monitoring", "Namespace"))
    await found.settle()
    found.server.log.clear()
    found.unput(resources.ADDON, None, "exporter")
    await found.settle()
    assert found.server.log == [
        "apply ConfigMap/kaas-add-on-exporter",
        "delete ConfigMap/second",
        "delete ConfigMap/first",
        "delete Namespace/monitoring",
        "delete ConfigMap/kaas-add-on-exporter",
    ]


async def test_what_ends_something_before_it_goes_is_waited_for_before_what_comes_after_it() -> None:
    found = world(thing("controller", "Deployment"), thing("held"))
    found.server.holds = {"held"}
    await found.settle()
    found.unput(resources.ADDON, None, "exporter")
    assert await found.look() == 2.0
    assert found.entries["exporter"]["state"] == "Removing"
    assert "held is being deleted" in found.entries["exporter"]["message"]
    assert "Deployment/controller" in found.server.names
    found.server.remove("ConfigMap", "held")
    await found.settle()
    assert found.server.names == set()


async def test_what_was_brought_to_another_kind_of_the_same_object_is_not_deleted() -> None:
    """The old version says a namespace where there is none: its name differs, and it is the same object."""
    found = world(thing("monitoring", "Namespace", metadata={"name": "monitoring", "namespace": "nonsense"}))
    await found.settle()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("monitoring", "Namespace")])
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    await found.settle()
    assert found.entries["exporter"]["version"] == "2.0.0"
    assert "Namespace/monitoring" in found.server.names


async def test_nothing_is_taken_out_because_the_kind_of_addons_is_not_served() -> None:
    found = world()
    await found.settle()
    found.unput(resources.ADDON, None, "exporter")
    found.is_kind = False
    assert await found.look() == 60.0
    assert "ConfigMap/settings" in found.server.names
    found.is_kind = True
    await found.settle()
    assert found.server.names == set()


async def test_nothing_is_taken_out_because_an_addon_cannot_be_read() -> None:
    found = world()
    await found.settle()
    found.put({**raw_addon("exporter", "1.0.0"), "spec": {"versions": "none"}})
    await found.look()
    assert "ConfigMap/settings" in found.server.names
    entry = found.entries["exporter"]
    assert (entry["state"], entry["version"]) == ("Ready", "1.0.0")
    assert "Addon exporter cannot be read" in entry["message"]


async def test_a_version_that_is_gone_is_left_as_it_is() -> None:
    found = world()
    await found.settle()
    found.put(raw_addon("exporter", "9.0.0"))
    found.clock.step(DRIFT)
    calls = found.server.calls
    assert await found.look() is None
    assert found.server.calls == calls
    assert found.entries["exporter"]["state"] == "Ready"
    assert "does not have 1.0.0 any more" in found.entries["exporter"]["message"]


async def test_simulated_clusters_are_left_alone() -> None:
    found = world()
    site = found.index.get(resources.SITE, None, "north")
    assert site is not None
    found.put({**site, "spec": {"provider": "dev"}})
    await found.examine()
    assert await found.look() is None
    assert found.entries["exporter"]["state"] == "Waiting"
    assert "are simulated" in found.entries["exporter"]["message"]
    found.unput(resources.ADDON, None, "exporter")
    await found.look()
    assert found.entries == {}
    assert found.server.calls == 0


async def test_a_cluster_that_is_deleted_is_forgotten() -> None:
    found = world()
    await found.settle()
    sample = {"addon": "exporter", "state": "Ready"}
    assert found.registry.get_sample_value("kaas_addon_clusters", sample) == 1
    found.unput(resources.CLUSTER, *KEY)
    assert await found.look() is None
    assert found.registry.get_sample_value("kaas_addon_clusters", sample) is None
    found.server = type(found.server)(found.writes)
    again = raw_cluster()
    again["metadata"]["uid"] = "another"
    found.put(again)
    await found.settle()
    assert "ConfigMap/settings" in found.server.names


async def test_failures_are_counted_until_the_addon_is_gone_and_no_cluster_has_it() -> None:
    found = world()
    found.server.faults["settings"] = Invalid("apply ConfigMap monitoring/settings", "unknown field", code=422)
    await found.settle(30.0)

    def counted() -> float | None:
        return found.registry.get_sample_value("kaas_addon_failures_total", {"addon": "exporter"})

    found.server.down = DOWN
    found.unput(resources.ADDON, None, "exporter")
    await found.look()
    assert counted() == 1, "the Cluster has it still"
    found.server.down = None
    found.clock.step(60.0)
    await found.settle()
    assert counted() is None


async def test_failures_of_an_addon_that_no_cluster_has_are_counted_as_long_as_it_is_there() -> None:
    found = world()
    found.server.faults["settings"] = Invalid("apply ConfigMap monitoring/settings", "unknown field", code=422)
    await found.settle(30.0)
    cluster = found.cluster
    found.unput(resources.CLUSTER, *KEY)
    await found.look()
    assert found.registry.get_sample_value("kaas_addon_failures_total", {"addon": "exporter"}) == 1
    found.unput(resources.ADDON, None, "exporter")
    found.put({**cluster, "status": {}})
    await found.look()
    assert found.registry.get_sample_value("kaas_addon_failures_total", {"addon": "exporter"}) is None


async def test_what_is_new_goes_before_what_is_applied_again() -> None:
    found = world(thing("settings"))
    await found.settle()
    found.addon(raw_addon("later", "1.0.0", order=99), v1_0_0=[thing("new")])
    await found.examine()
    found.clock.step(DRIFT)
    found.server.log.clear()
    await found.look()
    applied = [line for line in found.server.log if "kaas-add-on" not in line]
    assert applied == ["apply ConfigMap/new", "apply ConfigMap/settings"]


async def test_one_without_add_ons_costs_nothing() -> None:
    found = World()
    assert await found.look() is None
    assert (found.server.calls, found.writes.count, found.reads) == (0, 0, [])


@pytest.mark.parametrize("broken", ["{", "{}", '[{"kind": "ConfigMap"}]', "[1]"])
async def test_an_inventory_that_cannot_be_read_is_told(broken: str) -> None:
    found = world()
    await found.settle()
    found.server.found("ConfigMap", "kaas-add-on-exporter")["data"]["objects"] = broken
    found.clock.step(DRIFT)
    await found.look()
    assert found.entries["exporter"]["state"] == "Failed"
    assert "ConfigMap kube-system/kaas-add-on-exporter in the Cluster" in found.entries["exporter"]["message"]
