"""What stays in a Cluster whatever an add-on does, since more than it has goes with it: Namespaces and kinds."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from kaas.addons.course import DRIFT
from kaas.addons.inventory import from_object
from kaas.kube import resources
from kaas.kube.errors import Forbidden, KubeError, Unavailable
from kaas.kube.objects import Object
from tests.unit.addons.world import World, raw_addon, thing, update_to

NAMES = {"kind": "Light", "plural": "lights"}
CRD = thing(
    "lights.example.org",
    "CustomResourceDefinition",
    spec={
        "group": "example.org",
        "scope": "Namespaced",
        "names": NAMES,
        "versions": [{"name": "v0", "served": False}, {"name": "v1", "served": True}],
    },
)
SPACE = thing("monitoring", "Namespace")
LABEL = {"kaas.internal/add-on": "exporter"}


def light(name: str) -> Object:
    return {"apiVersion": "example.org/v1", "kind": "Light", "metadata": {"name": name, "namespace": "x"}}


async def put(*objects: Object) -> World:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=list(objects))
    await found.settle()
    return found


async def brought(found: World, *objects: Object) -> None:
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=list(objects))
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    await found.settle()
    assert found.entries["exporter"]["version"] == "2.0.0"


async def removed(found: World) -> None:
    found.unput(resources.ADDON, None, "exporter")
    await found.settle()
    assert found.entries == {}


async def test_a_version_without_its_namespace_and_kind_leaves_both_and_takes_the_rest() -> None:
    found = await put(SPACE, CRD, light("red"), thing("settings"))
    await brought(found, thing("other"))
    assert found.server.names == {
        "Namespace/monitoring",
        "CustomResourceDefinition/lights.example.org",
        "ConfigMap/other",
        "ConfigMap/kaas-add-on-exporter",
    }
    inventory = from_object(found.server.found("ConfigMap", "kaas-add-on-exporter"))
    assert {(ref.kind, ref.name) for ref in inventory.refs} == {
        ("Namespace", "monitoring"),
        ("CustomResourceDefinition", "lights.example.org"),
        ("ConfigMap", "other"),
    }
    writes = found.writes.count
    found.clock.step(DRIFT)
    await found.look()
    assert found.writes.count - writes == 1, "the inventory is as it is to be"
    await removed(found)
    assert found.server.names == set()


async def test_a_version_that_has_them_again_has_them_once() -> None:
    found = await put(SPACE, thing("settings"))
    await brought(found, thing("other"))
    found.addon(raw_addon("exporter", "2.0.0", "3.0.0"), v3_0_0=[SPACE, thing("third")])
    found.update(update_to("exporter", "2.0.0", "3.0.0", "Running"))
    await found.settle()
    inventory = from_object(found.server.found("ConfigMap", "kaas-add-on-exporter"))
    assert [ref.kind for ref in inventory.refs] == ["Namespace", "ConfigMap"]


async def test_a_kind_of_which_others_have_objects_stays_with_these_and_that_is_said() -> None:
    found = await put(CRD, light("red"), thing("settings"))
    found.server.put(light("theirs"))
    await removed(found)
    assert found.server.names == {"CustomResourceDefinition/lights.example.org", "Light/theirs"}
    assert found.events[-1] == (
        "AddOnRemoved",
        "exporter 1.0.0 was taken out of the Cluster; CustomResourceDefinition.apiextensions.k8s.io lights.example.org "
        "stays: there are objects of it, as Light.example.org x/theirs",
    )
    labels = found.server.found("CustomResourceDefinition", "lights.example.org")["metadata"]["labels"]
    assert labels["kaas.internal/add-on"] == "exporter"


@pytest.mark.parametrize(
    "failure",
    [Unavailable("list", "conversion webhook failed", code=500), Forbidden("list", "denied by policy", code=403)],
)
async def test_a_kind_that_cannot_be_listed_stays(failure: KubeError) -> None:
    found = await put(CRD)
    found.server.faults["lights"] = failure
    await removed(found)
    assert found.server.names == {"CustomResourceDefinition/lights.example.org"}
    assert "nobody knows whether there are objects of it" in found.events[-1][1]


async def test_a_kind_is_not_given_up_because_the_cluster_falls_silent() -> None:
    found = await put(CRD)
    found.server.faults["lights"] = Unavailable("list lights", "no answer in 8 s")
    found.unput(resources.ADDON, None, "exporter")
    again = await found.look()
    assert found.entries["exporter"]["state"] == "Removing"
    del found.server.faults["lights"]
    found.clock.step(again or 0.0)
    await found.settle()
    assert found.server.names == set()


async def test_a_kind_waits_for_what_is_about_to_go() -> None:
    found = await put(CRD)
    found.server.holds = {"theirs"}
    found.server.put(light("theirs"))
    found.server.found("Light", "theirs")["metadata"]["deletionTimestamp"] = "2026-12-01T00:00:00Z"
    found.unput(resources.ADDON, None, "exporter")
    assert await found.look() == 2.0
    assert "waits: there are objects of it" in found.entries["exporter"]["message"]
    found.server.remove("Light", "theirs")
    await found.settle()
    assert found.server.names == set()


async def test_a_kind_that_serves_nothing_stays() -> None:
    found = await put({**CRD, "spec": {**CRD["spec"], "versions": [{"name": "v1", "served": False}]}})
    await removed(found)
    assert found.server.names == {"CustomResourceDefinition/lights.example.org"}


async def test_its_objects_go_before_kinds_whatever_was_written_down_first() -> None:
    found = await put(light("red"), CRD, thing("settings"))
    await brought(found, light("red"), thing("settings"), SPACE)
    found.server.log.clear()
    await removed(found)
    assert found.server.log == [
        "apply ConfigMap/kaas-add-on-exporter",
        "delete ConfigMap/settings",
        "delete Light/red",
        "delete Namespace/monitoring",
        "delete CustomResourceDefinition/lights.example.org",
        "delete ConfigMap/kaas-add-on-exporter",
    ]


async def test_what_runs_pods_and_is_missing_does_not_work_and_is_made_anew_soon() -> None:
    found = await put(thing("settings"))
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("settings"), thing("agent", "Deployment")])
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    found.server.works = False
    await found.examine()
    await found.look()
    found.server.remove("Deployment", "agent")
    found.clock.step(10.0)
    await found.look()
    entry = found.entries["exporter"]
    assert (entry["state"], entry["message"]) == ("Starting", "Deployment.apps monitoring/agent: it is missing")
    found.server.works = True
    for _ in range(3):
        found.clock.step(10.0)
        await found.look()
    assert "Deployment/agent" in found.server.names
    assert found.entries["exporter"]["state"] == "Ready"


async def test_what_goes_missing_each_time_is_made_anew_with_growing_pauses() -> None:
    found = await put(thing("agent", "Deployment"))
    found.clock.step(DRIFT)
    found.server.faults = {}
    apply, made = found.server.apply, []

    async def applied(obj: Object) -> Object:
        result = await apply(obj)
        if obj["metadata"]["name"] == "agent":
            made.append(found.clock.monotonic())
            found.server.remove("Deployment", "agent")
        return result

    found.server.apply = applied  # type: ignore[method-assign]
    for _ in range(100):
        found.clock.step(await found.look() or 0.0)
    assert found.entries["exporter"]["state"] == "Starting"
    assert {300.0, 30.0, 60.0} <= {later - sooner for sooner, later in pairwise(made)}


async def test_what_lost_its_label_is_not_missing() -> None:
    found = await put(thing("agent", "Deployment"))
    found.server.works = True
    found.server.found("Deployment", "agent")["metadata"]["labels"] = {}
    found.start()
    entry = found.entries["exporter"]
    found.put({**found.cluster, "status": {**found.cluster["status"], "addOns": [{**entry, "state": "Starting"}]}})
    await found.look()
    assert found.entries["exporter"]["state"] == "Ready"


async def test_no_version_is_said_of_what_is_being_taken_out_and_the_event_has_it() -> None:
    found = await put(thing("controller", "Deployment"), thing("held"))
    found.server.holds = {"held"}
    await found.settle()
    found.server.found("ConfigMap", "held")["metadata"]["finalizers"] = ["example.org/hold"]
    found.unput(resources.ADDON, None, "exporter")
    await found.look()
    entry = found.entries["exporter"]
    assert (entry["state"], "version" in entry, "digest" in entry) == ("Removing", False, False)
    found.server.remove("ConfigMap", "held")
    found.start()
    await found.settle()
    assert found.events[-1] == ("AddOnRemoved", "exporter 1.0.0 was taken out of the Cluster")


async def test_an_addon_made_anew_while_it_is_taken_out_comes_like_the_first() -> None:
    found = await put(thing("settings"), thing("held"))
    found.server.found("ConfigMap", "held")["metadata"]["finalizers"] = ["example.org/hold"]
    found.unput(resources.ADDON, None, "exporter")
    await found.look()
    assert "version" not in found.entries["exporter"]
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=[thing("settings")])
    found.server.remove("ConfigMap", "held")
    await found.settle()
    assert (found.entries["exporter"]["version"], found.entries["exporter"]["state"]) == ("2.0.0", "Ready")


async def test_what_was_cancelled_in_the_middle_is_not_through() -> None:
    found = World()
    found.addon(raw_addon("exporter", "1.0.0"), v1_0_0=[thing("settings"), thing("other")])
    found.server.faults["other"] = asyncio.CancelledError()  # type: ignore[assignment]
    await found.examine()
    with pytest.raises(asyncio.CancelledError):
        await found.look()
    found.server.faults.clear()
    await found.settle()
    assert "ConfigMap/other" in found.server.names
