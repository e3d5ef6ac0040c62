"""Figures of drains with notice, for dashboards and alerts."""

from __future__ import annotations

from collections import Counter as Count

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kaas.updates.drains.facts import Gate

Key = tuple[str, str]
_BUCKETS = (10, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400)


class DrainMetrics:
    """Every metric of drains, named `kaas_update_drains_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting = Gauge(
            "kaas_update_drains_waiting", "Machines that are to go and wait, by why", ["reason"], registry=registry
        )
        self._begun = Counter(
            "kaas_update_drains_begun",
            "Machines that were given to Cluster API to drain, by why",
            ["reason"],
            registry=registry,
        )
        self._waited = Histogram(
            "kaas_update_drains_waited_seconds",
            "From the deletion of a machine until it was drained",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._reasons: dict[Key, str] = {}
        self._counts: Count[str] = Count()

    def waits(self, key: Key, gate: Gate) -> None:
        """A machine waits."""
        self._set(key, str(gate.reason))

    def begun(self, key: Key, gate: Gate, seconds: float) -> None:
        """A machine is drained, so many seconds after it was deleted."""
        self._set(key, None)
        self._begun.labels(str(gate.reason)).inc()
        self._waited.observe(max(0.0, seconds))

    def forget(self, key: Key) -> None:
        """The machine is gone, or was taken out of our hands."""
        self._set(key, None)

    def _set(self, key: Key, reason: str | None) -> None:
        before = self._reasons.pop(key, None)
        if reason is not None:
            self._reasons[key] = reason
            self._counts[reason] += 1
        if before is not None:
            self._counts[before] -= 1
        for changed in {before, reason} - {None}:
            self._waiting.labels(changed).set(self._counts[str(changed)])
