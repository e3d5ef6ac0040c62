"""The API server as far as certificates go: objects with versions, in memory."""

from __future__ import annotations

import copy
from typing import Any

from kaas.kube.errors import Conflict

Object = dict[str, Any]
CONFIGURATION = {"webhooks": [{"name": "a", "clientConfig": {}}, {"name": "b", "clientConfig": {}}]}


class Store:
    """Objects by path. writes: what was written, in order."""

    def __init__(self, **objects: Object) -> None:
        self.objects = objects
        self.writes: list[str] = []
        self._version = 0

    async def get(self, path: str) -> Object | None:
        return copy.deepcopy(self.objects.get(path))

    async def create(self, collection: str, obj: Object) -> Object:
        path = f"{collection}/{obj['metadata']['name']}"
        if path in self.objects:
            raise Conflict(f"create {path}", "it is there", code=409)
        return self.put(path, obj)

    async def replace(self, path: str, obj: Object) -> Object:
        old = self.objects.get(path, {"metadata": {}})
        if old["metadata"].get("resourceVersion") != obj["metadata"].get("resourceVersion"):
            raise Conflict(f"replace {path}", "it changed", code=409)
        return self.put(path, obj)

    async def patch(self, path: str, operations: list[dict[str, Any]]) -> Object:
        obj = copy.deepcopy(self.objects[path])
        test, *changes = operations
        assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": obj["metadata"]["resourceVersion"]}
        for change in changes:
            _, _, index, *rest = change["path"].split("/")
            assert rest == ["clientConfig", "caBundle"]
            obj["webhooks"][int(index)]["clientConfig"]["caBundle"] = change["value"]
        return self.put(path, obj)

    def put(self, path: str, obj: Object) -> Object:
        """Write, with a new version."""
        self._version += 1
        self.writes.append(path)
        metadata = {**obj.get("metadata", {}), "resourceVersion": str(self._version)}
        self.objects[path] = copy.deepcopy({**obj, "metadata": metadata})
        return self.objects[path]
