"""Restart the GPU device plugin of one node: what makes devices count again that the plugin gave up."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kaas.api.constants import GROUP
from kaas.kube.client import KubeClient
from kaas.kube.errors import Conflict
from kaas.kube.nodewatch import in_time
from kaas.kube.objects import Object, Objects, annotation, is_deleting, is_true, labels, metadata, ref_of, uid
from kaas.kube.resources import POD
from kaas.repairs.acts.cordon import Clients, node_name, node_ref, write
from kaas.repairs.acts.eviction import name_of, owner_kind
from kaas.repairs.acts.task import ActFailed, Result, Task

RESTARTED: Final = f"{GROUP}/device-plugin-restarted"
"""Annotation of a Node, JSON: `started` of the try, and the `pods` (uids) that it deletes.

When a Pod was made would say it too, but by another clock.
"""

PASS = 8.0  # seconds

# Label values of the GPU operator, of NVIDIA's chart and manifest, of AMD's, of GKE's and of Intel's. Not MIG manager:
# restarted, it would apply a geometry anew under the jobs that run.
_LABELS: Final = {
    "app": {"nvidia-device-plugin-daemonset", "nvidia-device-plugin", "nvidia-gpu-device-plugin", "intel-gpu-plugin"},
    "app.kubernetes.io/name": {"nvidia-device-plugin", "amd-gpu"},
    "name": {"nvidia-device-plugin-ds", "amdgpu-dp-ds"},
    "k8s-app": {"nvidia-gpu-device-plugin"},
}
_NAME = re.compile(r"(nvidia|gpu).*device-plugin|device-plugin.*(nvidia|gpu)")


class RestartDevicePlugin:
    """Passes of a restart: the plugin's Pods are deleted once, their DaemonSet makes new ones; done when those run."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def __call__(self, task: Task, now: datetime) -> Result:
        """Delete what was there when the try began, or see whether what came after it runs."""
        name = node_name(task)
        if name is None:
            raise ActFailed("it never joined: no device plugin runs there")
        client = await self._clients.client(task.patient.machine.cluster)
        return await in_time(PASS, f"restart the device plugin of {name}", _pass(client, name, task.started))


async def _pass(client: KubeClient, name: str, started: datetime) -> Result:
    node = await client.get(node_ref(name))
    if node is None:
        raise ActFailed(f"there is no Node {name} any more")
    pods = [p for p in await client.list(POD, field_selector=f"spec.nodeName={name}") if is_plugin(p)]
    begun = _Begun.read(node)
    if begun is None or begun.started != started.isoformat():
        _possible(node, pods)
        begun = _Begun(started.isoformat(), frozenset(uid(p) for p in pods))
        try:
            await write(client, node, {RESTARTED: begun.text()})
        except Conflict:
            return Result(False, "the Node changed meanwhile")
    return await _go_on(client, pods, begun)


def _possible(node: Object, pods: Objects) -> None:
    if not pods:
        raise ActFailed("no device plugin runs on the node")
    if not is_true(node, "Ready"):
        raise ActFailed("the kubelet is not ready: it would not start the device plugin again")


async def _go_on(client: KubeClient, pods: Objects, begun: _Begun) -> Result:
    old = [p for p in pods if uid(p) in begun.pods]
    for pod in old:
        if not is_deleting(pod):
            try:
                await client.delete(ref_of(pod), uid=uid(pod))
            except Conflict:  # it is gone, and the new one has its name
                continue
    new = [p for p in pods if uid(p) not in begun.pods and not is_deleting(p)]
    if old:
        return Result(False, f"{', '.join(map(name_of, old))} is being restarted")
    if not new or not all(is_true(p, "Ready") for p in new):
        return Result(False, "waits for the new device plugin to run")
    return Result(True, f"restarted, {', '.join(map(name_of, new))} runs")


def is_plugin(pod: Object) -> bool:
    """Whether it is the device plugin of GPUs: a Pod of a DaemonSet whose labels or name say so."""
    if owner_kind(pod) != "DaemonSet":
        return False
    said = labels(pod)
    if any(said.get(key) in values for key, values in _LABELS.items()):
        return True
    return any(_NAME.search(str(owner.get("name"))) for owner in metadata(pod)["ownerReferences"])


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a try has said that it does, before it did it."""

    started: str
    pods: frozenset[str]

    def text(self) -> str:
        return json.dumps({"started": self.started, "pods": sorted(self.pods)}, separators=(",", ":"))

    @classmethod
    def read(cls, node: Object) -> _Begun | None:
        try:
            said = json.loads(annotation(node, RESTARTED) or "")
            return cls(str(said["started"]), frozenset(said["pods"]))
        except (ValueError, TypeError, KeyError):
            return None
