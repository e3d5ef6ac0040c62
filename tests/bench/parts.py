"""Objects of Cluster API and CAPO as they are stored: with conditions of both contracts, and who manages what."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kaas.api.constants import LABEL_CLUSTER
from kaas.kube.objects import Object, owner_reference

SINCE = "2026-01-05T08:00:00Z"
CORE = "cluster.x-k8s.io/v1beta2"
CONTROL_PLANE = "controlplane.cluster.x-k8s.io/v1beta2"
INFRASTRUCTURE = "infrastructure.cluster.x-k8s.io/v1beta1"
SERVERS = "infrastructure.cluster.x-k8s.io/v1alpha1"
CLUSTER_NAME = "cluster.x-k8s.io/cluster-name"

# Conditions that Cluster API 1.14 keeps on each kind; those of a negative kind are False while all is well.
CLUSTER_CONDITIONS = (
    *("Available", "TopologyReconciled", "RemoteConnectionProbe", "InfrastructureReady", "ControlPlaneInitialized"),
    *("ControlPlaneAvailable", "ControlPlaneMachinesReady", "ControlPlaneMachinesUpToDate"),
    *("WorkersAvailable", "WorkerMachinesReady", "WorkerMachinesUpToDate"),
)
CONTROL_PLANE_CONDITIONS = (
    *("Available", "Initialized", "MachinesReady", "MachinesUpToDate", "CertificatesAvailable", "EtcdClusterHealthy"),
    *("ControlPlaneComponentsHealthy",),
)
MACHINE_CONDITIONS = (
    *("Available", "Ready", "UpToDate", "BootstrapConfigReady", "InfrastructureReady", "NodeReady", "NodeHealthy"),
    *("HealthCheckSucceeded",),
)
NEGATIVE = ("ScalingUp", "ScalingDown", "RollingOut", "Remediating", "Deleting", "Paused")


def condition(name: str, status: str = "True", message: str = "") -> Object:
    """A condition of the newer contract."""
    reason = name if status == "True" else f"Not{name}"
    return {
        "type": name,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": SINCE,
        "observedGeneration": 1,
    }


def _conditions(positive: Iterable[str]) -> list[Object]:
    return [*(condition(n) for n in positive), *(condition(n, "False") for n in NEGATIVE)]


def _older(names: Iterable[str]) -> Object:
    """Conditions of the older contract, which Cluster API still keeps beside the new ones."""
    found = [{"type": n, "status": "True", "lastTransitionTime": SINCE} for n in names]
    return {"v1beta1": {"conditions": found}}


def managed(manager: str, api_version: str, fields: Any, subresource: str = "") -> Object:
    """An entry of managedFields for all fields of `fields`: a third of an object's size on the wire."""
    entry: Object = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": api_version,
        "time": SINCE,
        "fieldsType": "FieldsV1",
        "fieldsV1": _fields(fields),
    }
    return entry | ({"subresource": subresource} if subresource else {})


def _fields(value: Any) -> Object:
    if isinstance(value, dict):
        return {f"f:{k}": _fields(v) for k, v in value.items()}
    if isinstance(value, list):
        named = [v for v in value if isinstance(v, dict) and ("name" in v or "type" in v)]
        return {f'k:{{"{_key(v)}":"{v[_key(v)]}"}}': {".": {}, **_fields(v)} for v in named}
    return {}


def _key(item: Mapping[str, Any]) -> str:
    return "name" if "name" in item else "type"


def stored(obj: Object, manager: str, uid: str | None = None) -> Object:
    """The object as it is stored: with what the API server adds. `uid`: by default made from kind and name."""
    named = f"{obj['kind']}.{obj['metadata']['name']}"
    fields = {"metadata": {"labels": obj["metadata"].get("labels") or {}}, "spec": obj.get("spec") or {}}
    entries = [managed(manager, obj["apiVersion"], fields)]
    if obj.get("status"):
        entries.append(managed("manager", obj["apiVersion"], {"status": obj["status"]}, "status"))
    meta = {
        "uid": uid or str(uuid.uuid5(uuid.NAMESPACE_DNS, named)),
        "generation": 1,
        "creationTimestamp": SINCE,
        **obj["metadata"],
        "managedFields": entries,
    }
    return {**obj, "metadata": meta}


