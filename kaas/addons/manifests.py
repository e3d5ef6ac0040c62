"""From the ConfigMap of an add-on's version to the objects that are put into Clusters. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaas.addons.yaml_documents import documents
from kaas.api.constants import FIELD_MANAGER, LABEL_ADD_ON, LABEL_MANAGED_BY, SYSTEM_NAMESPACE
from kaas.kube.objects import Object, metadata_without

INVENTORY_NAMESPACE: Final = "kube-system"
INVENTORY_PREFIX: Final = "kaas-add-on-"
"""Begins the name of the ConfigMap in a Cluster in which is written what belongs to an add-on."""

MAX_SIZE: Final = 1024 * 1024
"""Characters of all values together: what a ConfigMap holds in bytes."""
MOST_OBJECTS: Final = 2000
"""Objects of one version: the names of those of two fit into the ConfigMap in which they are written down."""

FIRST: Final = frozenset({("apiextensions.k8s.io", "CustomResourceDefinition"), ("", "Namespace")})
"""Groups and kinds that others need: with one of these goes all that is in it, or of it, whoever has made that."""
_SERVERS: Final = (
    "managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "selfLink"
)  # fmt: skip
"""Fields of metadata that only the server sets."""
_EVERYBODYS: Final = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that every Cluster has: no API server lets them be deleted, as they would be with the add-on."""

Identity = tuple[str, str, str, str]
"""What names an object whatever its version: group, kind, namespace (empty when it says none), name."""


class Problem(ValueError):
    """A version that cannot be used: the words name the ConfigMap, the place in it, and the way out."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a version puts into Clusters.

    objects: in the order in which they are applied; not to be changed. digest: SHA-256 of the ConfigMap's data as
    it is, whatever is made of it: of it as JSON with sorted keys and no spaces, in UTF-8. In hexadecimal.
    """

    objects: tuple[Object, ...]
    digest: str


def bundle_of(config_map: Object | None, name: str) -> Bundle:
    """The objects in a ConfigMap of kaas-system. Raises Problem.

    config_map: None when there is none of that name. Takes about a second for a MiB.
    """
    called = f"ConfigMap {SYSTEM_NAMESPACE}/{name}"
    if config_map is None:
        raise Problem(f"there is no {called}: create it, with `immutable: true`")
    if config_map.get("immutable") is not True:
        words = "what runs in Clusters is changed by another version only: set `immutable: true` in it"
        raise Problem(f"{called} is not immutable: {words}")
    if config_map.get("binaryData"):
        raise Problem(f"{called} has binaryData, which is not read: create another one with text alone, in UTF-8")
    return bundle(config_map.get("data") or {}, called)


def bundle(texts: Mapping[str, str], called: str) -> Bundle:
    """The objects in YAML texts, in the order of their keys. Raises Problem. called: what has the texts, for people."""
    if sum(map(len, texts.values())) > MAX_SIZE:
        raise Problem(f"{called} has more than a MiB: make two add-ons of it")
    objects = list(_unique(_found(texts, called), called))
    if not objects:
        raise Problem(f"{called} has no object: its values are to be YAML documents, as `helm template` writes them")
    if len(objects) > MOST_OBJECTS:
        raise Problem(f"{called} has {len(objects)} objects, and may have {MOST_OBJECTS}: make two add-ons of it")
    ordered = tuple(sorted(objects, key=lambda obj: identity(obj)[:2] not in FIRST))
    return Bundle(ordered, _digest(texts))


def labelled(obj: Object, addon: str) -> Object:
    """The object as it is put into Clusters. addon: name of the Addon that it belongs to."""
    meta = obj["metadata"]
    labels = {**(meta.get("labels") or {}), LABEL_ADD_ON: addon, LABEL_MANAGED_BY: FIELD_MANAGER}
    return {**obj, "metadata": {**meta, "labels": labels}}


def identity(obj: Object) -> Identity:
    """What names an object whatever its version."""
    meta = obj["metadata"]
    return obj["apiVersion"].rpartition("/")[0], obj["kind"], meta.get("namespace") or "", meta["name"]


def _digest(texts: Mapping[str, str]) -> str:
    text = json.dumps({**texts}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _found(texts: Mapping[str, str], called: str) -> Iterator[tuple[str, Object]]:
    """Place and content of every object."""
    for key in sorted(texts):
        where = f"{called}, key {key}"
        try:
            contents = list(documents(texts[key]))
        except ValueError as error:
            raise Problem(f"{where}: {error}") from error
        for number, content in contents:
            place = f"{where}, document {number}"
            for inner, item in _items(content, place):
                yield inner, _checked(item, inner)


def _items(content: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Each object of a List; anything else as it is."""
    if not (isinstance(content, dict) and content.get("kind") == "List"):
        yield place, content
        return
    items = content.get("items")
    if not isinstance(items, list | None):
        raise Problem(f"{place}: items of a List must be a list")
    for number, item in enumerate(items or (), start=1):
        yield from _items(item, f"{place}, item {number}")


def _checked(content: Any, place: str) -> Object:
    """An object that can be applied, without what only a server says of it."""
    obj = _named(content, place)
    meta = {k: v for k, v in metadata_without(obj, *_SERVERS).items() if v is not None and (k, v) != ("namespace", "")}
    name, what = meta["name"], f"{place}: {obj['kind']} {meta['name']}"
    for field in ("labels", "annotations"):
        if not isinstance(meta.get(field), dict | None):
            raise Problem(f"{what}: metadata.{field} must have a value for each name")
    if not isinstance(meta.get("namespace"), str | None):
        raise Problem(f"{what}: metadata.namespace must be text: put it in quotes")
    group, kind, namespace, _ = identity({**obj, "metadata": meta})
    if (group, kind) == ("", "Namespace") and name in _EVERYBODYS:
        raise Problem(f"{what}: every Cluster has it, and it would be deleted with the add-on: leave it out")
    if (group, kind, namespace) == ("", "ConfigMap", INVENTORY_NAMESPACE) and name.startswith(INVENTORY_PREFIX):
        raise Problem(f"{what}: names that begin with {INVENTORY_PREFIX} are kaas's own: choose another one")
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": meta}


def _named(content: Any, place: str) -> Object:
    """The content, when it has what every object has."""
    if not isinstance(content, dict):
        raise Problem(f"{place}: it is no object: write apiVersion, kind and metadata, or remove it")
    for field in ("apiVersion", "kind"):
        if not (isinstance(content.get(field), str) and content[field]):
            raise Problem(f"{place}: {field} is missing: set it")
    meta = content.get("metadata")
    name = meta.get("name") if isinstance(meta, dict) else None
    if isinstance(name, str) and name:
        return content
    if isinstance(meta, dict) and meta.get("generateName"):
        raise Problem(
            f"{place}: {content['kind']} has generateName, so it would be made anew each time: give it a name"
        )
    raise Problem(f"{place}: metadata.name of {content['kind']} is missing, or no text: set it")


def _unique(found: Iterable[tuple[str, Object]], called: str) -> Iterator[Object]:
    """Each object once."""
    places: dict[Identity, str] = {}
    for place, obj in found:
        known = places.setdefault(identity(obj), place)
        if known != place:
            name = f"{obj['kind']} {obj['metadata']['name']}"
            first = known.removeprefix(f"{called}, ")
            raise Problem(f"{place}: {name} stands there twice, first in {first}: remove one")
        yield obj
