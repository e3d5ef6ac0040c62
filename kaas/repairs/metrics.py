"""Figures of repairs, for dashboards and alerts: what is done, with what result, how fast, what waits for people."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kaas.repairs.decisions import Finish, Hold, Plan
from kaas.repairs.facts import Patient, Progress, Try
from kaas.repairs.ward import Ward

_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 86400)
_HOUR = 3600.0


class RepairMetrics:
    """Every metric of the feature, named `kaas_repair_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._steps = Counter(
            "kaas_repair_steps", "Steps that ended", ["action", "cause", "outcome"], registry=registry
        )
        self._repairs = Counter("kaas_repairs", "Repairs that ended", ["cause", "outcome"], registry=registry)
        self._detect = Histogram(
            "kaas_repair_time_to_detect_seconds",
            "From the beginning of a fault to the first step",
            buckets=_SECONDS,
            registry=registry,
        )
        self._repair = Histogram(
            "kaas_repair_time_to_repair_seconds",
            "From the first step to a node that is well",
            buckets=_SECONDS,
            registry=registry,
        )
        self._breaker = Gauge("kaas_repair_breaker_open", "1 for a breaker that is open", ["scope"], registry=registry)
        self._sick = Gauge(
            "kaas_repair_nodes", "Sick nodes by what is done about them", ["site", "state"], registry=registry
        )
        self._held = Gauge("kaas_repair_held", "Nodes whose next step is held back", ["reason"], registry=registry)
        self._lost = Counter("kaas_repair_gpu_hours_lost", "GPU hours that sick nodes did not offer", registry=registry)
        self._counted: datetime | None = None

    def began(self, progress: Progress, patient: Patient | None, now: datetime) -> None:
        """A step was begun; the first of a repair tells how long the fault had lasted."""
        first = not any(t.outcome != "Skipped" for t in progress.tried) and progress.number == 1
        if first and patient and patient.findings:
            self._detect.observe((now - min(f.since for f in patient.findings)).total_seconds())

    def ended(self, progress: Progress, tried: Sequence[Try], end: Finish, now: datetime) -> None:
        """A repair is over."""
        for step in tried:
            self._steps.labels(str(step.action), step.cause, step.outcome).inc()
        self._repairs.labels(progress.cause, "Healed" if end.healed else "Ended").inc()
        if end.healed:
            self._repair.observe((now - progress.began).total_seconds())

    def planned(self, ward: Ward, found: Plan, now: datetime) -> None:
        """After each plan: who is sick, what is held back, which breakers are open."""
        self._breaker.clear()
        for breaker in found.breakers:
            self._breaker.labels(breaker.scope).set(1)
        self._held.clear()
        for reason, number in Count(d.reason for d in found.decisions if isinstance(d, Hold)).items():
            self._held.labels(reason).set(number)
        self._sick.clear()
        states = Count((p.machine.site, _state(p)) for p in ward.patients.values())
        for (site, state), number in states.items():
            self._sick.labels(site, state).set(number)
        self._count_lost(ward, now)

    def _count_lost(self, ward: Ward, now: datetime) -> None:
        before, self._counted = self._counted, now
        if before is not None:
            hours = max(0.0, (now - before).total_seconds()) / _HOUR
            self._lost.inc(hours * sum(ward.gpus_lost(p) for p in ward.patients.values()))


def _state(patient: Patient) -> str:
    if patient.progress is None:
        return "Sick"
    return "Quarantined" if patient.progress.quarantined else "UnderRepair"
