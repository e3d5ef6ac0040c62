"""An API server in memory, which tells of changes late, and at which a controller's process can end."""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kaas.kube.errors import Conflict, Invalid, NotFound
from kaas.kube.objects import Object, Objects, Ref, labels
from kaas.kube.ports import EventType
from kaas.kube.resources import Resource
from kaas.kube.times import stamp
from kaas.runtime.clock import FakeClock
from kaas.volumes import terms

Name = tuple[str, str, str]
"""Kind, namespace ("" for none), name."""
SELECTORS = {
    "Job": terms.LOADER_LABEL,
    "Pod": terms.WAITING_LABEL,
    "NetworkPolicy": "app.kubernetes.io/managed-by",
}


class Killed(Exception):
    """The controller's process has ended in the middle of a request."""


@dataclass
class ApiServer:
    """Objects by name. kill: writes until the controller's process ends; after: whether the last one is still done."""

    clock: FakeClock
    objects: dict[Name, Object] = field(default_factory=dict)
    late: dict[str, deque[tuple[str, Object]]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    kill: int | None = None
    after: bool = False
    logs: dict[str, str] = field(default_factory=dict)
    said: list[tuple[str, str, str, str]] = field(default_factory=list)
    checks: list[Callable[[str, Object, Object | None], None]] = field(default_factory=list)
    _version: int = 0

    # -- as the cluster itself changes --------------------------------------------------------------------------------

    def store(self, obj: Object) -> Object:
        """Keep an object and tell of it."""
        self._version += 1
        meta = obj["metadata"]
        meta["resourceVersion"] = str(self._version)
        meta.setdefault("uid", f"u{self._version}")
        meta.setdefault("creationTimestamp", stamp(self.clock.now()))
        name = name_of(obj)
        before = self.objects.get(name)
        self.objects[name] = obj
        self._tell(before, obj)
        return copy.deepcopy(obj)

    def drop(self, name: Name) -> None:
        """An object is gone."""
        before = self.objects.pop(name)
        self._tell(before, None)

    def _tell(self, before: Object | None, after: Object | None) -> None:
        kind = (after or before or {})["kind"]
        was, is_ = (o is not None and watched(o) for o in (before, after))
        if is_ and after is not None:
            self.late.setdefault(kind, deque()).append(("MODIFIED" if was else "ADDED", copy.deepcopy(after)))
        elif was and before is not None:
            self.late.setdefault(kind, deque()).append(("DELETED", copy.deepcopy(after or before)))

    def of(self, kind: str) -> list[Object]:
        """All of a kind."""
        return [o for name, o in sorted(self.objects.items()) if name[0] == kind]

    # -- as the controller asks ---------------------------------------------------------------------------------------

    def _write(self, what: str, obj: Object, before: Object | None, act: Callable[[], Any]) -> Any:
        """A write, or the end of the process before or behind it."""
        if self.kill is not None:
            self.kill -= 1
            if self.kill <= 0:
                if self.after:
                    self._checked(what, obj, before)
                    act()
                raise Killed
        self._checked(what, obj, before)
        self.calls.append((what, obj["kind"]))
        return act()

    def _checked(self, what: str, obj: Object, before: Object | None) -> None:
        for check in self.checks:
            check(what, obj, before)

    async def get(self, ref: Ref) -> Object | None:
        self.calls.append(("get", ref.kind))
        return copy.deepcopy(self.objects.get(_name(ref)))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        *,
        field_selector: str | None = None,
    ) -> Objects:
        self.calls.append(("list", resource.kind))
        found = [o for o in self.of(resource.kind) if namespace in {None, o["metadata"].get("namespace")}]
        if label_selector:
            key, _, value = label_selector.partition("=")
            found = [o for o in found if key in labels(o) and (not value or labels(o)[key] == value)]
        for term in (field_selector or "").split(",") if resource.kind == "Pod" else ():
            found = [o for o in found if _has(o, term)]
        return copy.deepcopy(found)

    async def create(self, obj: Object, *, manager: str) -> Object:
        assert manager == terms.MANAGER
        name = name_of(obj)

        def act() -> Object:
            if name in self.objects:
                raise Conflict(f"create {name}", "is there already")
            return self.store(copy.deepcopy(obj) | {"status": {}})

        answer: Object = self._write("create", obj, self.objects.get(name), act)
        return answer

    async def apply(self, obj: Object, *, manager: str) -> Object:
        assert manager == terms.MANAGER
        answer: Object = self._write("apply", obj, None, lambda: self.store(copy.deepcopy(obj)))
        return answer

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        name = name_of(obj)

        def act() -> Object:
            known = self._known(name)
            others = [c for c in known["status"].get("conditions") or () if c["type"] != terms.CONDITION]
            status = {**known["status"], "conditions": [*others, *obj["status"]["conditions"]]}
            return self.store({**copy.deepcopy(known), "status": status})

        answer: Object = self._write("apply_status", obj, self.objects.get(name), act)
        return answer

    async def delete(self, ref: Ref, *, uid: str | None = None, propagation: str = "Background") -> bool:
        name = _name(ref)
        known = self.objects.get(name)
        if known is None:
            return False
        if uid and known["metadata"]["uid"] != uid:
            raise Conflict(f"delete {ref}", "another uid")

        def act() -> bool:
            if propagation == "Background":
                self.drop(name)
            else:
                self.store(_deleting(known, self.clock))
            return True

        return bool(self._write("delete", known, known, act))

    async def patch(self, ref: Ref, patch: Object) -> Object:
        """A merge patch of annotations."""
        before = self._known(_name(ref))

        def act() -> Object:
            known = copy.deepcopy(self._known(_name(ref)))
            notes = {**known["metadata"]["annotations"], **patch["metadata"]["annotations"]}
            known["metadata"]["annotations"] = {k: v for k, v in notes.items() if v is not None}
            return self.store(known)

        answer: Object = self._write("patch", before, before, act)
        return answer

    async def patch_json(self, ref: Ref, operations: Objects) -> Object:
        name = _name(ref)

        def act() -> Object:
            known = copy.deepcopy(self._known(name))
            patched(known, operations)
            self._checked("patched", known, self.objects[name])
            return self.store(known)

        before = self.objects.get(name)
        answer: Object = self._write("patch_json", before or {"kind": ref.kind, "metadata": {}}, before, act)
        return answer

    def _known(self, name: Name) -> Object:
        if name not in self.objects:
            raise NotFound(f"find {name}", "is not there")
        return self.objects[name]

    async def text(self, path: str, *, silence: float) -> Any:
        """Logs."""
        return _Log(self.logs.get(path.split("/pods/")[1].partition("/")[0], ""))

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        """Events."""
        self.calls.append(("create", "Event"))
        self.said.append((about["kind"], about["metadata"]["name"], reason, message))
        return True


