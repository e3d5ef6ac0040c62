"""Snapshots of the cache as objects: what stands in them, and copies for another namespace. Pure.

A snapshot that a claim can be born of is *sealed*: it was seen to be cut while no consumer could write. One that is to
go is *retired* first, so that no claim is born of it any more, and deleted later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaas.api.constants import GROUP
from kaas.kube import quantity
from kaas.kube.objects import Object, annotation, is_deleting, labels, metadata
from kaas.kube.resources import Resource
from kaas.volumes import terms

_GROUP: Final = "snapshot.storage.k8s.io"
SNAPSHOT: Final = Resource(_GROUP, "v1", "VolumeSnapshot", "volumesnapshots")
CONTENT: Final = Resource(_GROUP, "v1", "VolumeSnapshotContent", "volumesnapshotcontents", namespaced=False)
CLASS: Final = Resource(_GROUP, "v1", "VolumeSnapshotClass", "volumesnapshotclasses", namespaced=False)

API: Final = SNAPSHOT.api_version
ROOT: Final = f"/apis/{API}"
DIGEST: Final = f"{GROUP}/cache-digest"
"""Annotation: digest of the listing that was loaded."""
SOURCE: Final = f"{GROUP}/cache-source"
"""Annotation: URL of what was loaded, for people."""
USED: Final = f"{GROUP}/cache-used"
"""Annotation: when a claim was last born of it, RFC 3339."""
STORAGE_CLASS: Final = f"{GROUP}/cache-class"
"""Annotation: StorageClass of the volume of which it was made."""
MADE_BY: Final = f"{GROUP}/cache-made-by"
"""Annotation: uid of the claim of which it was made, and the load."""
SEALED: Final = f"{GROUP}/cache-sealed"
"""Annotation: when it was seen to be cut, before any Pod could write. Without it nobody is born of it."""
RETIRED: Final = f"{GROUP}/cache-retired"
"""Annotation: since when nobody is born of it any more, and why."""
ORIGIN_LABEL: Final = f"{GROUP}/cache-origin"
"""Label of a copy for another namespace: uid of the snapshot that it shares its content with."""
PUBLIC_LABEL: Final = f"{GROUP}/cache-public"
"""Label of a VolumeSnapshotContent, value `true`: any namespace may have it. Who owns a namespace can write whatever is
in it, a VolumeSnapshot too; contents are in none."""
DEFAULT_CLASS: Final = "snapshot.storage.kubernetes.io/is-default-class"
"""Annotation of a VolumeSnapshotClass. Source: external-snapshotter, pkg/utils."""


@dataclass(frozen=True, slots=True)
class Usable:
    """A snapshot that a claim may be born of. size: bytes that a volume needs at least; handle: the driver's name."""

    namespace: str
    name: str
    uid: str
    created: str
    size: int
    content: str


def is_public(content: Object) -> bool:
    """Whether the controller has seen that a content is of what it had loaded from a public source."""
    return labels(content).get(PUBLIC_LABEL) == "true"


def publishing(key: str) -> dict[str, str]:
    """Labels of a content that any namespace may have."""
    return {terms.CACHE_KEY_LABEL: key, PUBLIC_LABEL: "true"}


def public(contents: Iterable[Object]) -> frozenset[str]:
    """Uids of the snapshots that any namespace may have."""
    bound = (content["spec"].get("volumeSnapshotRef") or {} for content in contents if is_public(content))
    return frozenset(str(found["uid"]) for found in bound if found.get("uid"))


def belongs(content: Object, snapshot: Object) -> bool:
    """Whether a content is that of a snapshot: only the content can be believed to say so."""
    bound: Mapping[str, str] = content["spec"].get("volumeSnapshotRef") or {}
    return bool(bound.get("uid")) and bound.get("uid") == metadata(snapshot).get("uid")


def usable(snapshot: Object) -> Usable | None:
    """A VolumeSnapshot, if it is ready; None for one that is not, has failed, is not sealed, or is going."""
    status, meta = snapshot.get("status") or {}, metadata(snapshot)
    if not status.get("readyToUse") or status.get("error") or is_deleting(snapshot):
        return None
    if annotation(snapshot, SEALED) is None or annotation(snapshot, RETIRED) is not None:
        return None
    size = quantity.whole(str(status.get("restoreSize") or "0"))
    content = str(status.get("boundVolumeSnapshotContentName") or "")
    created = str(status.get("creationTime") or meta.get("creationTimestamp") or "")
    return Usable(meta["namespace"], meta["name"], meta["uid"], created, size, content)


def is_cut(snapshot: Object) -> bool:
    """Whether the driver has cut it: what is written to the volume from now on is not in it."""
    status = snapshot.get("status") or {}
    return bool(status.get("creationTime") or status.get("readyToUse"))


def error_of(snapshot: Object) -> str:
    """What the driver says of it when it cannot be made; "" when it says nothing."""
    return str(((snapshot.get("status") or {}).get("error") or {}).get("message") or "").strip()


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
    kept = {k: v for k in (DIGEST, SOURCE, STORAGE_CLASS, SEALED) if (v := annotation(origin, k)) is not None}
    kept[terms.CAME_FROM] = metadata(origin)["namespace"]
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


def is_ours(snapshot: Object) -> bool:
    """Whether the cache made it. Who backs volumes up may copy a claim's labels, that of its key too, to a snapshot."""
    return labels(snapshot).get("app.kubernetes.io/managed-by") == terms.MANAGER


def is_copy(obj: Object) -> bool:
    """Whether it only shares the content of another."""
    return ORIGIN_LABEL in labels(obj)


def _labels(key: str, origin: str) -> dict[str, str]:
    return {terms.CACHE_KEY_LABEL: key, ORIGIN_LABEL: origin, "app.kubernetes.io/managed-by": terms.MANAGER}


def class_for(driver: str, classes: list[Object]) -> str:
    """Name of the VolumeSnapshotClass for a driver: its default one, else the first; "" when there is none.

    Only those with which the driver's own snapshot goes too: with others the cache would never get smaller.
    """
    fitting = [c for c in classes if c.get("driver") == driver and c.get("deletionPolicy") == "Delete"]
    order = sorted(fitting, key=lambda c: (annotation(c, DEFAULT_CLASS) != "true", metadata(c)["name"]))
    return str(metadata(order[0])["name"]) if order else ""


def lean(obj: Object) -> Object:
    """Of a snapshot or a content of the cache, what is kept in memory."""
    meta, spec, status = metadata(obj), obj.get("spec") or {}, obj.get("status") or {}
    kept: dict[str, Any] = {k: meta[k] for k in _METADATA if k in meta}
    notes: Mapping[str, str] = meta.get("annotations") or {}
    kept["annotations"] = {k: v for k, v in notes.items() if k.startswith(f"{GROUP}/cache-")}
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": kept,
        "spec": {k: spec[k] for k in ("source", "volumeSnapshotRef") if k in spec},
        "status": {k: status[k] for k in _STATUS if k in status},
    }


def lean_class(obj: Object) -> Object:
    """Of a VolumeSnapshotClass, what is kept in memory."""
    kept = {k: metadata(obj)[k] for k in (*_METADATA, "annotations") if k in metadata(obj)}
    rest: Object = {k: obj[k] for k in ("apiVersion", "kind", "driver", "deletionPolicy") if k in obj}
    return {**rest, "metadata": kept}


_METADATA: Final = (
    *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels"),
)
_STATUS: Final = ("readyToUse", "restoreSize", "creationTime", "error", "boundVolumeSnapshotContentName")
