"""Prometheus metrics of the webhook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds. A review takes one or two milliseconds; after five seconds nobody waits for it any more."""

WEBHOOKS: Final = ("pods", "secrets")
RESULTS: Final = ("allowed", "patched", "denied", "malformed", "failed")


class Metrics:
    """All metrics of one process, in a registry of their own. Known label values are there from the start, as 0."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "kaas_credential_requests", "Reviews by result", ["webhook", "result"], registry=registry
        )
        self.seconds = Histogram(
            "kaas_credential_duration_seconds", "Duration of reviews", ["webhook"], buckets=BUCKETS, registry=registry
        )
        self.injected = Counter(
            "kaas_credential_injected",
            "Pods that were given credentials, by provider and by whose annotation asked for it",
            ["provider", "source"],
            registry=registry,
        )
        self.warnings = Counter(
            "kaas_credential_warnings", "Warnings shown to users, by reason", ["webhook", "reason"], registry=registry
        )
        self.lookups = Counter(
            "kaas_credential_lookups", "Requests to the API server by result", ["kind", "result"], registry=registry
        )
        self.expiry = Gauge(
            "kaas_credential_certificate_expiry_seconds",
            "Seconds that the served certificate is still valid; negative when it ended, NaN while there is none",
            registry=registry,
        )
        self.in_flight = Gauge("kaas_credential_in_flight", "Reviews that are being answered", registry=registry)
        for webhook in WEBHOOKS:
            self.seconds.labels(webhook)
            for result in RESULTS:
                self.requests.labels(webhook, result)

    def certificate(self, left: Callable[[], float]) -> None:
        """Show what `left` says, in seconds, whenever the metrics are asked for."""
        self.expiry.set_function(left)

    def text(self) -> tuple[bytes, str]:
        """Exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
