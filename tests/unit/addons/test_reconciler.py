"""Add-ons of one Cluster: what is done, when, and what is said of it."""

from __future__ import annotations

import pytest

from kaas.addons.course import DRIFT
from kaas.kube import resources
from kaas.kube.errors import Forbidden, Invalid, NotFound, Unavailable
from kaas.kube.objects import Object
from kaas.kube.times import at
from tests.unit.addons.world import KEY, World, raw_addon, raw_cluster, thing, update_to

DOWN = Unavailable("get ConfigMap", "https://10.0.0.1 did not answer: timed out")
WEBHOOK = Unavailable("apply ConfigMap settings", "failed calling webhook: connection refused", code=500)
CRD = thing("lights.example.org", "CustomResourceDefinition", spec={"scope": "Namespaced", "names": {"kind": "Light"}})
LIGHT: Object = {"apiVersion": "example.org/v1", "kind": "Light", "metadata": {"name": "red", "namespace": "x"}}


def world(*objects: Object, name: str = "exporter") -> World:
    found = World()
    found.addon(raw_addon(name, "1.0.0"), v1_0_0=list(objects or (thing("settings", data={"a": "1"}),)))
    return found


def reasons(found: World) -> list[str]:
    return [reason for reason, _ in found.events]


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


async def test_an_object_that_is_refused_fails_with_its_words_and_the_others_are_there() -> None:
    found = world(thing("settings"), thing("other"))
    refusal = Invalid("apply ConfigMap monitoring/settings", "unknown field spec.colour", code=422)
    found.server.faults["settings"] = refusal
    await found.examine()
    again = await found.look()
    entry = found.entries["exporter"]
    assert (entry["state"], entry["wanted"]) == ("Failed", "1.0.0")
    assert "version" not in entry
    assert "apply ConfigMap monitoring/settings: unknown field spec.colour" in entry["message"]
    assert "ConfigMap/other" in found.server.names
    assert again == 30.0
    pauses = []
    for _ in range(5):
        found.clock.step(again or 0)
        again = await found.look()
        pauses.append(again)
    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0]
    assert reasons(found) == ["AddOnFailed"]
    assert found.registry.get_sample_value("kaas_addon_failures_total", {"addon": "exporter"}) == 1
    del found.server.faults["settings"]
    found.clock.step(300.0)
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_what_was_begun_is_dropped_for_what_is_wanted_now() -> None:
    found = world(LIGHT)
    await found.examine()
    assert await found.look() == 2.0
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("settings")])
    found.server.put(CRD)
    await found.settle()
    assert found.entries["exporter"]["version"] == "2.0.0"
    assert "Light/red" not in found.server.names


async def test_what_was_begun_is_begun_anew_at_another_api_server() -> None:
    """Its kubeconfig has changed."""
    found = world(thing("settings"), LIGHT)
    await found.examine()
    assert await found.look() == 2.0
    found.server = type(found.server)(found.writes)
    found.server.put(CRD)
    found.clock.step(2.0)
    await found.look()
    assert {"ConfigMap/settings", "ConfigMap/kaas-add-on-exporter", "Light/red"} <= found.server.names


async def test_what_it_said_counts_more_than_what_the_watch_has_shown() -> None:
    found = world()
    await found.examine()
    found.blind = True
    again = await found.look()
    applied = len(found.server.log)
    assert await found.look() == again
    assert len(found.server.log) == applied
    assert reasons(found) == ["AddOnInstalled"]


async def test_a_cluster_of_the_same_name_is_another_one() -> None:
    found = world()
    await found.settle()
    found.server = type(found.server)(found.writes)
    again = raw_cluster()
    again["metadata"]["uid"] = "another"
    found.put(again)
    await found.settle()
    assert "ConfigMap/settings" in found.server.names
    assert reasons(found) == ["AddOnInstalled", "AddOnInstalled"]


