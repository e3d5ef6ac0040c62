"""The Node that a machine's kubelet registers and keeps: its first form, and its status. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .controlplane import KUBELET_PORT
from .faults import NodeFaults
from .nova import Flavor

Object = dict[str, Any]
Devices = Mapping[str, tuple[int, int]]
"""GPUs, or slices of them, by resource: how many there are, and how many can be had."""
GPU = "nvidia.com/gpu"
UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
MAX_PODS = 110  # kubelet's default
RESERVED_MEMORY_MIB = 100  # kubelet's default hard eviction threshold
RUNTIME = "containerd://2.1.4"
OWN_CONDITIONS = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}
STARTING = ("False", "KubeletNotReady", "container runtime status check may not have completed yet")


@dataclass(frozen=True)
class NodeFacts:
    """What a kubelet knows about its machine. `version` is that of the machine's image."""

    name: str
    server: str
    address: str
    version: str
    boot_id: str
    flavor: Flavor
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, str], ...] = ()
    provider_id: str = ""
    external_cloud: bool = False
    max_pods: int = MAX_PODS


def registration(facts: NodeFacts) -> Object:
    """The Node as a kubelet creates it."""
    taints: list[Mapping[str, str]] = list(facts.taints)
    if facts.external_cloud:
        taints.append({"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"})
    spec: Object = {"taints": taints} if taints else {}
    if facts.provider_id:
        spec["providerID"] = facts.provider_id
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": facts.name,
            "labels": {**own_labels(facts), **facts.labels},
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": spec,
    }


def own_labels(facts: NodeFacts) -> dict[str, str]:
    """Labels that a kubelet sets by itself, and again when it starts."""
    return {
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
    }


def status(
    facts: NodeFacts, faults: NodeFaults, now: dt.datetime, *, ready: bool, devices: Devices | None = None
) -> Object:
    """A patch of the Node's status; `ready` is False right after a start, while the container runtime comes up.

    devices: None for the flavor's GPUs as they are.
    """
    found = whole(facts) if devices is None else devices
    return {
        "status": {
            "capacity": resources(facts) | {name: str(there) for name, (there, _) in found.items()},
            "allocatable": allocatable(facts, faults, found),
            "conditions": conditions(faults, now, ready=ready),
            "addresses": [
                {"type": "InternalIP", "address": facts.address},
                {"type": "Hostname", "address": facts.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": {
                "machineID": facts.server.replace("-", ""),
                "systemUUID": facts.server,
                "bootID": facts.boot_id,
                "kernelVersion": "6.8.0-generic",
                "osImage": "Ubuntu 24.04 LTS",
                "containerRuntimeVersion": RUNTIME,
                "kubeletVersion": facts.version,
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        }
    }


def whole(facts: NodeFacts) -> Devices:
    """The flavor's GPUs, none of them divided."""
    return {GPU: (facts.flavor.gpus, facts.flavor.gpus)} if facts.flavor.gpus else {}


def forgotten(found: Mapping[str, Any], devices: Devices) -> Devices:
    """Devices that a Node's status still speaks of: a kubelet says of them that there are none."""
    old = (found.get("status") or {}).get("capacity") or {}
    return {name: (0, 0) for name in old if name.startswith("nvidia.com/") and name not in devices}


def resources(facts: NodeFacts) -> dict[str, str]:
    """Capacity of the flavor, without its GPUs."""
    return {
        "cpu": str(facts.flavor.vcpus),
        "memory": f"{facts.flavor.ram}Mi",
        "ephemeral-storage": f"{facts.flavor.disk}Gi",
        "pods": str(facts.max_pods),
    }


def allocatable(facts: NodeFacts, faults: NodeFaults, devices: Devices) -> dict[str, str]:
    """Capacity less what the kubelet keeps, and less the devices that a fault took away."""
    found = resources(facts) | {"memory": f"{max(facts.flavor.ram - RESERVED_MEMORY_MIB, 0)}Mi"}
    missing = faults.missing_gpus
    for name, (_, free) in sorted(devices.items()):
        lost = min(missing, free)
        missing -= lost
        found[name] = str(free - lost)
    return found


def conditions(faults: NodeFaults, now: dt.datetime, *, ready: bool) -> list[Object]:
    """The kubelet's own conditions, and those that faults set, which win."""
    wanted = dict(OWN_CONDITIONS)
    if not ready:
        wanted["Ready"] = STARTING
    for fault in faults.conditions:
        wanted[fault.condition] = (fault.status, fault.reason, fault.message)
    stamp = timestamp(now)
    return [
        {"type": kind, "status": state, "reason": reason, "message": message, "lastHeartbeatTime": stamp}
        for kind, (state, reason, message) in wanted.items()
    ]


def transitions(wanted: list[Object], found: Sequence[Mapping[str, Any]], now: dt.datetime) -> list[Object]:
    """Add to each condition when its status changed last, given those that the Node has."""
    before = {c["type"]: c for c in found}
    stamp = timestamp(now)
    for condition in wanted:
        old = before.get(condition["type"], {})
        same = old.get("status") == condition["status"]
        condition["lastTransitionTime"] = old.get("lastTransitionTime", stamp) if same else stamp
    return wanted


def mirror_pod(facts: NodeFacts, component: str, uid: str, annotations: Mapping[str, str]) -> Object:
    """A static Pod as its kubelet shows it to the API server; `uid` is the Node's."""
    digest = hashlib.sha256(f"{facts.server}/{facts.boot_id}/{component}".encode()).hexdigest()[:32]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{component}-{facts.name}",
            "namespace": "kube-system",
            "labels": {"component": component, "tier": "control-plane"},
            "annotations": {
                "kubernetes.io/config.hash": digest,
                "kubernetes.io/config.mirror": digest,
                "kubernetes.io/config.source": "file",
                **annotations,
            },
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": facts.name, "uid": uid, "controller": True}
            ],
        },
        "spec": {
            "nodeName": facts.name,
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
            "containers": [{"name": component, "image": f"registry.k8s.io/{component}:{facts.version}"}],
        },
    }


def mirror_status(facts: NodeFacts, component: str, now: dt.datetime, *, ready: bool) -> Object:
    """Status of a static Pod whose process runs and answers, or does not."""
    stamp, state = timestamp(now), "True" if ready else "False"
    return {
        "status": {
            "phase": "Running",
            "hostIP": facts.address,
            "podIP": facts.address,
            "startTime": stamp,
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": stamp}
                for kind, value in (
                    ("PodReadyToStartContainers", "True"),
                    ("Initialized", "True"),
                    ("PodScheduled", "True"),
                    ("ContainersReady", state),
                    ("Ready", state),
                )
            ],
            "containerStatuses": [
                {
                    "name": component,
                    "image": f"registry.k8s.io/{component}:{facts.version}",
                    "imageID": "",
                    "ready": ready,
                    "started": ready,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": stamp}},
                }
            ],
        }
    }


def timestamp(now: dt.datetime) -> str:
    """A time as Kubernetes writes it, in UTC."""
    return now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def microtime(now: dt.datetime) -> str:
    """A time as leases carry it, in UTC."""
    return now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
