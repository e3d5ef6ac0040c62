"""Prometheus metrics of the credential webhook."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from kaas.admission import metrics

WEBHOOKS: Final = ("pods", "secrets")


class Metrics(metrics.Metrics):
    """What every webhook server has, and what was given to whom."""

    def __init__(self) -> None:
        super().__init__("kaas_credential", WEBHOOKS)
        registry = self.registry
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
