"""The reconciler against the real API server, its schemas and webhooks: made, left alone, changed, deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kaas_lab.management import Management

from kaas.api.site import Site
from kaas.clusters.addresses import Surplus
from kaas.clusters.reconciler import ClusterReconciler
from kaas.clusters.snapshot import Cloud, Live
from kaas.clusters.watched import interests
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.errors import KubeError
from kaas.kube.objects import Ref, condition, ref_of
from kaas.openstack.floating_ip import FloatingIP
from kaas.runtime.clock import SystemClock
from kaas.runtime.index import Index
from tests.contract.cluster_shapes import RELEASES, SITES, VERSION, cluster

Object = dict[str, Any]

NAMESPACE = "reconciled"
DEADLINE = 90.0
CLOUD = Cloud(
    images={f"node-{v}": "active" for v in RELEASES},
    flavors={"cpu-2": (2, 4096), "cpu-4": (4, 8192), "dgx": (128, 1 << 20)},
    external_networks=frozenset({"public"}),
)


class OneCloud:
    async def look(self, site: Site) -> Cloud:
        return CLOUD

    async def server_fault(self, site: Site, server: str) -> str | None:
        return None

    async def surplus(self, site: Site, live: Live) -> Surplus | None:
        return None

    async def release(self, site: Site, address: FloatingIP) -> str | None:
        raise NotImplementedError


class NoEvents:
    async def emit(self, about: Object, reason: str, message: str, *, event_type: str = "Normal") -> bool:
        return True


class Counted:
    """A client that keeps what it wrote."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client
        self.writes: list[str] = []

    async def apply(self, obj: Object) -> Object:
        self.writes.append(f"apply {obj['kind']}")
        return await self.client.apply(obj)

    async def apply_status(self, obj: Object) -> Object:
        self.writes.append("status")
        return await self.client.apply_status(obj)

    async def patch_finalizers(self, obj: Object, finalizers: list[str]) -> Object:
        self.writes.append("finalizers")
        return await self.client.patch_finalizers(obj, finalizers)

    async def delete(self, ref: Ref) -> bool:
        self.writes.append(f"delete {ref.kind}")
        return await self.client.delete(ref)

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        self.writes.append(f"patch {ref.kind}")
        return await self.client.patch(ref, patch, subresource=subresource)

    async def get(self, ref: Ref) -> Object | None:
        return await self.client.get(ref)


class Controller:
    """Reconciles one Cluster from lists in place of watches; each call is a start of its own."""

    def __init__(self, client: KubeClient, manifest: Object) -> None:
        self.client = client
        self.ref = ref_of(manifest)
        self.writes: list[str] = []

    async def run(self) -> None:
        index, writer = Index(), Counted(self.client)
        for interest in interests(index):
            for obj in await self.client.list(interest.resource):
                index.put(interest.keep(obj) if interest.keep else obj)
        reconciler = ClusterReconciler(index, writer, OneCloud(), SystemClock(), NoEvents())
        try:
            await reconciler.reconcile((NAMESPACE, self.ref.name))
        finally:
            self.writes = writer.writes

    async def until(self, condition_type: str) -> None:
        async with asyncio.timeout(DEADLINE):
            while True:
                await self.run()
                found = await self.client.get(self.ref)
                said = condition(found, condition_type) if found else None
                if said and said["status"] == "True":
                    return
                await asyncio.sleep(0.2)

    async def until_gone(self) -> None:
        """There is no cloud: what CAPO holds on to for it is let go."""
        async with asyncio.timeout(DEADLINE):
            while await self.client.get(self.ref):
                await self.run_unless_it_changed()
                for obj in await self.client.list(resources.OPENSTACK_CLUSTER, NAMESPACE):
                    if obj["metadata"].get("deletionTimestamp"):
                        await self.client.patch_finalizers(obj, [])
                await asyncio.sleep(0.2)

    async def run_unless_it_changed(self) -> None:
        """As the queue does: what fails is tried again."""
        try:
            await self.run()
        except KubeError:
            return


@pytest.mark.parametrize(("site", "reached"), [("memory", "Ready"), ("plain", "Accepted")])
async def test_life_of_a_cluster(capi_management: Management, site: str, reached: str) -> None:
    async with await KubeClient.connect(capi_management.kubeconfig) as client:
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for obj in (SITES[site], *RELEASES.values()):
            await client.apply(obj)
        manifest = cluster("pools", site, NAMESPACE, nodePools=[{"name": "cpu", "flavor": "cpu-4", "replicas": 0}])
        manifest["spec"]["controlPlane"]["replicas"] = 1
        await client.apply(manifest)
        controller = Controller(client, manifest)
        await controller.until(reached)
        await _is_left_alone(controller)

        capi = Ref("cluster.x-k8s.io/v1beta2", "Cluster", NAMESPACE, controller.ref.name)
        await client.apply({**manifest, "spec": {**manifest["spec"], "nodePools": []}})
        await controller.run()
        assert [w for w in controller.writes if w != "status"] == ["apply Cluster"]
        live = await client.get(capi)
        assert live is not None
        assert not live["spec"]["topology"].get("workers", {}).get("machineDeployments")
        assert live["spec"]["topology"]["version"] == VERSION

        await client.delete(controller.ref)
        await controller.until_gone()
        assert await client.get(capi) is None


async def _is_left_alone(controller: Controller) -> None:
    """Once Cluster API is at rest, a new start finds nothing to write."""
    async with asyncio.timeout(DEADLINE):
        await controller.run()
        while controller.writes:
            assert set(controller.writes) == {"status"}, "nothing but what Cluster API reports may be written"
            await asyncio.sleep(0.2)
            await controller.run()
