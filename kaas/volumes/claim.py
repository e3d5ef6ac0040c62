"""A PersistentVolumeClaim as loads see it: what it asks for, what it is, and whether its data is there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from kaas.api.constants import GROUP
from kaas.kube.objects import Object, annotation, condition, is_deleting, metadata, name_of, uid
from kaas.kube.times import at
from kaas.volumes import terms
from kaas.volumes.annotations import Fault, Request, Spec, request_of
from kaas.volumes.identity import Load, token_of
from kaas.volumes.reasons import FINAL

Key = tuple[str, str]
"""Namespace and name of a claim."""

DATA_SOURCE: Final = "DataSource"
"""Kind of our group that a claim may name as its source: it is filled before it is bound."""
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
"""Annotation by which the scheduler says where a volume is to be made. Source: k8s.io/component-helpers/storage."""
RWX: Final = "ReadWriteMany"
RWOP: Final = "ReadWriteOncePod"
WRITABLE: Final = frozenset({"ReadWriteOnce", RWX, RWOP})
_NEVER: Final[Mapping[str, Any]] = MappingProxyType({})


class Phase(StrEnum):
    """Phase of a claim, as the volume binder writes it."""

    PENDING = "Pending"
    BOUND = "Bound"
    LOST = "Lost"


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    storage_class: None when it was left out, "" for volumes made by hand. faults: of annotations, and of what the
    claim is. condition: ours as it stands, empty when it was never written. origin: VolumeSnapshot that it is born of,
    data_source: DataSource that fills it before it is bound, "" for none. foreign: whether its volume comes with
    content that nobody of its namespace vouches for; came_from: namespace where that was made, "" when it is not said.
    missed: why it is born of no snapshot. fresh: whether no Pod but loaders' has had its volume yet, as far as the
    webhook and we know. node: for which its volume is to be made, "" while no scheduler has said so.
    """

    key: Key
    uid: str
    request: Request
    phase: Phase
    created: datetime
    storage_class: str | None = None
    volume: str = ""
    deleting: bool = False
    faults: tuple[Fault, ...] = ()
    condition: Mapping[str, Any] = field(default_factory=lambda: _NEVER)
    origin: str = ""
    data_source: str = ""
    foreign: bool = False
    came_from: str = ""
    missed: str = ""
    fresh: bool = False
    node: str = ""

    @property
    def spec(self) -> Spec | None:
        """What is to be loaded; None for a claim without annotations, and for one with faults."""
        return None if self.faults else self.request.spec

    @property
    def load(self) -> Load | None:
        """The load that it asks for; None when there is no spec."""
        spec = self.spec
        return Load.of(self.uid, spec.id, spec.digest()) if spec else None

    @property
    def told(self) -> Load | None:
        """The load that its condition speaks of; None when it speaks of none."""
        return Load.named_in(str(self.condition.get("message") or ""))

    @property
    def loaded(self) -> bool:
        """Whether the data of its `load-id` is there. Other annotations may have changed since: that loads nothing."""
        told = self.told
        if self.condition.get("status") != "True" or told is None or self.request.id is None:
            return False
        return told.token == token_of(self.uid, self.request.id)

    @property
    def failed(self) -> bool:
        """Whether exactly the load that it asks for has failed for good."""
        final = self.condition.get("status") == "False" and self.condition.get("reason") in FINAL
        return final and self.load is not None and self.told == self.load

    @property
    def holds_pods(self) -> bool:
        """Whether Pods that mount it wait."""
        return self.request.concerns and self.request.waits and not self.loaded