async def test_one_that_falls_silent_between_two_objects_is_asked_no_more_and_goes_on_later() -> None:
    found = world(*(thing(f"a{number}") for number in range(9)))
    await found.examine()
    found.server.faults["a4"] = Unavailable("apply ConfigMap monitoring/a4", "no answer in 8 s")
    again = await found.look()
    assert again is not None
    assert 30 <= again <= 60
    assert found.server.log[-1] == "apply ConfigMap/a3"
    assert (found.entries["exporter"]["state"], found.entries["exporter"]["wanted"]) == ("Waiting", "1.0.0")
    found.server.faults.clear()
    found.clock.step(again)
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_what_would_be_refused_again_is_said_before_what_may_be_better_soon() -> None:
    found = world(thing("settings"), thing("other"), thing("third"))
    found.server.faults["settings"] = WEBHOOK
    found.server.faults["third"] = Invalid("apply ConfigMap monitoring/third", "unknown field", code=422)
    await found.examine()
    await found.look()
    assert found.entries["exporter"]["state"] == "Failed"
    message = found.entries["exporter"]["message"]
    assert message.startswith("apply ConfigMap monitoring/third: unknown field")
    assert message.endswith("; and 1 other objects")


async def test_what_goes_back_before_it_was_through_is_said_to_be_applied() -> None:
    found = world(thing("old"))
    await found.settle()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("new"), thing("settings")])
    found.server.faults["settings"] = Invalid("apply ConfigMap monitoring/settings", "unknown field", code=422)
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    await found.examine()
    await found.look()
    found.update(None)
    await found.look()
    (before,), (after,) = (said["addOns"] for said in found.said[-2:])
    assert (before["state"], before["version"], "wanted" in before) == ("Applying", "1.0.0", False)
    assert (after["state"], after["version"], "wanted" in after) == ("Ready", "1.0.0", False)
    assert found.server.names == {"ConfigMap/old", "ConfigMap/kaas-add-on-exporter"}


async def test_what_stays_of_the_old_stays_until_all_of_the_new_is_there() -> None:
    found = world(thing("old"))
    await found.settle()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("new"), thing("settings")])
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    found.server.faults["settings"] = Forbidden("apply ConfigMap monitoring/settings", "denied by policy", code=403)
    await found.examine()
    await found.look()
    assert (found.entries["exporter"]["state"], found.entries["exporter"]["version"]) == ("Failed", "1.0.0")
    assert {"ConfigMap/old", "ConfigMap/new"} <= found.server.names
    del found.server.faults["settings"]
    await found.settle()
    assert "ConfigMap/old" not in found.server.names


async def test_what_may_be_better_soon_is_no_failure_for_two_minutes() -> None:
    found = world()
    found.server.faults["settings"] = WEBHOOK
    await found.examine()
    for _ in range(24):
        assert await found.look() == 5.0
        assert found.entries["exporter"]["state"] == "Applying"
        found.clock.step(5.0)
    assert await found.look() == 30.0
    assert found.entries["exporter"]["state"] == "Failed"
    assert "failed calling webhook" in found.entries["exporter"]["message"]


async def test_a_kind_that_comes_later_is_waited_for() -> None:
    found = world(LIGHT)
    await found.examine()
    assert await found.look() == 2.0
    assert found.entries["exporter"]["state"] == "Applying"
    assert "has no kind Light" in found.entries["exporter"]["message"]
    found.server.put(CRD)
    found.clock.step(2.0)
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_a_kind_that_never_comes_is_a_failure_and_stays_one_while_it_is_tried_again() -> None:
    found = world(LIGHT)
    await found.examine()
    states = []
    for _ in range(300):
        found.clock.step(await found.look() or 0.0)
        states.append(found.entries["exporter"]["state"])
    first = states.index("Failed")
    assert set(states[first:]) == {"Failed"}
    assert reasons(found) == ["AddOnFailed"]


async def test_an_object_without_the_namespace_that_it_needs_is_refused() -> None:
    found = world({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lost"}})
    await found.settle(30.0)
    assert found.entries["exporter"]["state"] == "Failed"
    assert "ConfigMap lost says no namespace" in found.entries["exporter"]["message"]


async def test_a_namespace_that_a_kind_has_none_of_is_left_out() -> None:
    found = world(thing("monitoring", "Namespace", metadata={"name": "monitoring", "namespace": "nonsense"}))
    await found.settle()
    assert "namespace" not in found.server.found("Namespace", "monitoring")["metadata"]


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