class _Log:
    def __init__(self, text: str) -> None:
        self.content = self
        self._text = text

    async def read(self, limit: int) -> bytes:
        return self._text.encode()[-limit:]

    async def __aenter__(self) -> _Log:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def _has(obj: Object, term: str) -> bool:
    """Whether an object is of one term of a field selector, `part.field=value` or `part.field!=value`."""
    path, _, value = term.partition("=")
    part, _, field_ = path.rstrip("!").partition(".")
    is_so = str(obj[part].get(field_) or "") == value if term else True
    return is_so != path.endswith("!")


def name_of(obj: Object) -> Name:
    return obj["kind"], obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def _name(ref: Ref) -> Name:
    return ref.kind, ref.namespace or "", ref.name


def watched(obj: Object) -> bool:
    selector = SELECTORS.get(obj["kind"])
    return selector is None or selector in labels(obj)


def _deleting(obj: Object, clock: FakeClock) -> Object:
    known = copy.deepcopy(obj)
    known["metadata"]["deletionTimestamp"] = stamp(clock.now())
    return known


def patched(obj: Object, operations: Objects) -> None:
    """JSON Patch, as far as it is used."""
    for operation in operations:
        *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        place: Any = obj
        try:
            for part in parents:
                place = place[int(part)] if isinstance(place, list) else place[part]
            key: Any = int(last) if isinstance(place, list) else last
            value = place[key]
        except (KeyError, IndexError, TypeError) as missing:
            raise Invalid("patch", f"{operation['path']} is not there") from missing
        if operation["op"] == "remove":
            del place[key]
        elif operation["op"] == "replace":
            place[key] = operation["value"]
        elif value != operation["value"]:
            raise Invalid("patch", f"{operation['path']} is {json.dumps(value)}")
