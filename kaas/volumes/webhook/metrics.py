"""Prometheus metrics of the volume webhook."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from kaas.admission import metrics

WEBHOOKS: Final = ("pods", "claims")


class Metrics(metrics.Metrics):
    """What every webhook server has, and how many Pods wait and why."""

    def __init__(self) -> None:
        super().__init__("kaas_volume_webhook", WEBHOOKS)
        self.gated = Counter("kaas_volume_webhook_gated", "Pods that were made to wait", registry=self.registry)
        self.born = Counter(
            "kaas_volume_webhook_born",
            "Claims that asked for a snapshot, by what they were given: snapshot, or the reason for none",
            ["result"],
            registry=self.registry,
        )
