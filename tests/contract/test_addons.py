"""Add-ons on a real API server, which is the management cluster and the Cluster: put there, changed, taken out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kaas.addons.examining import AddonReconciler, Desk
from kaas.addons.inventory import from_object, ref_for
from kaas.addons.library import Library
from kaas.addons.metrics import AddonMetrics
from kaas.addons.reconciler import AddOnReconciler, Office
from kaas.api.constants import API_VERSION, LABEL_ADD_ON, UPDATES_MANAGER
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.errors import Invalid
from kaas.kube.objects import Object, Ref, condition
from kaas.kube.ports import EventType
from kaas.runtime.clock import FakeClock
from kaas.runtime.index import Index
from tests.contract.cluster_shapes import VERSION
from tests.unit.addons.world import update_to

NAME = "team"
LOOKS = 60
NOW = "2027-01-05T22:00:00Z"


class Played:
    """The features of add-ons on a real API server; the others are played."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.kube, self.namespace, self.key = client, namespace, (namespace, NAME)
        self.clock, self.index = FakeClock(), Index()
        self.events: list[str] = []
        self.addons: list[str] = []
        library = Library(client)
        self.reader = AddonReconciler(Desk(self.index, client, self.clock, library))
        metrics = AddonMetrics(CollectorRegistry())
        self.reconciler = AddOnReconciler(Office(self.index, client, self.clock, self, self, library, metrics))

    async def client(self, cluster: tuple[str, str]) -> KubeClient:
        return self.kube

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        self.events.append(reason)
        return True

    def called(self, name: str) -> str:
        """The Addon's name: others use this API server, too."""
        return f"{name}-{self.namespace}"

    async def begin(self) -> None:
        """A Cluster whose control plane runs."""
        system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kaas-system"}}
        await self.kube.apply(system)
        spec = {"version": VERSION, "site": "north", "controlPlane": {"flavor": "cpu-2"}}
        await self.kube.create(self._cluster(spec=spec))
        await self.kube.apply_status(self._cluster(status={"version": VERSION}))

    def _cluster(self, **more: Any) -> Object:
        kind, meta = resources.CLUSTER, {"namespace": self.namespace, "name": NAME}
        return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **more}

    async def addon(self, name: str, **versions: list[Object]) -> None:
        """An Addon with versions v1_0_0 and so on, for this Cluster alone."""
        called = self.called(name)
        listed = {key.removeprefix("v").replace("_", "."): objects for key, objects in versions.items()}
        for version, objects in listed.items():
            meta = {"namespace": "kaas-system", "name": f"{called}-{version}"}
            data = {"all.yaml": "\n---\n".join(map(json.dumps, objects))}
            config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "immutable": True, "data": data}
            await self.kube.apply(config_map, manager="person")
        said = [{"version": v, "manifests": {"configMap": f"{called}-{v}"}} for v in listed]
        spec = {"clusters": {"namespaces": [self.namespace]}, "versions": said}
        obj = {"apiVersion": API_VERSION, "kind": "Addon", "metadata": {"name": called}, "spec": spec}
        await self.kube.apply(obj, manager="person")
        self.addons = sorted({*self.addons, called})

    async def gone(self, name: str) -> None:
        """Somebody deletes an Addon."""
        await self.kube.delete(Ref(API_VERSION, "Addon", None, self.called(name)))
        self.addons.remove(self.called(name))
        found = self.index.get(resources.ADDON, None, self.called(name))
        assert found is not None
        self.index.remove(found)

    async def update(self, name: str, old: str, new: str, step: str, **more: Any) -> None:
        """What the feature of updates says."""
        update = {**update_to(self.called(name), old, new, step), **more}
        await self.kube.apply_status(self._cluster(status={"update": update}), manager=UPDATES_MANAGER)

    async def observe(self) -> None:
        """As the watches show it."""
        for name in self.addons:
            self.index.put(await self.there(Ref(API_VERSION, "Addon", None, name)))
        self.index.put(await self.there(Ref(API_VERSION, "Cluster", self.namespace, NAME)))

    async def settle(self, *states: str) -> dict[str, Object]:
        """Look until all add-ons are in one of some states; what is said of them by the names of the Addons."""
        for _ in range(LOOKS):
            await self.observe()
            for name in self.addons:
                await self.reader.reconcile(name)
            await self.observe()
            again = await self.reconciler.reconcile(self.key)
            await self.observe()
            found = await self.entries()
            if {*found} == {*self.addons} and all(_is_in(entry, states) for entry in found.values()):
                return found
            self.clock.step(min(again or 2.0, 2.0))
            await asyncio.sleep(0.2)  # a new kind is served after a moment
        raise AssertionError(f"not in {LOOKS} looks: {found}")

    async def entries(self) -> dict[str, Object]:
        cluster = await self.there(Ref(API_VERSION, "Cluster", self.namespace, NAME))
        return {e["name"]: e for e in cluster["status"].get("addOns") or ()}

    async def there(self, ref: Ref) -> Object:
        found = await self.kube.get(ref)
        assert found is not None, f"there is no {ref}"
        return found

    async def inventory(self, name: str) -> list[str]:
        found = from_object(await self.kube.get(ref_for(self.called(name))))
        return [f"{ref.kind}/{ref.name}" for ref in found.refs]

    def settings(self, name: str, **data: str) -> Object:
        meta = {"namespace": self.namespace, "name": name}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def _is_in(entry: Object, states: Collection[str]) -> bool:
    """Whether it is in one of some states; Ready in the version that it is to have."""
    return entry["state"] in states and (entry["state"] != "Ready" or "wanted" not in entry)


