"""The kubelet of one machine: registers its Node with its own credentials, keeps its lease, shows static Pods.

Nothing here is said on behalf of anybody else: the Node authorizer and NodeRestriction judge every request, and a label
that a kubelet may not set is refused as on a real machine.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping

from . import deviceplugin, nodeobject
from .api import CONFLICT, NOT_FOUND, Api, ApiError, Object
from .faults import NodeFaults
from .nodeobject import Devices, NodeFacts

# kubelet's defaults: nodeLeaseDurationSeconds, a quarter of it, nodeStatusReportFrequency
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
REPORT_SECONDS = 300.0
STEP_SECONDS = 1.0
RUNTIME_START_SECONDS = 1.5
REGISTER_RETRY_SECONDS = 1.0
PODS = "/api/v1/namespaces/kube-system/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

Say = Callable[[str], None]
Readiness = Callable[[], Awaitable[Mapping[str, bool]]]


class Kubelet:
    """Runs until its task is cancelled.

    faults: what is wrong with the machine now. components: static Pods and whether each is ready.
    annotations: of the static Pods, by component. registered: set once the API server has the Node.
    devices: what the device plugin offers now, the flavor's GPUs when nothing else is said. None: it is not known yet,
      and until then there is no status.
    plugin_restarted: called when the device plugin has been restarted since it failed.
    starting: whether the machine has just booted, so that its Node is not ready for a moment.
    """

    def __init__(
        self,
        api: Api,
        facts: NodeFacts,
        *,
        faults: Callable[[], NodeFaults],
        components: Readiness,
        annotations: Mapping[str, Mapping[str, str]],
        say: Say,
        starting: bool = True,
    ) -> None:
        self._api, self._facts, self._faults, self._components = api, facts, faults, components
        self._annotations, self._say, self._starting = annotations, say, starting
        self.devices: Callable[[], Devices | None] = lambda: nodeobject.whole(facts)
        self.plugin_restarted: Callable[[], None] = lambda: None
        self.registered = asyncio.Event()
        self._uid = ""
        self._posted: object = None
        self._pods: dict[str, bool] = {}
        self._due = {"lease": 0.0, "status": 0.0}
        self._lost = ""

    async def run(self) -> None:
        """Register, then heartbeat. A Node that is deleted meanwhile stays so until the next start, as for real."""
        node = await self._register()
        self._uid = node["metadata"]["uid"]
        self.registered.set()
        if self._starting:
            self._say(f"kubelet: registered node {self._facts.name}")
        started = asyncio.get_running_loop().time()
        while True:
            ready = not self._starting or asyncio.get_running_loop().time() - started >= RUNTIME_START_SECONDS
            try:
                await self._step(ready=ready)
                self._lost = ""
            except ApiError as error:
                self._stumble(error)
            await asyncio.sleep(STEP_SECONDS)

    async def _register(self) -> Object:
        told = ""
        while True:
            try:
                return await self._create_or_adopt()
            except ApiError as error:
                if str(error) != told:
                    told = str(error)
                    self._say(f'kubelet: "Unable to register node with API server" err="{error}"')
            await asyncio.sleep(REGISTER_RETRY_SECONDS)

    async def _create_or_adopt(self) -> Object:
        path = f"/api/v1/nodes/{self._facts.name}"
        try:
            return await self._api.post("/api/v1/nodes", nodeobject.registration(self._facts))
        except ApiError as error:
            if error.status != CONFLICT:
                raise
        return await self._api.patch(path, {"metadata": {"labels": nodeobject.own_labels(self._facts)}})

    async def _step(self, *, ready: bool) -> None:
        now = asyncio.get_running_loop().time()
        faults = self._faults()
        wanted = (faults, ready, devices := self.devices())
        if devices is not None and (wanted != self._posted or now >= self._due["status"]):
            await self._report(faults, devices, ready=ready)
            self._posted, self._due["status"] = wanted, now + REPORT_SECONDS
        if now >= self._due["lease"]:
            await self._renew()
            self._due["lease"] = now + RENEW_SECONDS
        await self._show_static_pods()
        if faults.plugin is not None and await self._plugin_is_new(faults.plugin):
            self.plugin_restarted()

    async def _plugin_is_new(self, since: float) -> bool:
        """Whether the device plugin's Pod was made after that, and none from before is left."""
        pods = await self._api.get(PODS, fieldSelector=f"spec.nodeName={self._facts.name}")
        mine = [p for p in pods["items"] if deviceplugin.is_plugin(p)]
        return bool(mine) and all(deviceplugin.is_running(p) and deviceplugin.made(p) > since for p in mine)

    async def _report(self, faults: NodeFaults, devices: Devices, *, ready: bool) -> None:
        now = _now()
        path = f"/api/v1/nodes/{self._facts.name}"
        found = await self._api.get(path)
        known = found.get("status", {}).get("conditions", [])
        told = {**nodeobject.forgotten(found, devices), **devices}
        body = nodeobject.status(self._facts, faults, now, ready=ready, devices=told)
        nodeobject.transitions(body["status"]["conditions"], known, now)
        await self._api.patch(f"{path}/status", body)

    async def _renew(self) -> None:
        name = self._facts.name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": nodeobject.microtime(_now()),
        }
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": self._uid}
        try:
            await self._api.patch(f"{LEASES}/{name}", {"spec": spec})
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            await self._api.post(LEASES, {"metadata": {"name": name, "ownerReferences": [owner]}, "spec": spec})

    async def _show_static_pods(self) -> None:
        for component, ready in (await self._components()).items():
            if self._pods.get(component) == ready:
                continue
            await self._show(component, ready=ready)
            self._pods[component] = ready

    async def _show(self, component: str, *, ready: bool) -> None:
        body = nodeobject.mirror_status(self._facts, component, _now(), ready=ready)
        path = f"{PODS}/{component}-{self._facts.name}"
        if component not in self._pods:
            await self._replace_mirror(path, component)
        await self._api.patch(f"{path}/status", body)

    async def _replace_mirror(self, path: str, component: str) -> None:
        """A mirror Pod that an earlier boot left belongs to another static Pod: kubelets delete and create it."""
        pod = nodeobject.mirror_pod(self._facts, component, self._uid, self._annotations.get(component, {}))
        try:
            await self._api.post(PODS, pod)
            return
        except ApiError as error:
            if error.status != CONFLICT:
                raise
        found = await self._api.get(path)
        mark = "kubernetes.io/config.mirror"
        if found["metadata"].get("annotations", {}).get(mark) != pod["metadata"]["annotations"][mark]:
            await self._api.delete(f"{path}?gracePeriodSeconds=0")
            await self._api.post(PODS, pod)

    def _stumble(self, error: ApiError) -> None:
        """After a failure everything is posted anew: the node life-cycle controller may have changed it meanwhile."""
        self._posted, self._due["lease"] = None, 0.0
        self._pods = {}
        if str(error) != self._lost:
            self._lost = str(error)
            self._say(f'kubelet: "Error updating node status, will retry" err="{error}"')


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
