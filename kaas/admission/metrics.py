"""Prometheus metrics that every webhook server has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds. A review takes one or two milliseconds; after five seconds nobody waits for it any more."""

RESULTS: Final = ("allowed", "patched", "denied", "malformed", "failed")


class Metrics:
    """All metrics of one process, in a registry of their own. Known label values are there from the start, as 0.

    prefix: of their names, as `kaas_credential`. webhooks: values of the label `webhook`.
    """

    def __init__(self, prefix: str, webhooks: Iterable[str]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(f"{prefix}_requests", "Reviews by result", ["webhook", "result"], registry=registry)
        self.seconds = Histogram(
            f"{prefix}_duration_seconds", "Duration of reviews", ["webhook"], buckets=BUCKETS, registry=registry
        )
        self.expiry = Gauge(
            f"{prefix}_certificate_expiry_seconds",
            "Seconds that the served certificate is still valid; negative when it ended, NaN while there is none",
            registry=registry,
        )
        self.in_flight = Gauge(f"{prefix}_in_flight", "Reviews that are being answered", registry=registry)
        for webhook in webhooks:
            self.seconds.labels(webhook)
            for result in RESULTS:
                self.requests.labels(webhook, result)

    def certificate(self, left: Callable[[], float]) -> None:
        """Show what `left` says, in seconds, whenever the metrics are asked for."""
        self.expiry.set_function(left)

    def text(self) -> tuple[bytes, str]:
        """Exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
