"""A played node: registers itself, keeps its lease, and has a worker for each Pod that the scheduler gives it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from kaas_lab.machines.api import CONFLICT, ApiError, Object

from . import nodeobject
from .attachments import Attachments
from .client import Client
from .making import Making
from .nodeobject import NodeSpec
from .times import now
from .volumes import Stores, claim_name
from .worker import OVER, Place, Worker

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
BEAT_SECONDS = 2.0
RETRY_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Site:
    """What the nodes of a lab share. pods, volumes: directories."""

    pods: Path
    volumes: Path
    making: Making
    attachments: Attachments


class Node:
    """One node. number: of its Pods' addresses. port: of its kubelet's API at 127.0.0.1."""

    def __init__(self, client: Client, spec: NodeSpec, site: Site, number: int, port: int) -> None:
        self.spec, self.port = spec, port
        self.workers: dict[str, Worker] = {}
        self._client, self._site, self._number, self._count = client, site, number, 0
        self._releases: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(
                self._client.follow("/api/v1/pods", self._seen, fieldSelector=f"spec.nodeName={self.spec.name}")
            )

    async def _beat(self) -> None:
        uid = ""
        while True:
            try:
                uid = uid or await self._register()
                await self._renew(uid)
            except ApiError as error:
                log.warning("node %s: %s", self.spec.name, error)
                uid = ""  # the node life-cycle controller has its own word about one that was away
            await asyncio.sleep(BEAT_SECONDS)

    async def _register(self) -> str:
        name = self.spec.name
        await self._client.create("/api/v1/nodes", nodeobject.registration(self.spec))
        status = nodeobject.status(self.spec, "127.0.0.1", self.port, now())
        found = await self._client.patch(f"/api/v1/nodes/{name}/status", {"status": status})
        uid = str(found["metadata"]["uid"])
        await self._client.create("/apis/storage.k8s.io/v1/csinodes", nodeobject.csi_node(name, uid))
        log.info("node %s is registered", name)
        return uid

    async def _renew(self, uid: str) -> None:
        lease = nodeobject.lease(self.spec.name, uid, now())
        try:
            await self._client.post(LEASES, lease)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            await self._client.patch(f"{LEASES}/{self.spec.name}", {"spec": lease["spec"]})

    async def _seen(self, event: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        worker = self.workers.get(uid)
        if event == "DELETED":
            if worker:
                del self.workers[uid]
                worker.gone()
        elif worker:
            worker.updated(pod)
        elif pod.get("status", {}).get("phase") not in OVER or "deletionTimestamp" in pod["metadata"]:
            self._begin(pod)

    def _begin(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        self._count += 1
        address = f"10.244.{self._number}.{self._count % 254 + 1}"
        stores = Stores(self._site.volumes, self._site.pods / uid)
        place = Place(self.spec.name, "127.0.0.1", stores, self._site.making, self._mount)
        worker = self.workers[uid] = Worker(self._client, pod, place, address)
        task = asyncio.create_task(self._release(uid, worker))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _release(self, uid: str, worker: Worker) -> None:
        try:
            await worker.ended()
        except Exception:
            log.exception("node %s: Pod %s", self.spec.name, worker.path)
        finally:
            self._site.attachments.release(self.spec.name, uid)

    async def _mount(self, pod: Object) -> None:
        """Attach the Pod's volumes. Raises NotReady."""
        for volume in pod["spec"].get("volumes") or ():
            if claim := claim_name(pod, volume):
                await self._attach(pod, claim)

    async def _attach(self, pod: Object, claim: str) -> None:
        namespace = pod["metadata"]["namespace"]
        found = await self._client.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}")
        name = found["spec"].get("volumeName") if found else None
        volume = await self._client.find(f"/api/v1/persistentvolumes/{name}") if name else None
        if volume is not None:
            self._site.attachments.hold(volume, self.spec.name, pod["metadata"]["uid"])
