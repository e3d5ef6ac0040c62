"""Figures of loads and of Pods that wait for them, named `kaas_volumes_*`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kaas.loader.report import Result

_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_QUICK = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)


class VolumeMetrics:
    """Every metric of the feature."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._loads = Counter("kaas_volumes_loads", "Loads that ended, by reason", ["reason"], registry=registry)
        self._bytes = Counter("kaas_volumes_loaded_bytes", "Bytes that loads have fetched", registry=registry)
        self._seconds = Histogram(
            "kaas_volumes_load_seconds",
            "From a load's Job being made to the data being there",
            buckets=_SECONDS,
            registry=registry,
        )
        self._running = Gauge("kaas_volumes_running_loads", "Loads that run", registry=registry)
        self._waiting = Gauge("kaas_volumes_waiting_loads", "Loads that wait for their turn", registry=registry)
        self._gated = Gauge("kaas_volumes_gated_pods", "Pods that wait for data", registry=registry)
        self._oldest = Gauge(
            "kaas_volumes_oldest_gated_seconds", "For how long the oldest of them has waited", registry=registry
        )
        self._freed = Counter("kaas_volumes_freed_pods", "Pods whose gate was taken away", registry=registry)
        self._waited = Histogram(
            "kaas_volumes_pod_wait_seconds", "How long they had waited", buckets=_SECONDS, registry=registry
        )
        self._late = Histogram(
            "kaas_volumes_release_seconds",
            "From the end of a load to the gates of its Pods being taken away",
            buckets=_QUICK,
            registry=registry,
        )

    def watch_gates(self, count: Callable[[], int], oldest: Callable[[], float]) -> None:
        """Have the Pods that wait counted whenever metrics are asked for."""
        self._gated.set_function(count)
        self._oldest.set_function(oldest)

    def watch_loads(self, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        """Have loads counted whenever metrics are asked for."""
        self._running.set_function(running)
        self._waiting.set_function(waiting)

    def ended(self, reason: str, results: Sequence[Result], seconds: float) -> None:
        """A load ended; seconds since its Job was made."""
        self._loads.labels(reason).inc()
        self._bytes.inc(sum(max(0, r.bytes) for r in results))
        if reason == "Loaded":
            self._seconds.observe(seconds)

    def released(self, seconds: float) -> None:
        """The gates of a load's Pods are gone, so long after its end."""
        self._late.observe(seconds)

    def freed(self, waited: float) -> None:
        """A Pod was freed."""
        self._freed.inc()
        self._waited.observe(max(0.0, waited))
