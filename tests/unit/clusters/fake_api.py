"""An API server in memory: server-side apply of one manager, generations, finalizers, owner references."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable
from typing import Any

from kaas.kube.errors import Conflict, Invalid, NotFound
from kaas.kube.objects import Ref, owner_uids, ref_of, uid
from tests.unit.clusters.builders import Object

DELETED_AT = "2026-01-01T00:00:00Z"
Key = tuple[str, str, str | None, str]


class Killed(BaseException):
    """The program ends here: after a write took effect, before its answer was read."""


class FakeApi:
    """What is stored, and what was written by the program under test (`writes`: verb, kind and name).

    kill_after: number of writes after which the program ends. refuse: kinds that are refused.
    """

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.writes: list[tuple[str, str, str]] = []
        self.kill_after: int | None = None
        self.refuse: dict[str, Exception] = {}
        self.revision = 0
        self._applied: dict[tuple[Key, str], Object] = {}

    # --- as the program under test sees it ---

    async def apply(self, obj: Object) -> Object:
        if error := self.refuse.get(obj["kind"]):
            raise error
        return self._written("apply", obj, self.put(obj))

    async def apply_status(self, obj: Object) -> Object:
        if _key(ref_of(obj)) not in self.objects:
            raise NotFound("apply status", "not there")
        return self._written("status", obj, self.put({**obj, "metadata": obj["metadata"]}, part="status"))

    async def patch_finalizers(self, obj: Object, finalizers: list[str]) -> Object:
        key = _key(ref_of(obj))
        stored = self.objects.get(key)
        if stored is None:
            raise NotFound("set finalizers", "not there")
        if stored["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise Conflict("set finalizers", "changed since")
        return self._written("finalizers", obj, self.set_finalizers(stored, finalizers))

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """A merge patch of the status."""
        assert subresource == "status"
        stored = self.objects.get(_key(ref))
        if stored is None:
            raise NotFound("patch", "not there")
        status = _patched(stored.get("status") or {}, patch["status"])
        return self._written("patch", stored, self.change(stored, status=status))

    async def delete(self, ref: Ref) -> bool:
        found = _key(ref) in self.objects
        self.remove(ref)
        self._written("delete", {"kind": ref.kind, "metadata": {"name": ref.name}}, {})
        return found

    async def get(self, ref: Ref) -> Object | None:
        return copy.deepcopy(self.objects.get(_key(ref)))

    def _written(self, verb: str, obj: Object, answer: Object) -> Object:
        self.writes.append((verb, obj["kind"], obj["metadata"]["name"]))
        if self.kill_after is not None and len(self.writes) >= self.kill_after:
            raise Killed
        return copy.deepcopy(answer)

    # --- as everybody else sees it ---

    def put(self, obj: Object, part: str = "spec") -> Object:
        """Apply; what the same part of the program applied before and does not any more is removed."""
        key = _key(ref_of(obj))
        before = self.objects.get(key)
        wanted = copy.deepcopy(obj)
        live = copy.deepcopy(before) if before else {"metadata": {"uid": _uid_of(key), "generation": 0}}
        merged = _merged(live, self._applied.get((key, part), {}), wanted)
        if part == "status":
            ours = self._applied.get((key, part), {}).get("status", {})
            theirs = {k: v for k, v in live.get("status", {}).items() if k not in ours}
            merged = {**live, "status": theirs | wanted["status"]}
        self._applied[(key, part)] = wanted
        return self._store(key, before, merged)

    def change(self, obj: Object, **parts: Any) -> Object:
        """Replace whole parts of an object, as a controller or a user does."""
        key = _key(ref_of(obj))
        before = self.objects[key]
        return self._store(key, before, {**copy.deepcopy(before), **copy.deepcopy(parts)})

    def _store(self, key: Key, before: Object | None, after: Object) -> Object:
        if after == before:
            return after
        self.revision += 1
        meta = after["metadata"]
        if before is None or before.get("spec") != after.get("spec"):
            meta["generation"] = meta.get("generation", 0) + 1
        meta["resourceVersion"] = str(self.revision)
        self.objects[key] = after
        return after

    def set_finalizers(self, obj: Object, finalizers: Iterable[str]) -> Object:
        """Set them; an object on its way out goes with the last one."""
        meta = {k: v for k, v in obj["metadata"].items() if k != "finalizers"}
        left = list(finalizers)
        after = self.change(obj, metadata=meta | ({"finalizers": left} if left else {}))
        if meta.get("deletionTimestamp") and not left:
            self._drop(_key(ref_of(obj)))
        return after

    def remove(self, ref: Ref) -> None:
        """Delete; finalizers hold it."""
        key = _key(ref)
        found = self.objects.get(key)
        if found is None:
            return
        if not found["metadata"].get("finalizers"):
            self._drop(key)
        elif not found["metadata"].get("deletionTimestamp"):
            self.change(found, metadata={**found["metadata"], "deletionTimestamp": DELETED_AT})

    def _drop(self, key: Key) -> None:
        gone = self.objects.pop(key)
        self.revision += 1
        for part in ("spec", "status"):
            self._applied.pop((key, part), None)
        for obj in [o for o in self.objects.values() if uid(gone) in owner_uids(o)]:
            self.remove(ref_of(obj))

    def of_kind(self, kind: str, group: str = "") -> list[Object]:
        """Objects of a kind; of a group when two have such a kind."""
        return [o for (g, k, _, _), o in sorted(self.objects.items(), key=str) if k == kind and group in g]


def refusal(field: str) -> Invalid:
    return Invalid("apply", f"admission webhook denied the request: {field} is wrong")


def _key(ref: Ref) -> Key:
    return ref.group, ref.kind, ref.namespace, ref.name


def _uid_of(key: Key) -> str:
    """The same object has the same UID in every run, so that runs can be compared."""
    return hashlib.sha256(str(key).encode()).hexdigest()[:12]


def _merged(live: Any, before: Any, wanted: Any) -> Any:
    """Three ways: `live` without what was applied before, with what is wanted now."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        old = before if isinstance(before, dict) else {}
        kept = {k: v for k, v in live.items() if k not in old or k in wanted}
        return kept | {k: _merged(live[k], old.get(k), v) if k in live else v for k, v in wanted.items()}
    if _named(wanted) and _named(live):
        old = _by_name(before) if _named(before) else {}
        merged = _merged(_by_name(live), old, _by_name(wanted))
        first = [i["name"] for i in wanted]
        return [merged[name] for name in [*first, *(n for n in merged if n not in first)]]
    return wanted


def _patched(live: Any, patch: Any) -> Any:
    """RFC 7396, without the taking away."""
    if not isinstance(patch, dict):
        return patch
    return live | {k: _patched(live.get(k) or {}, v) for k, v in patch.items()}


def _named(items: Any) -> bool:
    return isinstance(items, list) and bool(items) and all(isinstance(i, dict) and "name" in i for i in items)


def _by_name(items: list[Object]) -> dict[str, Object]:
    return {i["name"]: i for i in items}
