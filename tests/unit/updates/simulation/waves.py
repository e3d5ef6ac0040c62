"""The Rollouts of a simulated fleet: the real reconciler, and what wakes it and those whose turn it changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final
from unittest.mock import patch

from prometheus_client import CollectorRegistry

from kaas.api.constants import API_VERSION
from kaas.api.parsed import Parsed
from kaas.api.rollout import Rollout
from kaas.api.site import Site, SiteMetrics
from kaas.cli.updating import CurrentTurns
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.kube.ports import Announcer, Times
from kaas.kube.times import stamp
from kaas.runtime.index import Index
from kaas.updates.rollouts import reconciler
from kaas.updates.rollouts.metering import Meter
from kaas.updates.rollouts.metrics import RolloutMetrics
from kaas.updates.rollouts.reconciler import Office, RolloutReconciler, Writer
from kaas.updates.rollouts.watched import Wakes, concern_of_cluster
from tests.unit.updates.simulation.member import FOREVER, Key

KIND: Final = {"apiVersion": API_VERSION, "kind": "Rollout"}


async def _no_metrics(_: SiteMetrics, _expression: str) -> float | None:
    """No Site of a simulation has any."""
    return None


def _no_site(_: str) -> Site | None:
    return None


class Waves:
    """All Rollouts of a world."""

    def __init__(self, index: Index, parsed: Parsed, clock: Times) -> None:
        self.index, self.parsed, self.clock = index, parsed, clock
        self.raw: dict[str, Object] = {}
        self.turns = CurrentTurns(index, parsed)
        self._wakes = Wakes()
        self._concerns: dict[Key, Any] = {}

    def start(self, writer: Writer, events: Announcer) -> None:
        """A new controller."""
        meter, metrics = Meter(_no_metrics, _no_site), RolloutMetrics(CollectorRegistry())
        office = Office(self.index, writer, self.clock, events, meter, metrics, self.parsed)
        self._reconciler = RolloutReconciler(office)
        self.turns, self._wakes = CurrentTurns(self.index, self.parsed), Wakes()

    def add(self, name: str, spec: Object) -> Object:
        """A person makes a Rollout."""
        meta = {"name": name, "uid": f"uid-{name}", "generation": 1, "creationTimestamp": stamp(self.clock.now())}
        self.raw[name] = {**KIND, "metadata": meta, "spec": spec}
        return self.raw[name]

    def annotated(self, name: str, annotation: str, value: str) -> Object:
        """A person says something to it."""
        raw = self.raw[name]
        told = {**raw["metadata"].get("annotations", {}), annotation: value}
        self.raw[name] = {**raw, "metadata": {**raw["metadata"], "annotations": told}}
        return self.raw[name]

    def written(self, obj: Object) -> Object:
        """Its status is written."""
        name = obj["metadata"]["name"]
        self.raw[name] = {**self.raw[name], "status": obj["status"]}
        return self.raw[name]

    def woken(self, name: str) -> list[Key]:
        """Clusters of which it says another thing now."""
        every = [(c["metadata"]["namespace"], c["metadata"]["name"]) for c in self.index.list(resources.CLUSTER)]
        return list(self._wakes.woken(self.raw[name], every, is_there=True))

    def are_concerned(self, key: Key, cluster: Object) -> bool:
        """Whether a change of a Cluster is one that Rollouts look at."""
        if not self.raw:
            return False
        concern, before = concern_of_cluster(cluster), self._concerns.get(key)
        self._concerns[key] = concern
        return bool(concern != before)

    def look(self, name: str) -> timedelta | None:
        """The real reconciler; returns after which time it looks again."""
        with patch.object(reconciler, "LONGEST", FOREVER.total_seconds()):
            again = asyncio.run(self._reconciler.reconcile(name))
        return None if again is None or again >= FOREVER.total_seconds() else timedelta(seconds=again)

    def model(self, name: str) -> Rollout:
        return Rollout.model_validate(self.raw[name])
