"""The management cluster as a real process, alone and with Cluster API."""

from __future__ import annotations

import pytest
from kaas_lab.api_server import ApiRefused
from kaas_lab.management import Management

GROUPS = (
    "cluster.x-k8s.io",
    "bootstrap.cluster.x-k8s.io",
    "controlplane.cluster.x-k8s.io",
    "infrastructure.cluster.x-k8s.io",
)


def test_bare_api_server_has_the_namespace(management: Management) -> None:
    assert management.api.version() == management.version
    assert management.api.request("GET", "api/v1/namespaces/kaas-system")["status"]["phase"] == "Active"


@pytest.mark.parametrize("group", GROUPS)
def test_cluster_api_is_served(capi_management: Management, group: str) -> None:
    assert capi_management.api.request("GET", f"apis/{group}")["name"] == group


def test_webhooks_answer(capi_management: Management) -> None:
    """What is wrong is refused by Cluster API itself, not by a connection that fails."""
    body = {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "MachineHealthCheck",
        "metadata": {"name": "wrong", "namespace": "default"},
        "spec": {"clusterName": "none", "selector": {}, "checks": {"nodeStartupTimeoutSeconds": 1}},
    }
    with pytest.raises(ApiRefused, match="nodeStartupTimeout"):
        capi_management.api.request(
            "POST", "apis/cluster.x-k8s.io/v1beta2/namespaces/default/machinehealthchecks", body
        )