@pytest.fixture
async def played(client: KubeClient, namespace: str) -> Played:
    made = Played(client, namespace)
    await made.begin()
    return made


def kind_of(namespace: str) -> tuple[Object, Object]:
    """A CRD, and an object of it."""
    group = f"{namespace}.example.org"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"on": {"type": "boolean"}}}}}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": "lights", "singular": "light", "kind": "Light", "listKind": "LightList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    }
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}
    meta = {"namespace": namespace, "name": "red"}
    light = {"apiVersion": f"{group}/v1", "kind": "Light", "metadata": meta, "spec": {"on": True}}
    return {**crd, "metadata": {"name": f"lights.{group}"}}, light


async def test_a_kind_and_an_object_of_it_are_put_there_and_taken_out(played: Played, client: KubeClient) -> None:
    crd, light = kind_of(played.namespace)
    await played.addon("lights", v1_0_0=[light, crd, played.settings("a", x="1")])
    name = played.called("lights")
    entry = (await played.settle("Ready"))[name]
    assert entry["version"] == "1.0.0"
    assert len(entry["digest"]) == 64
    made = await played.there(Ref(light["apiVersion"], "Light", played.namespace, "red"))
    assert made["spec"] == {"on": True}
    assert made["metadata"]["labels"][LABEL_ADD_ON] == name
    assert await played.inventory("lights") == [
        f"CustomResourceDefinition/{crd['metadata']['name']}",
        "Light/red",
        "ConfigMap/a",
    ]
    assert played.events == ["AddOnInstalled"]
    addon = await played.there(Ref(API_VERSION, "Addon", None, name))
    assert addon["status"]["versions"][0]["objects"] == 3
    assert (condition(addon, "Usable") or {})["status"] == "True"
    await client.apply_status(played._cluster(status={"update": {"reason": "UpToDate"}}), manager=UPDATES_MANAGER)
    await played.gone("lights")
    assert await played.settle() == {}
    for ref in (
        Ref(light["apiVersion"], "Light", played.namespace, "red"),
        Ref("v1", "ConfigMap", played.namespace, "a"),
        ref_for(name),
    ):
        assert await client.get(ref) is None
    cluster = await played.there(Ref(API_VERSION, "Cluster", played.namespace, NAME))
    assert (cluster["status"]["update"], cluster["status"]["version"]) == ({"reason": "UpToDate"}, VERSION)
    assert played.events == ["AddOnInstalled", "AddOnRemoved"]


async def test_a_kind_of_which_somebody_else_has_an_object_stays(played: Played, client: KubeClient) -> None:
    crd, light = kind_of(played.namespace)
    await played.addon("lights", v1_0_0=[crd, light])
    await played.settle("Ready")
    theirs = {**light, "metadata": {"namespace": played.namespace, "name": "theirs"}}
    await client.apply(theirs, manager="person")
    await played.gone("lights")
    assert await played.settle() == {}
    assert await client.get(Ref(light["apiVersion"], "Light", played.namespace, "red")) is None
    assert (await played.there(Ref(light["apiVersion"], "Light", played.namespace, "theirs")))["spec"] == {"on": True}
    await played.addon("lights", v2_0_0=[crd])
    await played.settle("Ready")
    await client.delete(Ref(light["apiVersion"], "Light", played.namespace, "theirs"))
    await played.gone("lights")
    assert await played.settle() == {}
    assert await _goes(client, Ref(crd["apiVersion"], crd["kind"], None, crd["metadata"]["name"]))


async def _goes(client: KubeClient, ref: Ref) -> bool:
    """Whether an object is gone after a while."""
    for _ in range(LOOKS):
        if await client.get(ref) is None:
            return True
        await asyncio.sleep(0.2)
    return False


async def test_what_was_there_before_is_not_taken_and_a_namespace_is_used_as_it_is(
    played: Played, client: KubeClient
) -> None:
    theirs = played.settings("a", x="theirs")
    await client.apply(theirs, manager="person")
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": played.namespace, "labels": {"x": "y"}}}
    await played.addon("exporter", v1_0_0=[space, played.settings("a", x="1"), played.settings("b")])
    entry = (await played.settle("Failed"))[played.called("exporter")]
    assert f"ConfigMap {played.namespace}/a is in the Cluster already" in entry["message"]
    assert await client.get(Ref("v1", "ConfigMap", played.namespace, "b")) is None
    label = {"metadata": {"labels": {LABEL_ADD_ON: played.called("exporter")}}}
    await client.patch(Ref("v1", "ConfigMap", played.namespace, "a"), label)
    await played.settle("Ready")
    assert (await played.there(Ref("v1", "ConfigMap", played.namespace, "a")))["data"] == {"x": "1"}
    assert "x" not in (await played.there(Ref("v1", "Namespace", None, played.namespace)))["metadata"]["labels"]
    await played.gone("exporter")
    assert await played.settle() == {}
    assert "deletionTimestamp" not in (await played.there(Ref("v1", "Namespace", None, played.namespace)))["metadata"]


