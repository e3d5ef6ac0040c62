"""A management cluster and a workload cluster in memory, around the real reconciler of drains."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from prometheus_client import CollectorRegistry

from kaas.api.constants import ANNOTATION_GPU, CONDITION_DRAIN, LABEL_POOL
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.errors import Forbidden, NotFound, Unavailable
from kaas.kube.objects import Object, Ref, condition
from kaas.kube.ports import EventType
from kaas.kube.resources import CLUSTER_NAME_LABEL, DEPLOYMENT_NAME_LABEL, DRAIN_HOOK, Resource
from kaas.kube.times import stamp
from kaas.runtime.index import Index
from kaas.updates.drains.metrics import DrainMetrics
from kaas.updates.drains.reconciler import DrainReconciler, Office
from tests.unit.clusters.builders import NAME, NAMESPACE, pool, raw_cluster
from tests.unit.updates.drains.builders import LONG_AGO, NOW

POOL = "dgx"
DEPLOYMENT = f"{NAME}-{POOL}"


class Killed(BaseException):
    """The controller ends here."""


@dataclass
class Store:
    """What an API server has. seen: told of every change."""

    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    away: bool = False
    refuses: bool = False

    def put(self, obj: Object) -> None:
        self.objects[obj["kind"], obj["metadata"]["name"]] = obj

    async def get(self, ref: Ref) -> Object | None:
        self._answers()
        return copy.deepcopy(self.objects.get((ref.kind, ref.name)))

    async def list(self, resource: Resource, *, label_selector: str = "", field_selector: str = "") -> list[Object]:
        self._answers()
        key, _, value = label_selector.partition("=")
        found = [o for (kind, _), o in self.objects.items() if kind == resource.kind]
        return [copy.deepcopy(o) for o in found if not key or o["metadata"].get("labels", {}).get(key) == value]

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        self._answers()
        live = self.objects.get((ref.kind, ref.name))
        if live is None:
            raise NotFound("patch", ref.name)
        if self.refuses and ref.kind == "Pod":
            raise Forbidden("patch", "a webhook of the Cluster denies it")
        _merge(live, patch)
        return live

    async def create(self, obj: Object) -> Object:
        about = obj["involvedObject"]
        self.events.append((about["kind"], about["name"], obj["reason"]))
        return obj

    def _answers(self) -> None:
        if self.away:
            raise Unavailable("ask", "no route to host")


def _merge(live: Object, patch: Object) -> None:
    for key, value in patch.items():
        if isinstance(value, dict):
            _merge(live.setdefault(key, {}), value)
        elif value is None:
            live.pop(key, None)
        else:
            live[key] = value


@dataclass
class World:
    """A Cluster with a pool of boxes. kill_at: the write before which the controller is killed."""

    update: Object = field(default_factory=dict)
    replicas: int = 2
    time: datetime = NOW
    index: Index = field(default_factory=Index)
    workload: Store = field(default_factory=Store)
    events: list[tuple[str, str]] = field(default_factory=list)
    writes: int = 0
    kill_at: int | None = None
    doubted: int = 0
    forgotten: int = 0
    revision: int = 0

    def __post_init__(self) -> None:
        self.cluster()
        said = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineDeployment"}
        labels = {CLUSTER_NAME_LABEL: NAME, LABEL_POOL: POOL}
        self.put({**said, "metadata": {"name": DEPLOYMENT, "namespace": NAMESPACE, "labels": labels}})
        self.start()

    def cluster(self, **meta: Any) -> None:
        made = pool(POOL, flavor="dgx", replicas=self.replicas, update=self.update)
        self.put(raw_cluster(metadata=meta, nodePools=[made]))

    def start(self) -> None:
        """A new controller."""
        self.registry = CollectorRegistry()
        office = Office(self.index, self, self, self, self, DrainMetrics(self.registry))
        self.reconciler = DrainReconciler(office)

    # -- what there is ----------------------------------------------------------------------------------------------

    def put(self, obj: Object) -> None:
        self.revision += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.index.put(obj)

    def box(self, name: str, gpus: int = 8, **more: Any) -> None:
        """A machine with its Node."""
        labels = {CLUSTER_NAME_LABEL: NAME, LABEL_POOL: POOL, DEPLOYMENT_NAME_LABEL: DEPLOYMENT}
        notes = {DRAIN_HOOK: "", ANNOTATION_GPU: json.dumps({"model": "A100-SXM4-40GB", "count": 8})}
        meta = {"name": name, "namespace": NAMESPACE, "uid": name, "labels": labels, "annotations": notes}
        status = {"nodeRef": {"name": name}, "conditions": [{"type": "UpToDate", "status": "False"}], **more}
        self.put({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine", "metadata": meta, "status": status})
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": stamp(LONG_AGO)}
        seen = {"allocatable": {"cpu": "64", "nvidia.com/gpu": str(gpus)}, "conditions": [ready]}
        meta = {"name": name, "labels": {LABEL_POOL: POOL}, "creationTimestamp": stamp(LONG_AGO)}
        self.workload.put({"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": seen})

    def lay_out(self, name: str, layout: str, state: str, **offers: int) -> None:
        """Have a Node say so of MIG, with slices by profile."""
        node = self.workload.objects["Node", name]
        said = {
            "nvidia.com/mig.config": layout,
            "nvidia.com/mig.config.state": state,
            "nvidia.com/mig.strategy": "mixed",
        }
        node["metadata"]["labels"] |= said
        node["status"]["allocatable"] = {f"nvidia.com/mig-{k}": str(n) for k, n in offers.items()}

    def pod(self, name: str, node: str, kind: str = "Job", gpus: int = 8, **annotations: str) -> None:
        owner = {"apiVersion": "batch/v1", "kind": kind, "name": f"of-{name}", "uid": f"of-{name}", "controller": True}
        notes = {f"kaas.internal/{k}": v for k, v in annotations.items()}
        meta = {"name": name, "namespace": "ml", "annotations": notes, "ownerReferences": [owner]}
        container = {"name": "it", "resources": {"limits": {"nvidia.com/gpu": str(gpus)} if gpus else {}}}
        spec = {"nodeName": node, "containers": [container]}
        self.workload.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})

    def delete(self, name: str, **annotations: str) -> None:
        """Cluster API, or a person, deletes a machine."""
        machine = copy.deepcopy(self.machine(name))
        machine["metadata"]["deletionTimestamp"] = stamp(self.time)
        machine["metadata"]["annotations"] |= {f"kaas.internal/{k}": v for k, v in annotations.items()}
        self.put(machine)

    def machine(self, name: str) -> Object:
        found = self.index.get(resources.MACHINE, NAMESPACE, name)
        assert found is not None
        return found

    def note(self, name: str) -> Object:
        """Annotations of a Pod or Node, without their prefix."""
        kind = "Pod" if ("Pod", name) in self.workload.objects else "Node"
        found = self.workload.objects[kind, name]["metadata"].get("annotations") or {}
        return {k.removeprefix("kaas.internal/"): v for k, v in found.items()}

    def is_held(self, name: str) -> bool:
        return DRAIN_HOOK in self.machine(name)["metadata"]["annotations"]

    def is_cordoned(self, name: str) -> bool:
        return bool(self.workload.objects["Node", name].get("spec", {}).get("unschedulable"))

    def said(self, name: str) -> str:
        """Reason of a Machine's condition."""
        return str((condition(self.machine(name), CONDITION_DRAIN) or {}).get("reason"))

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"kaas_update_drains_{name}", labels) or 0.0

    # -- ports ------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.time

    async def client(self, cluster: tuple[str, str]) -> KubeClient:
        assert cluster == (NAMESPACE, NAME)
        return cast("KubeClient", self.workload)

    def kubeconfig_changed(self, cluster: tuple[str, str]) -> None:
        self.doubted += 1

    def forget(self, cluster: tuple[str, str]) -> None:
        assert cluster == (NAMESPACE, NAME)
        self.forgotten += 1

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        self.events.append((about["metadata"]["name"], reason))
        return True

    async def get(self, ref: Ref) -> Object | None:
        found = self.index.get_ref(ref)
        return copy.deepcopy(found) if found else None

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        self._write()
        live = await self.get(ref)
        if live is None:
            raise NotFound("patch", ref.name)
        _merge(live, patch)
        self.put(live)
        return live

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        self._write()
        live = copy.deepcopy(self.machine(obj["metadata"]["name"]))
        kept = [c for c in live["status"]["conditions"] if c["type"] != CONDITION_DRAIN]
        live["status"]["conditions"] = [*kept, *obj["status"]["conditions"]]
        self.put(live)
        return live

    def _write(self) -> None:
        self.writes += 1
        if self.writes == self.kill_at:
            raise Killed

    # -- going on ---------------------------------------------------------------------------------------------------

    async def look(self, name: str, seconds: float = 0) -> float | None:
        """One reconcile, so many seconds later."""
        self.time += timedelta(seconds=seconds)
        return await self.reconciler.reconcile((NAMESPACE, name))
