"""Add-ons of one Cluster: what is done, when, and what is said of it."""

from __future__ import annotations

from kaas.addons.course import DRIFT
from kaas.kube.errors import Invalid
from kaas.kube.objects import Object
from kaas.kube.times import at
from tests.unit.addons.reconciled import CRD, LIGHT, reasons, world
from tests.unit.addons.world import World, raw_addon, thing, update_to


async def test_it_is_put_there_and_said() -> None:
    found = world(thing("settings"), CRD, LIGHT, thing("monitoring", "Namespace"), thing("exporter", "DaemonSet"))
    await found.settle()
    assert found.server.log == [
        "apply ConfigMap/kaas-add-on-exporter",
        "apply CustomResourceDefinition/lights.example.org",
        "apply Namespace/monitoring",
        "apply ConfigMap/settings",
        "apply Light/red",
        "apply DaemonSet/exporter",
        "apply ConfigMap/kaas-add-on-exporter",
    ]
    labels = found.server.found("Light", "red")["metadata"]["labels"]
    assert labels == {"kaas.internal/add-on": "exporter", "app.kubernetes.io/managed-by": "kaas"}
    entry = found.entries["exporter"]
    assert (entry["version"], entry["state"]) == ("1.0.0", "Ready")
    assert "wanted" not in entry
    assert [s["addOns"][0]["state"] for s in found.said] == ["Applying", "Ready"]
    assert reasons(found) == ["AddOnInstalled"]


async def test_what_runs_pods_is_waited_for() -> None:
    found = world(thing("exporter", "Deployment", spec={"replicas": 2}))
    found.server.works = False
    await found.examine()
    assert await found.look() == 10.0
    assert found.entries["exporter"]["state"] == "Starting"
    assert found.entries["exporter"]["version"] == "1.0.0"
    assert "Deployment monitoring/exporter: its controller has not seen it yet" in found.entries["exporter"]["message"]
    writes = found.writes.count
    for _ in range(59):
        found.clock.step(10.0)
        assert await found.look() == 10.0
    found.clock.step(10.0)
    assert await found.look() == 60.0
    assert found.writes.count == writes
    found.server.found("Deployment", "exporter")["status"] = {
        "observedGeneration": 1, "updatedReplicas": 2, "availableReplicas": 2
    }  # fmt: skip
    found.clock.step(60.0)
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"
    assert "message" not in found.entries["exporter"]


async def daemon_set(found: World, updated: int, available: int, wanted: int = 100) -> Object:
    """What is said when the DaemonSet of the add-on is looked at."""
    status = {"desiredNumberScheduled": wanted, "updatedNumberScheduled": updated, "numberAvailable": available}
    found.server.found("DaemonSet", "exporter")["status"] = {"observedGeneration": 1, **status}
    found.clock.step(10.0)
    await found.look()
    return found.entries["exporter"]


async def test_pods_on_nodes_that_are_not_ready_are_not_waited_for() -> None:
    found = world(thing("exporter", "DaemonSet"))
    found.server.works = False
    for n in range(100):
        found.server.node(f"n{n}", ready=n != 77)
    await found.settle(10.0)
    assert (await daemon_set(found, 100, 98))["message"] == "DaemonSet monitoring/exporter: 98 of 99 Pods work"
    assert (await daemon_set(found, 100, 99))["state"] == "Ready"


async def test_nodes_are_asked_for_only_when_a_daemon_set_lacks_pods() -> None:
    found = world(thing("exporter", "DaemonSet"), thing("gateway", "Deployment", spec={"replicas": 1}))
    found.server.works = False
    await found.settle(10.0)
    found.server.asked.clear()
    await daemon_set(found, 1, 1, wanted=1)
    assert "Node" not in found.server.asked
    assert "Deployment" in found.server.asked
    await daemon_set(found, 1, 0, wanted=1)
    assert "Node" in found.server.asked


async def test_what_comes_further_is_said_with_the_time_as_often_as_half_a_minute() -> None:
    found = world(thing("exporter", "DaemonSet"))
    found.server.works = False
    await found.settle(10.0)
    await daemon_set(found, 0, 100)
    found.clock.step(60.0)
    began = found.clock.now()
    seen = [(await daemon_set(found, n, 99))["moved"] for n in (2, 3, 4, 5)]
    assert [(at(moved) - began).total_seconds() for moved in seen] == [10, 10, 10, 40]
    assert (await daemon_set(found, 1, 98))["moved"] == seen[-1], "less of it works"
    assert (await daemon_set(found, 5, 99))["moved"] == seen[-1], "as much as once before"
    found.start()
    assert (await daemon_set(found, 6, 99))["moved"] == seen[-1], "how much of it worked before is not known"
    assert at((await daemon_set(found, 100, 100))["moved"]) == found.clock.now()
    found.server.works = True
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("exporter", "DaemonSet")])
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    await found.settle()
    assert found.said[-2]["addOns"][0]["state"] == "Applying"
    assert "moved" not in found.said[-2]["addOns"][0], "nothing of another version was there"


