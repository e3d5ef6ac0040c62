"""A management cluster in memory with one Cluster, around the real reconcilers of add-ons."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from kaas.addons.examining import AddonReconciler, Desk
from kaas.addons.library import Library
from kaas.addons.metrics import AddonMetrics
from kaas.addons.reconciler import AddOnReconciler, Office
from kaas.api.constants import API_VERSION
from kaas.kube import resources
from kaas.kube.errors import KubeError
from kaas.kube.objects import Object, Ref
from kaas.kube.ports import EventType
from kaas.kube.resources import Resource
from kaas.runtime.clock import FakeClock
from kaas.runtime.index import Index
from tests.unit.addons.server import Killed, Server, Writes

KEY = ("tenants", "team")
SETTLED = 300.0
"""Seconds without anything to do after which all is as it is to be."""


def thing(name: str, kind: str = "ConfigMap", **more: Any) -> Object:
    namespaced = {} if kind in ("Namespace", "CustomResourceDefinition") else {"namespace": "monitoring"}
    api = {"Deployment": "apps/v1", "DaemonSet": "apps/v1", "CustomResourceDefinition": "apiextensions.k8s.io/v1"}
    meta = {"name": name, **namespaced}
    return {"apiVersion": api.get(kind, "v1"), "kind": kind, "metadata": meta, **more}


def raw_cluster(update: Object | None = None, **status: Any) -> Object:
    spec = {"version": "1.36", "site": "north", "controlPlane": {"flavor": "cpu-2"}}
    meta = {"name": KEY[1], "namespace": KEY[0], "uid": "team-uid", "labels": {"tier": "production"}}
    said = {"version": "v1.36.1", **({"update": update} if update else {}), **status}
    return {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec, "status": said}


def raw_addon(name: str, *versions: str | Object, **spec: Any) -> Object:
    """Versions as 1.8.2, whose ConfigMaps are named by it."""
    listed = [v if isinstance(v, dict) else {"version": v} for v in versions]
    said = [{"manifests": {"configMap": f"{name}-{v['version']}"}, **v} for v in listed]
    meta = {"name": name, "uid": f"{name}-uid", "generation": 1}
    return {"apiVersion": API_VERSION, "kind": "Addon", "metadata": meta, "spec": {"versions": said, **spec}}


def update_to(name: str, old: str, new: str, step: str, **more: Any) -> Object:
    """An update that brings an add-on to another version. step: state of its step for that."""
    states = [{"name": "Preflight", "state": "Done"}, {"name": "AddOns", "state": step}]
    changes = [{"name": name, "from": old, "to": new}]
    return {"addOns": changes, "steps": [*states, {"name": "Finished", "state": "Pending"}], **more}


@dataclass
class World:
    """One Cluster on one Site, its API server, Addons and their ConfigMaps. blind: the watch shows no write of ours."""

    writes: Writes = field(default_factory=Writes)
    index: Index = field(default_factory=Index)
    config_maps: dict[str, Object] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[tuple[str, str]] = field(default_factory=list)
    said: list[Object] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    no_way: KubeError | None = None
    refusal: KubeError | None = None
    is_kind: bool = True
    blind: bool = False
    revision: int = 0

    def __post_init__(self) -> None:
        self.server = Server(self.writes)
        site = {"provider": "openstack"}
        self.put({"apiVersion": API_VERSION, "kind": "Site", "metadata": {"name": "north"}, "spec": site})
        self.put(raw_cluster())
        self.start()

    def start(self) -> None:
        """A new controller."""
        self.library, self.registry = Library(self), CollectorRegistry()
        self.reconciler = AddOnReconciler(
            Office(self.index, self, self.clock, self, self, self.library, AddonMetrics(self.registry))
        )
        self.reader = AddonReconciler(Desk(self.index, self, self.clock, self.library))

    def put(self, obj: Object) -> None:
        self.revision += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.index.put(obj)

    def addon(self, raw: Object, **objects: list[Object]) -> None:
        """An Addon, and what its versions have: v1_8_2 for 1.8.2."""
        self.put(raw)
        for key, found in objects.items():
            version = key.removeprefix("v").replace("_", ".")
            self.config_map(f"{raw['metadata']['name']}-{version}", found)

    def config_map(self, name: str, objects: list[Object], **more: Any) -> None:
        self.revision += 1
        meta = {"name": name, "namespace": "kaas-system", "uid": f"cm-{self.revision}"}
        data = {"all.yaml": "\n---\n".join(json.dumps(obj) for obj in objects)}
        self.config_maps[name] = {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data, "immutable": True, **more
        }  # fmt: skip

    def unput(self, resource: Resource, namespace: str | None, name: str) -> None:
        found = self.index.get(resource, namespace, name)
        assert found is not None
        self.index.remove(found)

    def update(self, update: Object | None) -> None:
        """What the feature of updates says."""
        status = {k: v for k, v in self.cluster["status"].items() if k != "update"}
        self.put({**self.cluster, "status": {**status, **({"update": update} if update else {})}})

    async def client(self, cluster: tuple[str, str]) -> Server:
        assert cluster == KEY
        if self.no_way:
            raise self.no_way
        return self.server

    async def get(self, ref: Ref) -> Object | None:
        self.reads.append(ref.name)
        if self.refusal:
            raise self.refusal
        return copy.deepcopy(self.config_maps.get(ref.name))

    async def served(self, api_version: str) -> list[Resource]:
        return [resources.CLUSTER, resources.ADDON] if self.is_kind else [resources.CLUSTER]

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        assert manager == "kaas-add-ons"
        kind = resources.find(obj["apiVersion"], obj["kind"])
        assert kind is not None
        known = self.index.get(kind, obj["metadata"].get("namespace"), obj["metadata"]["name"])
        assert known is not None

        def effect() -> None:
            kept = {k: v for k, v in (known.get("status") or {}).items() if obj["kind"] == "Cluster" and k != "addOns"}
            if not self.blind:
                self.put({**known, "status": {**kept, **obj["status"]}})

        self.writes.write(effect)
        if obj["kind"] == "Cluster":
            self.said.append(obj["status"])
        return obj

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        self.events.append((reason, message))
        return True

    @property
    def cluster(self) -> Object:
        found = self.index.get(resources.CLUSTER, *KEY)
        assert found is not None
        return found

    @property
    def entries(self) -> dict[str, Object]:
        """`status.addOns` by name."""
        return {e["name"]: e for e in self.cluster["status"].get("addOns") or ()}

    def status_of(self, addon: str) -> Object:
        found = self.index.get(resources.ADDON, None, addon)
        assert found is not None
        status: Object = found["status"]
        return status

    async def examine(self) -> None:
        """Every Addon is looked at once."""
        self.clock.step(10.0)
        for obj in self.index.list(resources.ADDON):
            await self.reader.reconcile(obj["metadata"]["name"])

    async def look(self) -> float | None:
        """One look at the Cluster."""
        return await self.reconciler.reconcile(KEY)

    async def settle(self, seconds: float = SETTLED) -> None:
        """Look until there is nothing to do for some time."""
        await self.examine()
        for _ in range(200):
            again = await self.look()
            if again is None or again >= seconds:
                return
            self.clock.step(again)
        raise AssertionError(f"it does not settle: {self.entries}")

    async def settle_killed(self, at: int, *, before: bool) -> bool:
        """The same by a controller that is killed at a write, and another one after it; whether it came to that."""
        self.writes.count, self.writes.at, self.writes.before = 0, at, before
        try:
            await self.settle()
        except Killed:
            return True
        finally:
            self.writes.at = -1
            self.start()
            await self.settle()
        return False
