"""Snapshots of the cache as objects: what stands in them, and copies for another namespace. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kaas.api.constants import GROUP
from kaas.kube import quantity
from kaas.kube.objects import Object, annotation, is_deleting, labels, metadata
from kaas.volumes import terms

API: Final = "snapshot.storage.k8s.io/v1"
ROOT: Final = f"/apis/{API}"
DIGEST: Final = f"{GROUP}/cache-digest"
"""Annotation: digest of the listing that was loaded."""
SOURCE: Final = f"{GROUP}/cache-source"
"""Annotation: URL of what was loaded, for people."""
USED: Final = f"{GROUP}/cache-used"
"""Annotation: when a claim was last born of it, RFC 3339."""
ORIGIN_LABEL: Final = f"{GROUP}/cache-origin"
"""Label of a copy for another namespace: uid of the snapshot that it shares its content with."""
PUBLIC_LABEL: Final = f"{GROUP}/cache-public"
"""Label, value `true`: any namespace may have it."""


@dataclass(frozen=True, slots=True)
class Usable:
    """A snapshot that a claim may be born of. size: bytes that a volume needs at least; handle: the driver's name."""

    namespace: str
    name: str
    uid: str
    created: str
    size: int
    content: str


def usable(snapshot: Object) -> Usable | None:
    """A VolumeSnapshot, if it is ready; None for one that is not, has failed, or is going."""
    status, meta = snapshot.get("status") or {}, metadata(snapshot)
    if not status.get("readyToUse") or status.get("error") or is_deleting(snapshot):
        return None
    size = quantity.whole(str(status.get("restoreSize") or "0"))
    content = str(status.get("boundVolumeSnapshotContentName") or "")
    created = str(status.get("creationTime") or meta.get("creationTimestamp") or "")
    return Usable(meta["namespace"], meta["name"], meta["uid"], created, size, content)


def content_copy(content: Object, namespace: str, name: str, key: str, origin: str) -> Object:
    """A VolumeSnapshotContent of the same handle for a snapshot of another namespace.

    Its deletion leaves the handle alone: that is the origin's.
    """
    spec, handle = content["spec"], (content.get("status") or {})["snapshotHandle"]
    return {
        "apiVersion": API,
        "kind": "VolumeSnapshotContent",
        "metadata": {"name": f"{name}-{namespace}"[:253], "labels": _labels(key, origin)},
        "spec": {
            "deletionPolicy": "Retain",
            "driver": spec["driver"],
            "source": {"snapshotHandle": handle},
            "sourceVolumeMode": spec.get("sourceVolumeMode") or "Filesystem",
            "volumeSnapshotClassName": spec.get("volumeSnapshotClassName"),
            "volumeSnapshotRef": {"apiVersion": API, "kind": "VolumeSnapshot", "name": name, "namespace": namespace},
        },
    }


def snapshot_copy(origin: Object, namespace: str, name: str, key: str, content: str) -> Object:
    """The VolumeSnapshot of a copy."""
    kept = {k: v for k in (DIGEST, SOURCE) if (v := annotation(origin, k)) is not None}
    return {
        "apiVersion": API,
        "kind": "VolumeSnapshot",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": _labels(key, metadata(origin)["uid"]),
            "annotations": kept,
        },
        "spec": {"source": {"volumeSnapshotContentName": content}},
    }


def is_copy(obj: Object) -> bool:
    """Whether it only shares the content of another."""
    return ORIGIN_LABEL in labels(obj)


def _labels(key: str, origin: str) -> dict[str, str]:
    return {terms.CACHE_KEY_LABEL: key, ORIGIN_LABEL: origin, "app.kubernetes.io/managed-by": "kaas-volumes"}
