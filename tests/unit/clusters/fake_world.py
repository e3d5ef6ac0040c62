"""A management cluster in memory: the API server, what Cluster API does in it, the watches, and our reconciler."""

from __future__ import annotations

from typing import Any

from kaas.api.constants import LABEL_POOL
from kaas.api.parsed import Parsed
from kaas.api.site import Site
from kaas.clusters.addresses import Surplus, surplus, twice
from kaas.clusters.classes import CLUSTER_API
from kaas.clusters.observe import observe
from kaas.clusters.plan import Step, plan
from kaas.clusters.reconciler import ClusterReconciler
from kaas.clusters.snapshot import Cloud, Live
from kaas.clusters.watched import interests
from kaas.kube.objects import is_deleting, ref_of
from kaas.kube.resources import TOPOLOGY_DEPLOYMENT_LABEL
from kaas.openstack.floating_ip import FloatingIP
from kaas.runtime.clock import FakeClock
from kaas.runtime.index import Index
from tests.unit.clusters.builders import NAME, NAMESPACE, Object, condition, full_cloud
from tests.unit.clusters.fake_api import FakeApi

KEY = (NAMESPACE, NAME)
CAPI_FINALIZER = "cluster.cluster.x-k8s.io"
MOST_TURNS = 40
TURN_SECONDS = 10.0
INFRASTRUCTURE_API = "infrastructure.cluster.x-k8s.io/v1beta1"
CONTROL_PLANE_API = "controlplane.cluster.x-k8s.io/v1beta2"


