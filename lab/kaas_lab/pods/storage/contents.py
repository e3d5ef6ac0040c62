"""VolumeSnapshots and their contents as snapshot-controller and csi-snapshotter write them. Pure.

After kubernetes-csi/external-snapshotter (pkg/common-controller, pkg/sidecar-controller).
"""

from __future__ import annotations

import datetime as dt

from kaas_lab.machines.api import Object

from ..podstatus import stamp
from ..volumes import DRIVER

API = "snapshot.storage.k8s.io/v1"
BOUND = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"
AS_SOURCE = "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection"
CONTENT_BOUND = "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"


def content(snapshot: Object, snapshot_class: Object, volume: Object) -> Object:
    """The content of a snapshot of a volume that is to be made."""
    metadata = snapshot["metadata"]
    return {
        "apiVersion": API,
        "kind": "VolumeSnapshotContent",
        "metadata": {"name": f"snapcontent-{metadata['uid']}", "finalizers": [CONTENT_BOUND]},
        "spec": {
            "deletionPolicy": snapshot_class["deletionPolicy"],
            "driver": DRIVER,
            "source": {"volumeHandle": volume["spec"]["csi"]["volumeHandle"]},
            "sourceVolumeMode": volume["spec"].get("volumeMode", "Filesystem"),
            "volumeSnapshotClassName": snapshot_class["metadata"]["name"],
            "volumeSnapshotRef": {
                "apiVersion": API,
                "kind": "VolumeSnapshot",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        },
    }


def handle(content: Object) -> str:
    """The snapshot's handle at the driver."""
    given = content["spec"]["source"].get("snapshotHandle")
    name = str(content["metadata"]["name"])
    return str(given or f"snapshot-{name.removeprefix('snapcontent-')}")


def ready(content: Object, size: int, now: dt.datetime) -> Object:
    """Status of a content whose snapshot is made. size: bytes that a volume of it has at least."""
    return {
        "snapshotHandle": handle(content),
        "readyToUse": True,
        "restoreSize": size,
        "creationTime": int(now.timestamp() * 1e9),
        "error": None,
    }


def failed(message: str, now: dt.datetime) -> Object:
    """Status of a content or a snapshot that could not be made."""
    return {"readyToUse": False, "error": {"message": message, "time": stamp(now)}}


def bound(content: Object) -> Object:
    """Status of the VolumeSnapshot that has this content."""
    status = content.get("status") or {}
    found: Object = {
        "boundVolumeSnapshotContentName": content["metadata"]["name"],
        "readyToUse": bool(status.get("readyToUse")),
        "error": status.get("error"),
    }
    if "restoreSize" in status:
        found["restoreSize"] = binary(status["restoreSize"])
    if "creationTime" in status:
        found["creationTime"] = stamp(dt.datetime.fromtimestamp(status["creationTime"] / 1e9, dt.UTC))
    return found


def binary(size: int) -> str:
    """Bytes as Kubernetes writes a quantity in binary units: `1Gi`, and `1025` for what is no whole number of them."""
    suffixes = ["", "Ki", "Mi", "Gi", "Ti"]
    while size and size % 1024 == 0 and len(suffixes) > 1:
        size //= 1024
        suffixes.pop(0)
    return f"{size}{suffixes[0]}"


def refers(content: Object, snapshot: Object) -> bool:
    """Whether a content is meant for a VolumeSnapshot: by its name, and by its uid when it has one."""
    reference, metadata = content["spec"]["volumeSnapshotRef"], snapshot["metadata"]
    named = (reference.get("namespace"), reference.get("name")) == (metadata["namespace"], metadata["name"])
    return named and reference.get("uid") in {None, "", metadata["uid"]}


def without(item: Object, finalizers: set[str]) -> list[str]:
    """Finalizers of an object but for some."""
    return [f for f in item["metadata"].get("finalizers") or () if f not in finalizers]
