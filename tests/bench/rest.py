"""Requests to the API server while nothing changes, as the API server counts them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import yaml
from kaas_lab import lab

from tests import metrics
from tests.bench.bench import Bench
from tests.bench.controllers import until
from tests.bench.figures import Figure, Limit
from tests.e2e.platform import CRDS, Platform, platform

CLUSTERS = 3
LEASE_RENEWALS = 20.0  # a minute, of one leader: one each three seconds


def small_cluster(platform: Platform, name: str) -> None:
    """A Cluster in memory with a control plane and a worker."""
    document = yaml.safe_load((platform.examples / "team-dev.yaml").read_text())
    document["metadata"]["name"] = name
    document["spec"]["controlPlane"]["replicas"] = 1
    document["spec"]["nodePools"][0]["replicas"] = 1
    platform.apply(document)


def run(bench: Bench) -> Sequence[Figure]:
    """Some Clusters Ready on the in-memory provider, then minutes of rest."""
    minutes, clusters = bench.size(5.0, 0.5), bench.size(CLUSTERS, 1)
    with platform(bench.directory("rest"), lab.Options(parts=("dev",), crds=CRDS)) as found:
        found.kaas("apply", "-f", found.examples / "releases.yaml", "-f", found.examples / "site-dev.yaml")
        names = [f"rest-{n}" for n in range(clusters)]
        for name in names:
            small_cluster(found, name)
        bench.say(f"{clusters} Clusters are to become Ready")
        until("Clusters Ready", lambda: all(found.phase(n) == "Ready" for n in names), pause=1.0)
        settle(found)
        bench.say(f"{minutes:g} minutes of rest")
        return _figures(found, minutes, clusters)


def settle(platform: Platform, seconds: float = 20.0) -> None:
    """Return when the controller has written nothing for a while."""
    writes, since = platform.writes(), time.monotonic()
    while time.monotonic() - since < seconds:
        if (now := platform.writes()) != writes:
            writes, since = now, time.monotonic()
        time.sleep(1.0)


def _figures(platform: Platform, minutes: float, clusters: int) -> list[Figure]:
    before, ours = _counted(platform), platform.metrics()
    time.sleep(minutes * 60)
    all_requests = _counted(platform) - before
    grown = metrics.grown(ours, platform.metrics())
    leases = metrics.total(grown, "kaas_api_requests_total", kind="Lease")
    others = metrics.total(grown, "kaas_api_requests_total") - leases
    each = (all_requests - leases) / minutes / clusters
    note = f"{clusters} Clusters, {minutes:g} minutes; counted by kube-apiserver, watches that start anew included"
    return [
        Figure("API calls at rest, a Cluster and minute", each, "", Limit(1.0), note),
        Figure("the same, counted by the controller", others / minutes / clusters, ""),
        Figure("renewals of the Lease a minute", leases / minutes, "", Limit(LEASE_RENEWALS + 1), "whatever the fleet"),
    ]


def _counted(platform: Platform) -> float:
    return metrics.of_accounts(metrics.scrape_api_server(platform.api.url, platform.layout.certificates))
