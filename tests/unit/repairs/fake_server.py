"""An API server in memory, and the moment at which the program under test is killed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from kaas.kube.errors import Conflict, NotFound
from kaas.kube.objects import Object, Objects, Ref, metadata, owner_uids, ref_of, uid
from kaas.kube.resources import Resource


class Killed(BaseException):
    """The program ends here."""


class Fate:
    """Counts the moments before and after each call that changes something; at one of them the program is killed."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.moments = 0
        self.kill_at = kill_at
        self.trouble: Exception | None = None

    def pass_(self) -> None:
        """Raise what is in the way."""
        if self.trouble is not None:
            raise self.trouble

    def moment(self) -> None:
        """One of the moments."""
        self.pass_()
        self.moments += 1
        if self.moments == self.kill_at:
            raise Killed


class FakeServer:
    """What is stored. writes: verb, kind and name of what the program under test wrote. seen: told of every change."""

    def __init__(self, fate: Fate, seen: Callable[[Object, bool], None], way: Fate | None = None) -> None:
        self._way = way or fate
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.writes: list[tuple[str, str, str]] = []
        self._fate = fate
        self._seen = seen
        self._revision = 0
        self._applied: dict[tuple[tuple[str, str, str], str], Object] = {}

    async def get(self, ref: Ref) -> Object | None:
        self._way.pass_()
        return copy.deepcopy(self.objects.get(_key(ref)))

    async def list(self, resource: Resource, **_: Any) -> Objects:
        self._way.pass_()
        return [copy.deepcopy(o) for o in self.objects.values() if o["kind"] == resource.kind]

    async def create(self, obj: Object) -> Object:
        if obj["kind"] == "Event":
            return obj
        self._fate.moment()
        if _key(ref_of(obj)) in self.objects:
            raise Conflict("create", "already exists")
        return self._wrote("create", self.put(obj))

    async def apply(self, obj: Object) -> Object:
        self._fate.moment()
        return self._wrote("apply", self.put(obj))

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        self._fate.moment()
        live = self._live(ref_of(obj))
        before = self._applied.get((_key(ref_of(obj)), manager), {})
        self._applied[_key(ref_of(obj)), manager] = obj["status"]
        status = {k: v for k, v in (live.get("status") or {}).items() if k not in before or k in obj["status"]}
        merged = {**status, **copy.deepcopy(obj["status"])}
        if "conditions" in obj["status"]:
            mine = {c["type"]: c for c in obj["status"]["conditions"]}
            others = [c for c in status.get("conditions", ()) if c["type"] not in mine]
            merged["conditions"] = [*others, *copy.deepcopy(list(mine.values()))]
        return self._wrote("status", self.put({**live, "status": merged}))

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        self._way.pass_()
        self._fate.moment()
        live, meta = self._live(ref), patch.get("metadata") or {}
        if meta.get("uid", uid(live)) != uid(live):
            raise Conflict("patch", "the uid is another")
        if meta.get("resourceVersion", metadata(live)["resourceVersion"]) != metadata(live)["resourceVersion"]:
            raise Conflict("patch", "changed since")
        return self._wrote(f"patch {subresource}".strip(), self.put(_merged(live, patch)))

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        self._fate.moment()
        found = self.objects.get(_key(ref))
        if found is None:
            return False
        self._wrote("delete", found)
        self.remove(found)
        return True

    def _live(self, ref: Ref) -> Object:
        live = self.objects.get(_key(ref))
        if live is None:
            raise NotFound("write", f"there is no {ref}")
        return copy.deepcopy(live)

    def _wrote(self, verb: str, obj: Object) -> Object:
        self.writes.append((verb, obj["kind"], obj["metadata"]["name"]))
        self._fate.moment()
        return copy.deepcopy(obj)

    def put(self, obj: Object) -> Object:
        """Store, as anybody."""
        self._revision += 1
        meta = {"uid": f"uid-{self._revision}", **obj["metadata"], "resourceVersion": str(self._revision)}
        stored = copy.deepcopy({**obj, "metadata": meta})
        self.objects[_key(ref_of(obj))] = stored
        self._seen(stored, False)
        return stored

    def change(self, obj: Object, patch: Object) -> Object:
        """Merge patch, as anybody."""
        return self.put(_merged(self._live(ref_of(obj)), patch))

    def remove(self, obj: Object) -> None:
        """Delete, with all that it owns."""
        gone = self.objects.pop(_key(ref_of(obj)))
        for key in [k for k in self._applied if k[0] == _key(ref_of(obj))]:
            del self._applied[key]
        self._seen(gone, True)
        for owned in [o for o in self.objects.values() if uid(gone) in owner_uids(o)]:
            self.remove(owned)


def _key(ref: Ref) -> tuple[str, str, str]:
    return f"{ref.kind}.{ref.group}", ref.namespace or "", ref.name


def _merged(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    base = live if isinstance(live, dict) else {}
    kept = {k: v for k, v in base.items() if k not in patch}
    return kept | {k: _merged(base.get(k), v) for k, v in patch.items() if v is not None}