def _of(capi: Object, api_version: str, kind: str, suffix: str, labels: Mapping[str, str], **content: Object) -> Object:
    """An object that belongs to a Cluster API Cluster, stored."""
    name = capi["metadata"]["name"]
    meta = {
        "name": f"{name}-{suffix}",
        "namespace": capi["metadata"]["namespace"],
        "labels": {CLUSTER_NAME: name, "topology.cluster.x-k8s.io/owned": "", LABEL_CLUSTER: name, **labels},
        "annotations": {"cluster.x-k8s.io/cloned-from-name": "kaas-openstack-template"},
        "ownerReferences": [owner_reference(capi)],
        "finalizers": [f"{kind.lower()}.cluster.x-k8s.io"],
    }
    return stored({"apiVersion": api_version, "kind": kind, "metadata": meta, **content}, "manager")


def capi_cluster(applied: Object) -> Object:
    """The Cluster API Cluster that we applied, observed and available."""
    status = {
        "conditions": _conditions(CLUSTER_CONDITIONS),
        "deprecated": _older(("Ready", "ControlPlaneInitialized", "ControlPlaneReady", "InfrastructureReady")),
        "initialization": {"controlPlaneInitialized": True, "infrastructureProvisioned": True},
        "controlPlane": {"replicas": 3, "readyReplicas": 3, "availableReplicas": 3, "upToDateReplicas": 3},
        "workers": {"replicas": 7, "readyReplicas": 7, "availableReplicas": 7, "upToDateReplicas": 7},
        "phase": "Provisioned",
        "observedGeneration": 1,
    }
    spec = {**applied["spec"], "controlPlaneEndpoint": {"host": "203.0.113.17", "port": 6443}}
    meta = {**applied["metadata"], "finalizers": ["cluster.cluster.x-k8s.io"]}
    return stored({**applied, "metadata": meta, "spec": spec, "status": status}, "kaas")


def infrastructure(capi: Object) -> Object:
    """The OpenStackCluster."""
    network = {"id": str(uuid.uuid4()), "name": f"k8s-clusterapi-cluster-default-{capi['metadata']['name']}"}
    rules = [{"name": f"rule-{n}", "direction": "ingress", "remoteIPPrefix": "0.0.0.0/0"} for n in range(12)]
    groups = {n: {"id": str(uuid.uuid4()), "name": n, "rules": rules} for n in ("controlPlane", "worker")}
    status = {
        "ready": True,
        "network": {**network, "subnets": [network], "tags": ["kaas"]},
        "router": network,
        "apiServerLoadBalancer": {**network, "ip": "203.0.113.17", "internalIP": "10.6.0.5"},
        "securityGroups": groups,
        "failureDomains": {f"az-{n}": {"controlPlane": True} for n in (1, 2, 3)},
        "conditions": [condition("Ready")],
    }
    spec = {
        "identityRef": {"name": "kaas-fleet", "cloudName": "openstack"},
        "managedSubnets": [{"cidr": "10.6.0.0/24"}],
        "controlPlaneEndpoint": {"host": "203.0.113.17", "port": 6443},
    }
    return _of(capi, INFRASTRUCTURE, "OpenStackCluster", "infra", {}, spec=spec, status=status)


