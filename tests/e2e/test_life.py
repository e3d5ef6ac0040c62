"""The life of a Cluster on real Cluster API, CAPO and OpenStack, as its user has it: from apply to nothing left."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import from_secret
from kaas.openstack.facts import Leftovers
from tests.e2e.platform import Object, Platform, until

pytestmark = pytest.mark.e2e

NAME = "team-a"
MADE_BY_CLUSTER_API = (
    "apis/cluster.x-k8s.io/v1beta2/clusters",
    "apis/cluster.x-k8s.io/v1beta2/clusterclasses",
    "apis/cluster.x-k8s.io/v1beta2/machines",
    "apis/cluster.x-k8s.io/v1beta2/machinesets",
    "apis/cluster.x-k8s.io/v1beta2/machinedeployments",
    "apis/cluster.x-k8s.io/v1beta2/machinehealthchecks",
    "apis/controlplane.cluster.x-k8s.io/v1beta2/kubeadmcontrolplanes",
    "apis/controlplane.cluster.x-k8s.io/v1beta2/kubeadmcontrolplanetemplates",
    "apis/bootstrap.cluster.x-k8s.io/v1beta2/kubeadmconfigs",
    "apis/bootstrap.cluster.x-k8s.io/v1beta2/kubeadmconfigtemplates",
    "apis/infrastructure.cluster.x-k8s.io/v1beta1/openstackclusters",
    "apis/infrastructure.cluster.x-k8s.io/v1beta1/openstackclustertemplates",
    "apis/infrastructure.cluster.x-k8s.io/v1beta1/openstackmachines",
    "apis/infrastructure.cluster.x-k8s.io/v1beta1/openstackmachinetemplates",
    "apis/infrastructure.cluster.x-k8s.io/v1alpha1/openstackservers",
    "apis/infrastructure.cluster.x-k8s.io/v1alpha1/openstackclusteridentities",
    "api/v1/namespaces/default/secrets",
)


def test_from_apply_to_nothing_left(openstack: Platform, tmp_path: Path) -> None:
    openstack.kaas("apply", "-f", openstack.examples / "team-a.yaml", "--wait", "--timeout", "30m")
    status = openstack.cluster(NAME)["status"]
    assert status["phase"] == "Ready"
    assert [(p["name"], p["ready"]) for p in status["nodePools"]] == [("cpu", 1), ("dgx", 1)]
    assert status["endpoint"]["host"].startswith("127.")
    tree = openstack.kaas("status", NAME).stdout
    assert "8 x A100" in tree
    assert "server" in tree

    nodes = _nodes(openstack, tmp_path)
    assert len(nodes) == 3
    assert {n["status"]["nodeInfo"]["kubeletVersion"] for n in nodes} == {"v1.36.1"}
    (dgx,) = (n for n in nodes if n["metadata"]["labels"].get("kaas.internal/pool") == "dgx")
    assert dgx["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"} in dgx["spec"]["taints"]
    assert _leftovers(openstack).total > 0

    openstack.kaas("delete", NAME, "--wait", "--yes", "--timeout", "30m")
    assert not openstack.cluster(NAME)
    assert str(_leftovers(openstack)) == "nothing"
    until("nothing is left in the management cluster", lambda: not _left_in_management(openstack))


def _nodes(platform: Platform, directory: Path) -> list[Object]:
    """The workload cluster's own answer, through its kubeconfig."""
    file = directory / "kubeconfig"
    file.write_text(platform.kaas("kubeconfig", NAME).stdout)

    async def ask() -> list[Object]:
        async with await KubeClient.connect(file) as client:
            return await client.list(resources.NODE)

    return asyncio.run(ask())


def _leftovers(platform: Platform) -> Leftovers:
    """What the project has in OpenStack, asked with the credentials that the Site names."""
    secret = platform.get("api/v1/namespaces/kaas-system/secrets/lab-openstack")

    async def ask() -> Leftovers:
        directory = CloudDirectory()
        try:
            return await directory.leftovers(from_secret(secret["data"], "openstack"))
        finally:
            directory.close()

    return asyncio.run(ask())


def _left_in_management(platform: Platform) -> list[str]:
    return [f"{path}: {o['metadata']['name']}" for path in MADE_BY_CLUSTER_API for o in platform.items(path)]


def test_what_is_printed_for_machines(openstack: Platform) -> None:
    listed = json.loads(openstack.kaas("status", "-A", "-o", "json").stdout)
    assert listed is not None
    rendered = openstack.kaas("render", *_files(openstack, "releases.yaml", "site-lab.yaml", "team-a.yaml")).stdout
    kinds = [d["kind"] for d in yaml.safe_load_all(rendered)]
    assert kinds[-1] == "Cluster"
    assert "ClusterClass" in kinds


def _files(platform: Platform, *names: str) -> list[str | Path]:
    return [word for name in names for word in ("-f", platform.examples / name)]
