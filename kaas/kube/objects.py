"""Reading objects: what every kind has, as functions over plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
Objects = list[Object]


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one object. `namespace` is None for a kind without namespaces."""

    api_version: str
    kind: str
    namespace: str | None
    name: str

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind}{'.' + self.group if self.group else ''} {where}{self.name}"


def ref_of(obj: Object) -> Ref:
    """Name of an object that has apiVersion, kind and metadata.name; KeyError otherwise."""
    meta = obj["metadata"]
    return Ref(obj["apiVersion"], obj["kind"], meta.get("namespace"), meta["name"])


def name_of(obj: Object) -> tuple[str, str]:
    """Namespace, empty for a kind without, and name; KeyError for an object without a name."""
    meta = obj["metadata"]
    return meta.get("namespace") or "", meta["name"]


def metadata(obj: Object) -> dict[str, Any]:
    """`metadata`, empty when missing; a view, not a copy."""
    found: dict[str, Any] = obj.get("metadata") or {}
    return found


def metadata_without(obj: Object, *fields: str) -> dict[str, Any]:
    """`metadata` but for some fields: to compare two states of an object, whose `resourceVersion` always differs."""
    return {k: v for k, v in metadata(obj).items() if k not in fields}


def uid(obj: Object) -> str:
    """Identity that the server gave; empty for an object that was not created yet."""
    return str(metadata(obj).get("uid") or "")


def labels(obj: Object) -> Mapping[str, str]:
    """Labels, empty when there are none."""
    return metadata(obj).get("labels") or {}


def annotation(obj: Object, name: str) -> str | None:
    """Value of an annotation, None when it is not there."""
    value: str | None = (metadata(obj).get("annotations") or {}).get(name)
    return value


def owner_reference(obj: Object, *, controller: bool = True, block_deletion: bool = True) -> Object:
    """Entry for `metadata.ownerReferences` of what belongs to `obj`, which must exist (have a uid)."""
    reference: Object = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
    }
    if controller:
        reference["controller"] = True
    if block_deletion:
        reference["blockOwnerDeletion"] = True
    return reference


def owner_uids(obj: Object) -> list[str]:
    """Identities of an object's owners."""
    return [str(o["uid"]) for o in metadata(obj).get("ownerReferences") or [] if o.get("uid")]


def condition(obj: Object, condition_type: str) -> Object | None:
    """Entry of `status.conditions` with this type, None when it was never reported (which is: unknown)."""
    for entry in (obj.get("status") or {}).get("conditions") or []:
        if entry.get("type") == condition_type:
            found: Object = entry
            return found
    return None


def is_true(obj: Object, condition_type: str) -> bool:
    """Whether the condition is reported with status True."""
    found = condition(obj, condition_type)
    return found is not None and found.get("status") == "True"


def is_deleting(obj: Object) -> bool:
    """Whether deletion was asked for and finalizers still hold the object."""
    return bool(metadata(obj).get("deletionTimestamp"))