def control_plane(capi: Object, replicas: int) -> Object:
    """The KubeadmControlPlane."""
    arguments = [{"name": f"argument-{n}", "value": "value"} for n in range(8)]
    kubeadm = {
        "clusterConfiguration": {"apiServer": {"extraArgs": arguments}},
        "initConfiguration": {"nodeRegistration": {"kubeletExtraArgs": arguments}},
        "joinConfiguration": {"nodeRegistration": {"kubeletExtraArgs": arguments}},
    }
    version = capi["spec"]["topology"]["version"]
    template = {"spec": {"infrastructureRef": {"kind": "OpenStackMachineTemplate", "name": "template"}}}
    spec = {"replicas": replicas, "version": version, "kubeadmConfigSpec": kubeadm, "machineTemplate": template}
    status = {
        **_counts(replicas),
        "version": version,
        "initialization": {"controlPlaneInitialized": True},
        "conditions": _conditions(CONTROL_PLANE_CONDITIONS),
        "deprecated": _older(("Ready", "Available", "CertificatesAvailable", "MachinesReady")),
    }
    return _of(capi, CONTROL_PLANE, "KubeadmControlPlane", "cp", {}, spec=spec, status=status)


def deployment(capi: Object, pool: str, replicas: int) -> Object:
    """The MachineDeployment of a pool."""
    machine = {"clusterName": capi["metadata"]["name"], "version": capi["spec"]["topology"]["version"]}
    status = {
        **_counts(replicas),
        "conditions": _conditions(("Available", "MachinesReady", "MachinesUpToDate")),
        "deprecated": _older(("Ready", "Available")),
    }
    spec = {"replicas": replicas, "clusterName": machine["clusterName"], "template": {"spec": machine}}
    labels = {"kaas.internal/pool": pool, "topology.cluster.x-k8s.io/deployment-name": pool}
    return _of(capi, CORE, "MachineDeployment", pool, labels, spec=spec, status=status)


def _counts(replicas: int) -> Object:
    names = ("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas")
    return {"selector": CLUSTER_NAME, "observedGeneration": 1, **dict.fromkeys(names, replicas)}


def machine(capi: Object, suffix: str, labels: Mapping[str, str]) -> Iterator[Object]:
    """A Machine, its OpenStackMachine and its OpenStackServer."""
    server = str(uuid.uuid4())
    addresses = [{"type": "InternalIP", "address": "10.6.0.23"}, {"type": "InternalDNS", "address": suffix}]
    yield _of(capi, CORE, "Machine", suffix, labels, **_machine(capi, suffix, server, addresses))
    spec = {
        "flavor": "m1.large",
        "image": {"filter": {"name": "ubuntu-2404-kube-v1.36.1"}},
        "providerID": f"openstack:///{server}",
        "identityRef": {"name": "kaas-fleet", "cloudName": "openstack"},
    }
    ready = [condition("InstanceReady"), condition("Ready")]
    status = {"ready": True, "instanceID": server, "instanceState": "ACTIVE", "addresses": addresses}
    resolved = {"resolved": {"imageID": server, "flavorID": server, "ports": [{"name": suffix, "networkID": server}]}}
    made = {**status, **resolved, "conditions": ready}
    yield _of(capi, INFRASTRUCTURE, "OpenStackMachine", suffix, labels, spec=spec, status=made)
    yield _of(capi, SERVERS, "OpenStackServer", suffix, labels, spec=spec, status=made)


def _machine(capi: Object, suffix: str, server: str, addresses: list[Object]) -> Object:
    name = capi["metadata"]["name"]
    info = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion")
    spec = {
        "clusterName": name,
        "version": capi["spec"]["topology"]["version"],
        "providerID": f"openstack:///{server}",
        "failureDomain": "az-1",
        "bootstrap": {"dataSecretName": suffix, "configRef": {"kind": "KubeadmConfig", "name": suffix}},
        "infrastructureRef": {"kind": "OpenStackMachine", "name": f"{name}-{suffix}"},
    }
    status = {
        "phase": "Running",
        "nodeRef": {"name": f"{name}-{suffix}"},
        "addresses": addresses,
        "nodeInfo": {**dict.fromkeys(info, server), "kubeletVersion": spec["version"]},
        "initialization": {"bootstrapDataSecretCreated": True, "infrastructureProvisioned": True},
        "conditions": [*(condition(n) for n in MACHINE_CONDITIONS), *(condition(n, "False") for n in NEGATIVE[-2:])],
        "deprecated": _older(("Ready", "BootstrapReady", "InfrastructureReady", "NodeHealthy")),
    }
    return {"spec": spec, "status": status}