def claim_of(obj: Object) -> Claim:
    """The claim that an object is."""
    meta, spec = metadata(obj), obj.get("spec") or {}
    request = request_of(meta.get("annotations") or {})
    return Claim(
        key=name_of(obj),
        uid=uid(obj),
        request=request,
        phase=Phase((obj.get("status") or {}).get("phase") or Phase.PENDING),
        created=at(meta["creationTimestamp"]),
        storage_class=spec.get("storageClassName"),
        volume=spec.get("volumeName") or "",
        deleting=is_deleting(obj),
        faults=request.faults + (unfit(request.spec, obj) if request.spec else ()),
        condition=condition(obj, terms.CONDITION) or _NEVER,
        origin=_source_of(spec, "snapshot.storage.k8s.io", "VolumeSnapshot"),
        data_source=_source_of(spec, GROUP, DATA_SOURCE),
        foreign=_is_foreign(obj),
        came_from=annotation(obj, terms.CAME_FROM) or "",
        missed=annotation(obj, terms.MISS) or "",
        fresh=annotation(obj, terms.FRESH) is not None,
        node=annotation(obj, SELECTED_NODE) or "",
    )


def _source_of(spec: Mapping[str, Any], group: str, kind: str) -> str:
    """Name in the claim's dataSourceRef, if it is of this kind; "" if not."""
    source = spec.get("dataSourceRef") or {}
    return str(source.get("name") or "") if (source.get("apiGroup"), source.get("kind")) == (group, kind) else ""


def _is_foreign(obj: Object) -> bool:
    """Whether its content comes from anything but a DataSource of ours, and no webhook says: from its own namespace."""
    spec = obj.get("spec") or {}
    if not spec.get("dataSourceRef") or _source_of(spec, GROUP, DATA_SOURCE):
        return False
    return annotation(obj, terms.CAME_FROM) != metadata(obj).get("namespace")


def unfit(wanted: Spec | None, obj: Object) -> tuple[Fault, ...]:
    """What keeps a claim of this kind from being loaded at all. wanted: None while that is not known."""
    spec = obj.get("spec") or {}
    found = []
    modes = set(spec.get("accessModes") or ())
    if spec.get("volumeMode") == "Block":
        found.append(Fault("spec.volumeMode", "Block has no files: make the claim with volumeMode Filesystem"))
    if not modes & WRITABLE:
        found.append(Fault("spec.accessModes", f"{', '.join(sorted(modes))} cannot be written: add {RWX}"))
    if wanted and wanted.shards > 1 and RWX not in modes:
        found.append(Fault(terms.SHARDS, f"several Pods need a claim with access mode {RWX}: remove it, or use one"))
    replaced = annotation(obj, terms.FRESH) is not None and _is_foreign(obj)
    if wanted and replaced and not may_be_foreign(wanted):
        wrong = terms.PATH if wanted.path else terms.SHARDS if wanted.shards > 1 else terms.WAIT
        found.append(Fault(wrong, _REPLACED))
    return tuple(found)


def may_be_foreign(wanted: Spec) -> bool:
    """Whether a claim may be born of another namespace's snapshot: one loader sees to all of it before Pods do."""
    return wanted.wait and wanted.shards == 1 and not wanted.path


_REPLACED: Final = (
    "its volume is born of another namespace's snapshot, all of which one loader compares before Pods start: remove it "
    f"until then, or make the claim anew with {terms.CACHE}: none"
)


def lean(obj: Object) -> Object:
    """Of a claim, what is kept in memory."""
    meta, spec, status = metadata(obj), obj.get("spec") or {}, obj.get("status") or {}
    kept: Object = {k: meta[k] for k in _METADATA if k in meta}
    if ours := {k: v for k, v in (meta.get("annotations") or {}).items() if _is_kept(k)}:
        kept["annotations"] = ours
    found = condition(obj, terms.CONDITION)
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": kept,
        "spec": {k: spec[k] for k in _SPEC if k in spec},
        "status": {"phase": status.get("phase"), "conditions": [found] if found else []},
    }


def _is_kept(annotation_name: str) -> bool:
    return annotation_name.startswith(terms.PREFIX) or annotation_name in _KEPT


_KEPT: Final = frozenset({terms.MISS, terms.FRESH, terms.CAME_FROM, SELECTED_NODE})
_METADATA: Final = (
    *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "ownerReferences"),
)
_SPEC: Final = ("accessModes", "volumeMode", "storageClassName", "volumeName", "dataSourceRef")
