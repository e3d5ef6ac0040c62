"""Clusters at rest: nobody of ours writes or asks, as the objects and the API server say."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from kaas.api.constants import FIELD_MANAGER, STATUS_MANAGER
from tests import metrics
from tests.e2e.platform import Object, Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

REST = timedelta(minutes=5)
QUIET = timedelta(seconds=60)  # without a write of ours before the rest begins
NAMES = ("rest-1", "rest-2", "rest-3")
WRITTEN = (
    "apis/kaas.internal/v1alpha1/clusters",
    "apis/kaas.internal/v1alpha1/sites",
    "apis/kaas.internal/v1alpha1/releases",
    "apis/cluster.x-k8s.io/v1beta2/clusters",
    "apis/cluster.x-k8s.io/v1beta2/clusterclasses",
    "apis/controlplane.cluster.x-k8s.io/v1beta2/kubeadmcontrolplanetemplates",
    "apis/bootstrap.cluster.x-k8s.io/v1beta2/kubeadmconfigtemplates",
    "apis/infrastructure.cluster.x-k8s.io/v1beta2/devclustertemplates",
    "apis/infrastructure.cluster.x-k8s.io/v1beta2/devmachinetemplates",
)
Times = dict[tuple[str, str], str]


def test_nothing_is_written_or_asked_at_rest(dev: Platform) -> None:
    dev.apply(*(_cluster(name) for name in NAMES))
    until("three Clusters Ready", lambda: all(dev.phase(n) == "Ready" for n in NAMES))
    until("no write of ours for a while", lambda: _is_quiet(dev))
    before, counted, leases = _our_times(dev), _counted(dev), _leases(dev)
    assert before

    time.sleep(REST.total_seconds())  # the rest itself is what is tested

    assert _our_times(dev) == before
    others = (_counted(dev) - counted) - (_leases(dev) - leases)
    minutes = REST.total_seconds() / 60
    assert others / minutes / len(NAMES) <= 1.0


def _cluster(name: str) -> Object:
    spec = {
        "version": "v1.36.1",
        "site": "dev",
        "controlPlane": {"replicas": 1, "flavor": "m1.medium"},
        "nodePools": [{"name": "cpu", "flavor": "m1.large", "replicas": 1}],
    }
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


def _our_times(platform: Platform) -> Times:
    """Object and field manager of ours to the time of its last write, which moves with every change."""
    found: Times = {}
    for path in WRITTEN:
        for obj in platform.items(path):
            for entry in obj["metadata"].get("managedFields") or ():
                if entry["manager"] in (FIELD_MANAGER, STATUS_MANAGER):
                    where = f"{path}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
                    found[(where, entry["manager"])] = entry["time"]
    return found


def _is_quiet(platform: Platform) -> bool:
    newest = max(map(datetime.fromisoformat, _our_times(platform).values()))
    return datetime.now(UTC) - newest > QUIET


def _counted(platform: Platform) -> float:
    """Requests of the controller's account, its Lease and whatever watches start anew included."""
    return metrics.of_accounts(metrics.scrape_api_server(platform.api.url, platform.layout.certificates))


def _leases(platform: Platform) -> float:
    """Requests about the Lease, of which the API server counts only the sum over all clients."""
    return metrics.total(platform.metrics(), "kaas_api_requests_total", kind="Lease")