async def test_what_comes_further_costs_no_status_of_its_own() -> None:
    found = world(thing("exporter", "DaemonSet"), thing("other", "Deployment", spec={"replicas": 50}))
    found.server.works = False
    await found.settle(10.0)
    await daemon_set(found, 0, 100)
    said = len(found.said)
    for n in range(1, 31):  # the Deployment that is told of first does not change
        await daemon_set(found, n, 100)
    assert len(found.said) - said == 10


async def test_objects_that_are_applied_are_progress_and_applying_them_again_is_none() -> None:
    found = world(*(thing(f"settings-{n}") for n in range(40)))
    found.server.ticks = lambda: found.clock.step(2.0)
    await found.examine()
    await found.look()
    assert found.entries["exporter"]["state"] == "Applying"
    first = at(found.entries["exporter"]["moved"])
    for _ in range(8):
        await found.look()
    assert found.entries["exporter"]["state"] == "Applying"
    assert at(found.entries["exporter"]["moved"]) > first
    found.server.ticks = lambda: None
    await found.settle()
    last = found.entries["exporter"]["moved"]
    found.clock.step(DRIFT)
    await found.settle()
    assert found.entries["exporter"]["moved"] == last


async def test_what_is_refused_again_and_again_comes_no_further() -> None:
    found = world(thing("good"), thing("bad"))
    found.server.faults["bad"] = Invalid("apply ConfigMap bad", "unknown field", code=422)
    await found.examine()
    await found.look()
    assert found.entries["exporter"]["state"] == "Failed"
    moved = found.entries["exporter"]["moved"]
    for _ in range(10):
        found.clock.step(300.0)
        await found.look()
    assert found.entries["exporter"]["moved"] == moved


async def test_a_new_controller_asks_whether_it_works_at_once() -> None:
    found = world(thing("exporter", "Deployment"))
    found.server.works = False
    await found.examine()
    await found.look()
    found.server.found("Deployment", "exporter")["status"] = {
        "observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1
    }  # fmt: skip
    found.start()
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_what_was_changed_by_hand_is_as_it_was_after_half_an_hour_and_nothing_is_written_for_that() -> None:
    found = world(thing("settings", data={"a": "1"}), thing("other"))
    await found.settle()
    writes, reads = found.writes.count, len(found.reads)
    found.server.found("ConfigMap", "settings")["data"] = {"a": "2"}
    found.server.remove("ConfigMap", "other")
    found.clock.step(DRIFT)
    calls = found.server.calls
    again = await found.look()
    assert again == DRIFT
    assert found.server.calls - calls == 7  # the inventory twice, two objects, and the three kinds that run Pods
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "1"}
    assert "ConfigMap/other" in found.server.names
    assert found.writes.count - writes == 2  # objects; no status, no inventory
    assert len(found.reads) == reads


async def test_an_inventory_that_was_deleted_is_written_again() -> None:
    found = world()
    await found.settle()
    found.server.remove("ConfigMap", "kaas-add-on-exporter")
    found.clock.step(DRIFT)
    await found.look()
    assert "ConfigMap/kaas-add-on-exporter" in found.server.names


async def test_after_a_start_nothing_is_applied_at_once_and_all_within_half_an_hour() -> None:
    found = world()
    await found.settle()
    found.start()
    calls = found.server.calls
    again = await found.look()
    assert found.server.calls == calls
    assert again is not None
    assert 0 < again <= DRIFT
    found.clock.step(again)
    await found.look()
    assert found.server.calls > calls


async def test_a_version_change_waits_for_nothing() -> None:
    found = world()
    await found.settle()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("settings", data={"a": "2"})])
    await found.examine()
    await found.look()
    assert found.entries["exporter"]["version"] == "1.0.0"
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    await found.look()
    assert found.entries["exporter"]["version"] == "2.0.0"
    assert found.server.found("ConfigMap", "settings")["data"] == {"a": "2"}
    assert reasons(found) == ["AddOnInstalled", "AddOnUpdated"]


async def test_what_is_refused_while_the_former_did_not_work_yet_is_not_looked_at_without_a_pause() -> None:
    found = world(thing("exporter", "Deployment"))
    found.server.works = False
    await found.examine()
    await found.look()
    assert found.entries["exporter"]["state"] == "Starting"
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("settings")])
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    found.server.faults["settings"] = Invalid("apply ConfigMap monitoring/settings", "unknown field", code=422)
    await found.examine()
    assert await found.look() == 30.0
    found.clock.step(10.0)
    assert await found.look() == 20.0
    assert found.entries["exporter"]["state"] == "Failed"