class FakeClouds:
    """One cloud for every Site."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.looks = 0
        self.faults: dict[str, str] = {}
        self.asked: list[str] = []
        self.addresses: dict[str, FloatingIP] = {}
        self.refusal: str | None = None

    async def look(self, site: Site) -> Cloud:
        self.looks += 1
        return self.cloud

    async def server_fault(self, site: Site, server: str) -> str | None:
        self.asked.append(server)
        return self.faults.get(server)

    async def surplus(self, site: Site, live: Live) -> Surplus | None:
        found = twice(live.infrastructure)
        if found is None or live.infrastructure is None or live.cluster is None:
            return None
        return surplus(live.infrastructure, live.cluster, found, self.addresses)

    async def release(self, site: Site, address: FloatingIP) -> str | None:
        if self.refusal is None:
            self.addresses.pop(address.address)
        return self.refusal


class Announced:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def emit(self, about: Object, reason: str, message: str, *, event_type: str = "Normal") -> bool:
        self.said.append((event_type, reason))
        return True


class World:
    """Turn after turn: watches are up to date, our reconciler runs, then Cluster API moves on by a little."""

    def __init__(self, *inputs: Object, cloud: Cloud | None = None) -> None:
        self.api = FakeApi()
        self.clock = FakeClock()
        self.clouds = FakeClouds(cloud or full_cloud())
        self.events = Announced()
        self.again: float | None = None
        for obj in inputs:
            self.api.put(obj)
        self.start()

    def start(self) -> None:
        """A controller that knows nothing yet, in place of the one before."""
        self.index = Index()
        self.reconciler = ClusterReconciler(self.index, self.api, self.clouds, self.clock, self.events)

    def watch(self) -> None:
        """Bring the index up to date with the server, keeping as little as the controller does."""
        keep = {i.resource.group_kind: i.keep for i in interests(self.index)}
        there = {(o["apiVersion"].rpartition("/")[0], o["kind"]) for o in self.api.objects.values()}
        for resource in [i.resource for i in interests(self.index)]:
            for known in self.index.list(resource):
                self.index.remove(known)
        for obj in self.api.objects.values():
            group_kind = (obj["apiVersion"].rpartition("/")[0], obj["kind"])
            if group_kind in keep and group_kind in there:
                small = keep[group_kind]
                self.index.put(small(obj) if small else obj)

    async def turn(self) -> None:
        """One turn of everybody, which takes some seconds."""
        await self.clock.advance(TURN_SECONDS)
        self.watch()
        self.again = await self.reconciler.reconcile(KEY)
        self.cluster_api()

    async def settle(self) -> None:
        """Turns until nothing changes any more."""
        for _ in range(MOST_TURNS):
            before = self.api.revision
            await self.turn()
            if self.api.revision == before:
                return
        raise AssertionError(f"still moving: {self.api.writes[-5:]}")

    def steps(self) -> list[Step]:
        """The plan as it is now; the cloud is not asked."""
        self.watch()
        found = observe(self.index, KEY, Parsed())
        return plan(found) if found else []

    @property
    def capi(self) -> Object | None:
        """The Cluster API Cluster."""
        found = self.api.of_kind("Cluster", "cluster.x-k8s.io")
        return next((c for c in found if c["metadata"]["name"] == NAME), None)

    @property
    def cluster(self) -> Object | None:
        """Our Cluster."""
        found = self.api.of_kind("Cluster", "kaas.internal")
        return next((c for c in found if c["metadata"]["name"] == NAME), None)

    def status(self, name: str) -> Object:
        """A condition of our Cluster."""
        assert self.cluster is not None
        found: Object = next(c for c in self.cluster["status"]["conditions"] if c["type"] == name)
        return found

    def ask(self, **spec: Any) -> None:
        """A user changes our Cluster."""
        assert self.cluster is not None
        self.api.change(self.cluster, spec={**self.cluster["spec"], **spec})

    def delete(self) -> None:
        """A user deletes our Cluster."""
        assert self.cluster is not None
        self.api.remove(ref_of(self.cluster))

    # --- what Cluster API does ---

    def cluster_api(self) -> None:
        """Takes up classes, makes the parts of Clusters and reports on them, or takes them away one by one."""
        for found in self.api.of_kind("ClusterClass"):
            self.api.change(found, status={"conditions": [condition("VariablesReady")]})
        for found in self.api.of_kind("Cluster", "cluster.x-k8s.io"):
            if is_deleting(found):
                self._take_away(found)
            else:
                self._make(found)

    def _take_away(self, cluster: Object) -> None:
        for kind in ("MachineDeployment", "KubeadmControlPlane", "OpenStackCluster"):
            parts = [o for o in self.api.of_kind(kind) if _label(o) == cluster["metadata"]["name"]]
            if parts:
                self.api.remove(ref_of(parts[0]))
                return
        self.api.set_finalizers(cluster, [])

    def _make(self, cluster: Object) -> None:
        topology = cluster["spec"]["topology"]
        cluster = self.api.set_finalizers(cluster, [CAPI_FINALIZER])
        wanted = topology.get("workers", {}).get("machineDeployments", [])
        self._part(cluster, INFRASTRUCTURE_API, "OpenStackCluster", "infra", {})
        masters = _counts(topology["controlPlane"]["replicas"])
        spec = {"version": topology["version"]}
        self._part(cluster, CONTROL_PLANE_API, "KubeadmControlPlane", "cp", spec, status=masters)
        for d in wanted:
            spec = {"template": {"spec": {"version": topology["version"]}}}
            labels = {LABEL_POOL: d["metadata"]["labels"][LABEL_POOL], TOPOLOGY_DEPLOYMENT_LABEL: d["name"]}
            self._part(cluster, CLUSTER_API, "MachineDeployment", d["name"], spec, labels, _counts(d["replicas"]))
        names = {f"{cluster['metadata']['name']}-{d['name']}" for d in wanted}
        for part in self.api.of_kind("MachineDeployment"):
            if _label(part) == cluster["metadata"]["name"] and part["metadata"]["name"] not in names:
                self.api.remove(ref_of(part))
        self._report(cluster)

    def _part(
        self,
        cluster: Object,
        api: str,
        kind: str,
        suffix: str,
        spec: Object,
        labels: Object | None = None,
        status: Object | None = None,
    ) -> None:
        name = cluster["metadata"]["name"]
        meta = {
            "name": f"{name}-{suffix}",
            "namespace": cluster["metadata"]["namespace"],
            "labels": {"cluster.x-k8s.io/cluster-name": name, **(labels or {})},
        }
        self.api.put({"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec, "status": status or {}})

    def _report(self, cluster: Object) -> None:
        names = ("InfrastructureReady", "ControlPlaneAvailable", "WorkersAvailable", "TopologyReconciled")
        status = {
            "conditions": [condition(n) for n in names],
            "observedGeneration": cluster["metadata"]["generation"],
        }
        self.api.change(cluster, status=status)


def _counts(replicas: int) -> Object:
    return {"replicas": replicas, "readyReplicas": replicas}


def _label(obj: Object) -> str | None:
    found: str | None = obj["metadata"].get("labels", {}).get("cluster.x-k8s.io/cluster-name")
    return found


def comparable(world: World) -> list[Object]:
    """Everything that is stored, without what depends on how it came about."""
    found = []
    for key in sorted(world.api.objects, key=str):
        obj = world.api.objects[key]
        meta = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "generation")}
        status = {k: v for k, v in obj.get("status", {}).items() if k != "observedGeneration"}
        if "conditions" in status:
            status["conditions"] = [
                {k: v for k, v in c.items() if k not in ("lastTransitionTime", "observedGeneration")}
                for c in status["conditions"]
            ]
        if "newestClassRevision" in status:
            status["newestClassRevision"] = {"name": status["newestClassRevision"]["name"]}
        found.append({**obj, "metadata": meta, "status": status})
    return found
