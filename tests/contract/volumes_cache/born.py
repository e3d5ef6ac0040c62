"""Claims as they are after the webhook has seen them, and the snapshots that are kept."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import dataclass
from typing import Any

from kaas.kube.client import KubeClient
from kaas.kube.errors import NotFound
from kaas.kube.objects import Object, Objects, annotation
from kaas.volumes.cache import snapshots
from kaas.volumes.cache.cradle import SnapshotCradle
from kaas.volumes.webhook.metrics import Metrics
from kaas.volumes.webhook.reviews import ClaimReviews
from tests.contract.volumes.stage import Stage, until


class _Store:
    """What the webhook asks of the API server, over the usual client."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def get(self, path: str) -> Object | None:
        try:
            return await self._client.read(path)
        except NotFound:
            return None

    async def create(self, collection: str, obj: Object) -> Object:
        return await self._client.create(obj)


def patched(obj: Object, answer: dict[str, Any]) -> Object:
    """An object after the answer of a review: operations that add, as ours do."""
    found = copy.deepcopy(obj)
    for operation in json.loads(base64.b64decode(answer["patch"])) if "patch" in answer else ():
        *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        place = found
        for part in parents:
            place = place[part]
        assert operation["op"] == "add"
        place[last] = operation["value"]
    return found


@dataclass
class Namespace:
    """A namespace of a cluster with a cache."""

    stage: Stage

    @property
    def name(self) -> str:
        """Of the namespace."""
        return self.stage.namespace

    async def claim(
        self, name: str, notes: dict[str, str], storage_class: str = "lab-immediate", **spec: Any
    ) -> Object:
        """A claim that is made while the webhook is there."""
        meta = {"name": name, "namespace": self.name, "annotations": notes}
        base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        wanted = {**base, "storageClassName": storage_class, **spec}
        obj = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": wanted}
        reviews = ClaimReviews(Metrics(), SnapshotCradle(_Store(self.stage.client)))
        request = {"operation": "CREATE", "namespace": self.name, "object": obj}
        answer = await reviews.answer({"request": request})
        assert answer["allowed"], answer
        return await self.stage.client.create(patched(obj, answer))

    async def loaded(self, name: str, notes: dict[str, str], **spec: Any) -> str:
        """A claim that is made, and what its condition says once it is loaded."""
        await self.claim(name, notes, **spec)
        return await self.stage.until_told("Loaded", name)

    async def snapshots(self) -> Objects:
        """All of the namespace."""
        return await self.stage.client.list(snapshots.SNAPSHOT, self.name)

    async def until_retired(self, name: str) -> str:
        """Why no claim is born of a snapshot any more, once that is so; "gone" when it is gone."""

        async def why() -> str:
            found = [s for s in await self.snapshots() if s["metadata"]["name"] == name]
            return (annotation(found[0], snapshots.RETIRED) or "") if found else "gone"

        return await until(f"{name} is retired", why)

    async def until_gone(self, name: str) -> None:
        """Return when a snapshot is gone."""

        async def gone() -> bool:
            return name not in [s["metadata"]["name"] for s in await self.snapshots()]

        await until(f"{name} is gone", gone)
