"""Objects of the driver that are there from the start: the CSIDriver, its StorageClasses and snapshot class. Pure."""

from __future__ import annotations

from kaas_lab.machines.api import Object

from ..volumes import DRIVER

IMMEDIATE, WAIT, SHARED, SMALL = "lab-immediate", "lab-wait", "lab-rwx", "lab-small"
SNAPSHOTS = "lab-snapshots"
FILESYSTEM = "filesystem"
"""Parameter of a class: `tmpfs` has the volume enforce its size, where this machine lets us mount one."""


def documents() -> list[tuple[str, Object]]:
    """Path of the collection, and the object."""
    classes = [
        _storage_class(IMMEDIATE, binding="Immediate"),
        _storage_class(WAIT, binding="WaitForFirstConsumer"),
        _storage_class(SHARED, binding="Immediate"),
        _storage_class(SMALL, binding="Immediate", parameters={FILESYSTEM: "tmpfs"}),
    ]
    driver = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {
            "attachRequired": False,
            "podInfoOnMount": False,
            "fsGroupPolicy": "File",
            "volumeLifecycleModes": ["Persistent"],
        },
    }
    storage = "/apis/storage.k8s.io/v1"
    snapshots = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses", snapshot_class()
    return [(f"{storage}/csidrivers", driver), *((f"{storage}/storageclasses", one) for one in classes), snapshots]


def _storage_class(name: str, *, binding: str, parameters: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": DRIVER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": binding,
        "allowVolumeExpansion": False,
        "parameters": parameters or {},
    }


def snapshot_class() -> Object:
    """The VolumeSnapshotClass."""
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotClass",
        "metadata": {"name": SNAPSHOTS},
        "driver": DRIVER,
        "deletionPolicy": "Delete",
    }
