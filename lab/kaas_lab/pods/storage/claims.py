"""What the provisioner makes of a claim: whether it is its turn, and the volume. Pure.

After external-provisioner (pkg/controller/controller.go): the claim's annotations say whose turn it is.
"""

from __future__ import annotations

from kaas_lab.machines.api import Object

from ..environment import quantity
from ..nodeobject import ZONE
from ..volumes import DRIVER

PROVISIONER = "volume.kubernetes.io/storage-provisioner"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SNAPSHOT_GROUP = "snapshot.storage.k8s.io"


def is_ours(claim: Object, storage_class: Object) -> bool:
    """Whether the driver is to make a volume for a claim now."""
    annotations = claim["metadata"].get("annotations") or {}
    if claim["spec"].get("volumeName") or "deletionTimestamp" in claim["metadata"]:
        return False
    if annotations.get(PROVISIONER) != DRIVER:
        return False
    waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
    return not waits or bool(annotations.get(SELECTED_NODE))


def volume_name(claim: Object) -> str:
    """Name of the claim's volume, and its handle at the driver."""
    return f"pvc-{claim['metadata']['uid']}"


def size(claim: Object) -> int:
    """Bytes that a claim asks for."""
    return int(quantity(str(claim["spec"]["resources"]["requests"]["storage"])))


def origin(claim: Object) -> Object | None:
    """What a claim's volume is to be born from: its dataSourceRef, else its dataSource."""
    spec = claim["spec"]
    found: Object | None = spec.get("dataSourceRef") or spec.get("dataSource")
    return found


def volume(claim: Object, storage_class: Object, zone: str | None) -> Object:
    """The PersistentVolume. zone: the only one from which it can be reached; None for all."""
    metadata = claim["metadata"]
    name = volume_name(claim)
    spec: Object = {
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "accessModes": claim["spec"]["accessModes"],
        "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
        "storageClassName": storage_class["metadata"]["name"],
        "csi": {"driver": DRIVER, "volumeHandle": name, "fsType": "ext4"},
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
    }
    if zone:
        term = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: DRIVER}},
        "spec": spec,
    }


def is_to_be_deleted(volume: Object) -> bool:
    """Whether a volume of ours was released and its class has it deleted."""
    annotations = volume["metadata"].get("annotations") or {}
    return (
        annotations.get(PROVISIONED_BY) == DRIVER
        and volume.get("status", {}).get("phase") == "Released"
        and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    )
