"""Whether applying an object would change the live one. Pure.

`desired` is applied by server-side apply under one field manager. Nothing has to be written when `desired` is contained
in the live object and is, by its hash in an annotation, what was applied last: the hash finds what was removed since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from kaas.api.constants import GROUP
from kaas.kube.objects import Object, annotation, metadata

APPLIED_ANNOTATION = f"{GROUP}/applied"
HASH_LENGTH = 32  # hexadecimal digits: 128 bits of a sha256

# Names that make a list of objects a map: Kubernetes' list-map keys, in the order in which they are tried.
_LIST_KEYS: tuple[tuple[str, ...], ...] = (("uid",), ("name",), ("key", "effect"), ("key",), ("type",))
_NULLABLE = frozenset({"labels", "annotations", "finalizers", "ownerReferences"})  # the server drops these when empty
_SETS = frozenset({"finalizers"})


def applied_hash(desired: Object) -> str:
    """Hash of an object in canonical JSON, the annotation that carries it left out."""
    canonical = json.dumps(_without_hash(desired), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_LENGTH]


def with_applied_hash(desired: Object) -> Object:
    """Copy of the object that carries its hash: this is what to apply."""
    meta = {**desired["metadata"]}
    meta["annotations"] = {**(meta.get("annotations") or {}), APPLIED_ANNOTATION: applied_hash(desired)}
    return {**desired, "metadata": meta}


def differs(desired: Object, live: Object) -> list[str]:
    """Paths at which applying `desired` would change `live`; empty when nothing would change.

    The hash is compared when `desired` carries one (`with_applied_hash`). What others added to a map, or to a list of
    named objects, is theirs. Numbers and strings are never equal: `1` is not `"1"`, nor is `"1000m"`.
    """
    paths = list(_differences(_without_hash(desired), live, ""))
    wanted = annotation(desired, APPLIED_ANNOTATION)
    if wanted is not None and annotation(live, APPLIED_ANNOTATION) != wanted:
        paths.append(f"metadata.annotations[{APPLIED_ANNOTATION}]")
    return paths


def _without_hash(obj: Object) -> Object:
    """Object without the hash, and without annotations when that was the only one."""
    found = metadata(obj).get("annotations") or {}
    if APPLIED_ANNOTATION not in found:
        return obj
    others = {k: v for k, v in found.items() if k != APPLIED_ANNOTATION}
    meta = {k: v for k, v in obj["metadata"].items() if k != "annotations"}
    return {**obj, "metadata": {**meta, **({"annotations": others} if others else {})}}


def _differences(desired: Any, live: Any, path: str) -> Iterator[str]:
    if isinstance(desired, dict) and isinstance(live, dict):
        yield from _in_map(desired, live, path)
    elif isinstance(desired, list) and isinstance(live, list):
        yield from _in_list(desired, live, path)
    elif not _same_scalar(desired, live):
        yield path


def _in_map(desired: dict[str, Any], live: dict[str, Any], path: str) -> Iterator[str]:
    for name, value in desired.items():
        inner = f"{path}{name}" if not path or name.startswith("[") else f"{path}.{name}"
        if name in live:
            yield from _differences(value, live[name], inner)
        elif not _may_be_missing(name, value):
            yield inner


def _may_be_missing(name: str, value: Any) -> bool:
    """None says the same as nothing; empty metadata is not stored."""
    return value is None or (name in _NULLABLE and not value)


def _in_list(desired: list[Any], live: list[Any], path: str) -> Iterator[str]:
    if path.rpartition(".")[2] in _SETS:
        if not set(desired) <= set(live):
            yield path
        return
    keyed = _keyed_alike(desired, live)
    if keyed:
        wanted, found = keyed
        yield from _in_map(wanted, found, path)
    elif len(desired) != len(live):
        yield path
    else:
        for index, (want, have) in enumerate(zip(desired, live, strict=True)):
            yield from _differences(want, have, f"{path}[{index}]")


def _keyed_alike(desired: list[Any], live: list[Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Both lists as maps by the first key that names every item of both once; None when there is none."""
    if not desired:
        return None
    for keys in _LIST_KEYS:
        wanted, found = _by_key(desired, keys), _by_key(live, keys)
        if wanted is not None and found is not None:
            return wanted, found
    return None


def _by_key(items: list[Any], keys: tuple[str, ...]) -> dict[str, Any] | None:
    named: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict) or not all(isinstance(item.get(k), str) for k in keys):
            return None
        named["[" + ",".join(item[k] for k in keys) + "]"] = item
    return named if len(named) == len(items) else None


def _same_scalar(desired: Any, live: Any) -> bool:
    """Equal and of one JSON type: True is not 1, 1 is 1.0."""
    if isinstance(desired, bool) or isinstance(live, bool):
        return desired is live
    if isinstance(desired, int | float) and isinstance(live, int | float):
        return desired == live
    return type(desired) is type(live) and bool(desired == live)