async def test_another_version_takes_the_place_of_the_former_and_back(played: Played, client: KubeClient) -> None:
    old = [played.settings("a", x="1"), played.settings("b")]
    new = [played.settings("a", y="2"), played.settings("c")]
    await played.addon("exporter", v1_0_0=old)
    await played.settle("Ready")
    await played.addon("exporter", v1_0_0=old, v2_0_0=new)
    await played.update("exporter", "1.0.0", "2.0.0", "Running")
    entry = (await played.settle("Ready"))[played.called("exporter")]
    assert entry["version"] == "2.0.0"
    assert (await played.there(Ref("v1", "ConfigMap", played.namespace, "a")))["data"] == {"y": "2"}
    assert await client.get(Ref("v1", "ConfigMap", played.namespace, "b")) is None
    assert await played.inventory("exporter") == ["ConfigMap/a", "ConfigMap/c"]
    stopped = {"since": NOW, "step": "Verification", "reason": "x", "message": "y"}
    back = {"what": "AddOn", "addOn": played.called("exporter"), "from": "2.0.0", "to": "1.0.0", "since": NOW}
    await played.update("exporter", "1.0.0", "2.0.0", "Done", stopped=stopped, rolledBack=[back])
    entry = (await played.settle("Ready"))[played.called("exporter")]
    assert entry["version"] == "1.0.0"
    assert await client.get(Ref("v1", "ConfigMap", played.namespace, "c")) is None
    assert await played.inventory("exporter") == ["ConfigMap/a", "ConfigMap/b"]
    assert played.events == ["AddOnInstalled", "AddOnUpdated", "AddOnUpdated"]


async def test_what_is_the_same_is_not_written_again(played: Played) -> None:
    await played.addon("exporter", v1_0_0=[played.settings("a", x="1")])
    await played.settle("Ready")
    refs = [Ref("v1", "ConfigMap", played.namespace, "a"), ref_for(played.called("exporter"))]
    refs.append(Ref(API_VERSION, "Cluster", played.namespace, NAME))
    before = [(await played.there(ref))["metadata"]["resourceVersion"] for ref in refs]
    played.clock.step(1800.0)
    await played.settle("Ready")
    assert [(await played.there(ref))["metadata"]["resourceVersion"] for ref in refs] == before


async def test_a_field_that_is_misspelt_is_refused_in_the_words_of_the_server(played: Played) -> None:
    wrong = {**played.settings("a"), "datta": {"x": "1"}}
    await played.addon("exporter", v1_0_0=[wrong, played.settings("b")])
    entry = (await played.settle("Failed"))[played.called("exporter")]
    assert f"apply ConfigMap {played.namespace}/a" in entry["message"]
    assert ".datta: field not declared in schema" in entry["message"]
    assert "version" not in entry
    await played.there(Ref("v1", "ConfigMap", played.namespace, "b"))
    assert played.events == ["AddOnFailed"]


async def test_two_add_ons_with_the_same_object(played: Played) -> None:
    await played.addon("first", v1_0_0=[played.settings("a", x="1")])
    await played.settle("Ready")
    await played.addon("second", v1_0_0=[played.settings("a", x="2")])
    found = await played.settle("Ready", "Failed")
    assert found[played.called("first")]["state"] == "Ready"
    assert f"belongs to the add-on {played.called('first')}" in found[played.called("second")]["message"]
    assert (await played.there(Ref("v1", "ConfigMap", played.namespace, "a")))["data"] == {"x": "1"}


async def test_a_deployment_is_waited_for(played: Played, client: KubeClient) -> None:
    pods = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "registry.example.com/c"}]},
    }
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": pods}
    meta = {"namespace": played.namespace, "name": "exporter"}
    await played.addon(
        "exporter", v1_0_0=[{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}]
    )
    entry = (await played.settle("Starting"))[played.called("exporter")]
    assert entry["version"] == "1.0.0"
    assert f"Deployment {played.namespace}/exporter: its controller has not seen it yet" in entry["message"]
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    await client.patch(Ref("apps/v1", "Deployment", *meta.values()), {"status": status}, subresource="status")
    await played.settle("Ready")


async def test_what_is_immutable_is_so_to_everybody(played: Played, client: KubeClient) -> None:
    """What is read once does not change: the API server sees to that."""
    await played.addon("exporter", v1_0_0=[played.settings("a")])
    name = f"{played.called('exporter')}-1.0.0"
    changed = {"namespace": "kaas-system", "name": name}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": changed, "data": {"all.yaml": ""}}
    with pytest.raises(Invalid, match="immutable"):
        await client.apply(config_map, manager="person")
