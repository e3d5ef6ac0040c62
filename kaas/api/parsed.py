"""Models of raw objects, parsed once for each version of an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kaas.api.model import Resource as Model

M = TypeVar("M", bound=Model)


class Parsed:
    """Models of raw objects, parsed once for each resource version."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None, str], tuple[str | None, Any]] = {}

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

    def forget(self, kind: str, namespace: str | None, name: str) -> None:
        """Drop what is known of an object that is gone."""
        self._known.pop((kind, namespace, name), None)
