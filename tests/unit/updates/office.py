"""A management cluster in memory around the real reconciler of updates."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from kaas.api.constants import ANNOTATION_MAINTENANCE, CONDITION_UPDATES
from kaas.kube import resources
from kaas.kube.objects import Object, condition
from kaas.kube.ports import EventType
from kaas.runtime.index import Index
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.reconciler import Office, UpdateReconciler
from tests.unit.updates.subjects import NOW, raw_cluster, raw_release, raw_site

KEY = ("tenants", "team")


@dataclass
class Clock:
    """A time of day that stands still."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time


@dataclass
class World:
    """One Cluster, its Site and Releases. blind: the watch does not show what the reconciler writes."""

    index: Index = field(default_factory=Index)
    clock: Clock = field(default_factory=Clock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    writes: list[tuple[str, Object]] = field(default_factory=list)
    blind: bool = False
    revision: int = 0

    def __post_init__(self) -> None:
        self.put(raw_site())
        self.put(raw_cluster())
        self.start()

    def start(self) -> None:
        """A new controller."""
        self.reconciler = UpdateReconciler(
            Office(self.index, self, self.clock, self, UpdateMetrics(self.registry_anew()))
        )

    def registry_anew(self) -> CollectorRegistry:
        self.registry = CollectorRegistry()
        return self.registry

    def put(self, obj: Object) -> None:
        self.revision += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.index.put(obj)

    def releases(self, *raw: Object) -> None:
        for obj in raw:
            self.put(obj)

    def namespace(self, said: str) -> None:
        meta = {"name": KEY[0], "annotations": {ANNOTATION_MAINTENANCE: said}}
        self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})

    @property
    def cluster(self) -> Object:
        found = self.index.get(resources.CLUSTER, *KEY)
        assert found is not None
        return found

    @property
    def update(self) -> Any:
        """`status.update`."""
        return self.cluster["status"].get("update")

    @property
    def condition(self) -> Object:
        found = condition(self.cluster, CONDITION_UPDATES)
        assert found is not None
        return found

    def change(self, **status: Any) -> None:
        """Others change the status."""
        self.put({**self.cluster, "status": {**self.cluster["status"], **status}})

    def spec(self, **spec: Any) -> None:
        self.put({**self.cluster, "spec": {**self.cluster["spec"], **spec}})

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        self.writes.append((manager, obj["status"]))
        if not self.blind:
            kept = {k: v for k, v in self.cluster["status"].items() if k != "update"}
            others = [c for c in kept.get("conditions") or () if c["type"] != CONDITION_UPDATES]
            status = {**kept, **obj["status"], "conditions": [*others, *obj["status"]["conditions"]]}
            self.put({**self.cluster, "status": status})
        return obj

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        self.events.append((reason, event_type, message))
        return True

    async def look(self) -> float | None:
        return await self.reconciler.reconcile(KEY)

    async def until(self, end: datetime) -> None:
        """Go on as the queue would; every update ends as soon as it is looked at again."""
        while self.clock.time < end:
            again = await self.look()
            assert again is not None
            self.clock.time += timedelta(seconds=max(again, 1.0))

    def told(self) -> list[str]:
        """Reasons of the Events since the last call."""
        found = [reason for reason, _, _ in self.events]
        self.events.clear()
        return found


def release(text: str, regular: str | None = "2026-12-01", expires: str | None = None) -> Object:
    return raw_release(text, regular, expires)
