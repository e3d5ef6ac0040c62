"""A management cluster in memory around the real reconciler of updates."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from kaas.api.constants import ANNOTATION_MAINTENANCE, CONDITION_UPDATES
from kaas.api.update_status import Availability, Baseline
from kaas.kube import resources
from kaas.kube.objects import Object, condition
from kaas.kube.ports import EventType
from kaas.runtime.index import Index
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.reconciler import Office, UpdateReconciler
from kaas.updates.run import Case, Finding, Report, Verdict
from tests.unit.updates.subjects import NOW, Clock, raw_cluster, raw_release, raw_site

KEY = ("tenants", "team")


@dataclass
class Checks:
    """Who examines the Cluster. findings: before an update. verdicts: by step, all is well where there is none."""

    findings: tuple[Finding, ...] = ()
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    measured: bool = True
    watched: set[tuple[str, str]] = field(default_factory=set)
    probes: int = 0
    calls: list[str] = field(default_factory=list)

    async def preflight(self, case: Case, now: datetime) -> Report:
        self.calls.append("preflight")
        return Report(now, self.findings)

    async def verify(self, case: Case, step: str, now: datetime) -> Verdict:
        self.calls.append(step)
        return self.verdicts.get(step, Verdict(True, "all is well"))

    async def baseline(self, case: Case, now: datetime) -> Baseline | None:
        self.calls.append("baseline")
        return Baseline(taken=now) if self.measured else None

    def watch(self, key: tuple[str, str], before: Availability | None = None) -> None:
        self.watched.add(key)

    def availability(self, key: tuple[str, str]) -> Availability | None:
        if key not in self.watched:
            return None
        self.probes += 1
        return Availability(since=NOW, probes=self.probes, failed=0, longest_gap_milliseconds=500)

    def forget(self, key: tuple[str, str]) -> None:
        self.watched.discard(key)


@dataclass
class World:
    """One Cluster, its Site and Releases. blind: the watch does not show what the reconciler writes."""

    index: Index = field(default_factory=Index)
    clock: Clock = field(default_factory=Clock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    writes: list[tuple[str, Object]] = field(default_factory=list)
    checks: Checks = field(default_factory=Checks)
    blind: bool = False
    revision: int = 0

    def __post_init__(self) -> None:
        self.put(raw_site())
        self.put(raw_cluster())
        self.start()

    def start(self) -> None:
        """A new controller."""
        self.reconciler = UpdateReconciler(
            Office(self.index, self, self.clock, self, UpdateMetrics(self.registry_anew()), examiner=self.checks)
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

    def machines(self, version: str, pools: dict[str, str] | None = None) -> None:
        """The control plane runs a version, and each pool has one, with all machines as they are to be."""
        counts = {"replicas": 1, "ready": 1, "upToDate": 1}
        found = [{"name": n, **counts, "available": 1, "version": v} for n, v in (pools or {"cpu": version}).items()]
        self.change(version=version, controlPlane=counts | dict.fromkeys(counts, 3), nodePools=found)

    async def settle(self, looks: int = 20) -> None:
        """Look a few times, some seconds apart."""
        for _ in range(looks):
            await self.look()
            self.clock.time += timedelta(seconds=6)

    def step(self, name: str) -> Object:
        found: Object = next(s for s in self.update["steps"] if s["name"] == name)
        return found

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
