"""Models of raw objects, parsed once for each version of an object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from kaas.api.crd import schema
from kaas.api.load import faults_of
from kaas.api.model import Resource as Model
from kaas.api.rules import violations

M = TypeVar("M", bound=Model)
_Name = tuple[str, str | None, str]
_MOST: Final = 3  # of what is wrong with an object, this much is said


class Unreadable(ValueError):
    """An object that is there and cannot be used: its model refuses it, or a rule of its kind.

    An older CRD has let it in, or someone wrote it around the rules. The words name object, fields and the way out.
    """

    def __init__(self, obj: dict[str, Any], faults: Iterable[str]) -> None:
        self.obj = obj
        self.kind, self.name = str(obj["kind"]), str(obj["metadata"]["name"])
        super().__init__(f"{self.kind} {self.name} cannot be read: {'; '.join([*faults][:_MOST])}"[:1024])


class Parsed:
    """Models of raw objects, parsed once for each resource version."""

    def __init__(self) -> None:
        self._known: dict[_Name, tuple[str | None, Any]] = {}
        self._sound: dict[_Name, tuple[str | None, Any]] = {}

    def __call__(self, model: Callable[[dict[str, Any]], M], obj: dict[str, Any]) -> M:
        """The model of an object. Raises pydantic's ValidationError for one that an older CRD let in."""
        meta = obj["metadata"]
        key, version = (obj["kind"], meta.get("namespace"), meta["name"]), meta.get("resourceVersion")
        known = self._known.get(key)
        if known and version and known[0] == version:
            found: M = known[1]
            return found
        parsed = model(obj)
        self._known[key] = (version, parsed)
        return parsed

    def sound(self, model: type[M], obj: dict[str, Any]) -> M:
        """The model of an object whose spec breaks no rule of its kind. Raises Unreadable, each time the same one."""
        meta = obj["metadata"]
        key, version = (obj["kind"], meta.get("namespace"), meta["name"]), meta.get("resourceVersion")
        known = self._sound.get(key)
        if not (known and version and known[0] == version):
            known = self._sound[key] = (version, self._examined(model, obj))
        if isinstance(known[1], Unreadable):
            raise known[1].with_traceback(None)
        found: M = known[1]
        return found

    def all_sound(self, model: type[M], objects: Iterable[dict[str, Any]]) -> tuple[list[M], list[Unreadable]]:
        """Models of all that can be read, and what cannot."""
        found: list[M] = []
        others: list[Unreadable] = []
        for obj in objects:
            try:
                found.append(self.sound(model, obj))
            except Unreadable as unreadable:
                others.append(unreadable)
        return found, others

    def _examined(self, model: type[M], obj: dict[str, Any]) -> M | Unreadable:
        try:
            found = self(model.model_validate, obj)
        except ValidationError as error:
            return Unreadable(obj, faults_of(error))
        broken = violations(vars(found)["spec"].to_json(), schema(model)["properties"]["spec"], "spec")
        faults = [f"{v.path}: {v.message}" for v in broken]
        return Unreadable(obj, faults) if faults else found

    def forget(self, kind: str, namespace: str | None, name: str) -> None:
        """Drop what is known of an object that is gone."""
        self._known.pop((kind, namespace, name), None)
        self._sound.pop((kind, namespace, name), None)
