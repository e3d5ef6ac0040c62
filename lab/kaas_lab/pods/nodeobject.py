"""The Node object of a played node, its lease and its CSINode. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from kaas_lab.machines.api import Object

from .podstatus import stamp
from .volumes import DRIVER

LEASE_SECONDS = 10
CAPACITY = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "200Gi", "pods": "500"}
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
KUBELET_VERSION = "v1.36.3"
_HEALTHY = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}


@dataclass(frozen=True)
class NodeSpec:
    """One played node. capacity: of cpu, memory, pods, and whatever else Pods may ask for, as `nvidia.com/gpu`."""

    name: str
    zone: str = "zone-1"
    labels: Mapping[str, str] = field(default_factory=dict)
    capacity: Mapping[str, str] = field(default_factory=lambda: dict(CAPACITY))
    taints: tuple[Mapping[str, str], ...] = ()


def registration(spec: NodeSpec) -> Object:
    """The Node as its kubelet creates it."""
    labels = {
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        ZONE: spec.zone,
        REGION: "lab",
        **spec.labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": spec.name, "labels": labels},
        "spec": {"taints": list(spec.taints)} if spec.taints else {},
    }


def status(spec: NodeSpec, address: str, port: int, now: dt.datetime) -> Object:
    """Its status while it is well. port: of its kubelet's API."""
    capacity = {**CAPACITY, **spec.capacity}
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": spec.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": {
            "machineID": spec.name,
            "systemUUID": spec.name,
            "bootID": spec.name,
            "kernelVersion": "lab",
            "osImage": "lab",
            "containerRuntimeVersion": "lab://1",
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
        "conditions": [
            {
                "type": kind,
                "status": value,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": stamp(now),
                "lastTransitionTime": stamp(now),
            }
            for kind, (value, reason, message) in _HEALTHY.items()
        ],
    }


def lease(name: str, uid: str, now: dt.datetime) -> Object:
    """The Node's lease."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": "kube-node-lease",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}],
        },
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


def csi_node(name: str, uid: str) -> Object:
    """The CSINode, by which the scheduler knows that the node has the driver."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSINode",
        "metadata": {"name": name, "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]},
        "spec": {"drivers": [{"name": DRIVER, "nodeID": name, "topologyKeys": [ZONE]}]},
    }
