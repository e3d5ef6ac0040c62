"""Cluster API's providers as processes: what each is started with, and at which ports it listens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaas_lab.layout import Layout

# Offsets into the management cluster's ports; a provider adds its number.
DOCKER_STUB, DEV_DEBUG = 8, 9
_WEBHOOK, _HEALTH, _DIAGNOSTICS = 10, 20, 30

# GOGC. Measured while four in-memory Clusters come up: 400 spares a provider 20 to 25 % of its processor time, for 20
# to 60 MB more.
_GARBAGE_COLLECTION = "400"

CORE = ("core", "cabpk", "kcp")

# A lab has one client of the API server worth limiting, the lab itself: CAPO's default is 20 requests a second.
_CLIENT = ("--kube-api-qps=300", "--kube-api-burst=600")
_CONTROLLER_GATES = {"ClusterTopology": True, "MachineTaintPropagation": True, "InPlaceUpdates": True}


@dataclass(frozen=True)
class Provider:
    """One provider: its program, its number among the ports, its feature gates and flags."""

    name: str
    program: str
    number: int
    gates: Mapping[str, bool]
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def webhook_port(self, layout: Layout) -> int:
        """Port of its admission and conversion webhooks."""
        return layout.management_port(_WEBHOOK + self.number)

    def health_port(self, layout: Layout) -> int:
        """Port of `/readyz`, without TLS."""
        return layout.management_port(_HEALTH + self.number)

    def diagnostics_port(self, layout: Layout) -> int:
        """Port of its metrics, without TLS."""
        return layout.management_port(_DIAGNOSTICS + self.number)

    def arguments(self, layout: Layout) -> list[str]:
        """Command line after the program."""
        gates = ",".join(f"{gate}={str(on).lower()}" for gate, on in self.gates.items())
        return [
            f"--webhook-port={self.webhook_port(layout)}",
            f"--webhook-cert-dir={layout.certificates}",
            f"--health-addr=127.0.0.1:{self.health_port(layout)}",
            f"--diagnostics-address=127.0.0.1:{self.diagnostics_port(layout)}",
            "--insecure-diagnostics=true",
            f"--feature-gates={gates}",
            *_CLIENT,
            *self.flags,
        ]


PROVIDERS = {
    p.name: p
    for p in (
        Provider("core", "capi-core", 0, {**_CONTROLLER_GATES, "RuntimeSDK": True}),
        Provider("cabpk", "capi-cabpk", 1, {"MachinePool": False}),
        Provider("kcp", "capi-kcp", 2, _CONTROLLER_GATES),
        # ReconcilerRateLimiting stays on: without it thirty Clusters never came up, for conflicts over Machine status.
        Provider("capdev", "capi-capdev", 3, {"ClusterTopology": True, "MachinePool": False}),
        Provider(
            "capo",
            "capo",
            4,
            {"AutoScaleFromZero": True},
            ("--openstackcluster-concurrency=20", "--openstackmachine-concurrency=40"),
        ),
    )
}


def environment(provider: Provider, layout: Layout) -> dict[str, str]:
    """Environment of a provider's process."""
    first, last = layout.dev_ports
    return {
        "GOGC": _GARBAGE_COLLECTION,
        "KUBECONFIG": str(layout.kubeconfig),
        # Of the Dev provider: host of its clusters' endpoints, their ports, and a Docker that it asks about sizes.
        "POD_IP": "127.0.0.1",
        "DOCKER_HOST": f"tcp://127.0.0.1:{layout.management_port(DOCKER_STUB)}",
        "LAB_DEV_PORT_FIRST": str(first),
        "LAB_DEV_PORT_LAST": str(last),
        "LAB_DEV_PORT_DEBUG": str(layout.management_port(DEV_DEBUG)),
        **provider.environment,
    }
