"""What belongs to an add-on in a Cluster, as it is written down there before it is made. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from kaas.addons.manifests import FIRST, INVENTORY_NAMESPACE, INVENTORY_PREFIX, Bundle, labelled
from kaas.kube import working
from kaas.kube.objects import Object, Ref, ref_of
from kaas.kube.resources import CONFIG_MAP

_OBJECTS: Final = "objects"
_RUN_PODS: Final = frozenset(kind.group_kind for kind in working.KINDS)


@dataclass(frozen=True, slots=True)
class Inventory:
    """version, digest: of the version all of whose objects are there; no digest: of what is being taken out.

    refs: all that may be there.
    """

    version: str = ""
    digest: str = ""
    refs: tuple[Ref, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all objects of a version are there."""
        return bool(self.version and self.digest)

    def with_all(self, wanted: Inventory) -> Inventory:
        """With what is to be there besides: written before any of it is made."""
        known = set(self.refs)
        return Inventory(self.version, self.digest, (*self.refs, *(ref for ref in wanted.refs if ref not in known)))

    def without(self, wanted: Inventory) -> tuple[Ref, ...]:
        """What goes when another version is there, the last first: no Namespace, no CustomResourceDefinition."""
        known = set(wanted.refs)
        return tuple(ref for ref in reversed(self.refs) if ref not in known and not is_first(ref))

    def followed_by(self, wanted: Inventory) -> Inventory:
        """What is there when another version is: it, and what does not go before the add-on does."""
        known = set(map(_name, wanted.refs))
        stays = (ref for ref in self.refs if is_first(ref) and _name(ref) not in known)
        return Inventory(wanted.version, wanted.digest, (*stays, *wanted.refs))

    def going(self) -> Inventory:
        """The same while it is taken out: no version is there any more."""
        return Inventory(self.version, "", self.refs)

    @property
    def workloads(self) -> tuple[Ref, ...]:
        """What of it runs Pods all the time."""
        return tuple(ref for ref in self.refs if (ref.group, ref.kind) in _RUN_PODS)

    def has(self, ref: Ref) -> bool:
        """Whether an object is in it, in whatever version of its kind."""
        return any(_object(known) == _object(ref) for known in self.refs)


def is_first(ref: Ref) -> bool:
    """Whether it is a Namespace or a CustomResourceDefinition."""
    return (ref.group, ref.kind) in FIRST


def _name(ref: Ref) -> tuple[str, str, str]:
    return ref.group, ref.kind, ref.name


def _object(ref: Ref) -> tuple[str, str, str, str]:
    return *_name(ref), ref.namespace or ""


NOTHING: Final = Inventory()
"""Nothing was put there yet."""


def inventory_of(version: str, bundle: Bundle) -> Inventory:
    """What a version has."""
    return Inventory(version, bundle.digest, tuple(map(ref_of, bundle.objects)))


def ref_for(addon: str) -> Ref:
    """The ConfigMap in which an add-on's is written down."""
    return Ref(CONFIG_MAP.api_version, CONFIG_MAP.kind, INVENTORY_NAMESPACE, f"{INVENTORY_PREFIX}{addon}")


def to_object(addon: str, inventory: Inventory) -> Object:
    """The ConfigMap."""
    ref = ref_for(addon)
    meta = {"namespace": ref.namespace, "name": ref.name}
    listed = json.dumps([*map(_written, inventory.refs)], separators=(",", ":"))
    data = {"version": inventory.version, "digest": inventory.digest, _OBJECTS: listed}
    return labelled({"apiVersion": ref.api_version, "kind": ref.kind, "metadata": meta, "data": data}, addon)


def from_object(obj: Object | None) -> Inventory:
    """What a ConfigMap says, nothing when there is none. Raises ValueError, in words, when it cannot be read."""
    if obj is None:
        return NOTHING
    data = obj.get("data") or {}
    try:
        refs = _all_read(json.loads(data[_OBJECTS]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = f"ConfigMap {obj['metadata']['namespace']}/{obj['metadata']['name']} in the Cluster"
        way = f"correct its value {_OBJECTS}, or delete it: objects that no version has any more then stay"
        raise ValueError(f"{name} cannot be read: {way}") from error
    return Inventory(str(data.get("version", "")), str(data.get("digest", "")), refs)


def _written(ref: Ref) -> dict[str, str]:
    named = {"namespace": ref.namespace} if ref.namespace else {}
    return {"apiVersion": ref.api_version, "kind": ref.kind, **named, "name": ref.name}


def _all_read(listed: Any) -> tuple[Ref, ...]:
    if not isinstance(listed, list):
        raise TypeError("no list")
    return tuple(map(_read, listed))


def _read(entry: Any) -> Ref:
    named = [entry["apiVersion"], entry["kind"], entry["name"]]
    if not all(isinstance(word, str) and word for word in named):
        raise ValueError("no name of an object")
    return Ref(named[0], named[1], entry.get("namespace") or None, named[2])
