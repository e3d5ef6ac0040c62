"""The life of a Cluster on real Cluster API, CAPO and OpenStack, as its user has it: from apply to nothing left."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from kaas.clusters.addresses import DESCRIPTION
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import condition, ref_of
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.connection import Session
from kaas.openstack.credentials import Credentials, from_secret
from kaas.openstack.facts import Leftovers
from tests.e2e.platform import Object, Platform, until

pytestmark = pytest.mark.e2e

NAME = "team-a"
OPENSTACK_CLUSTERS = "apis/infrastructure.cluster.x-k8s.io/v1beta1/openstackclusters"
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
    OPENSTACK_CLUSTERS,
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

    _capo_makes_its_address_twice(openstack)
    until("its floating IP is the only one again, and CAPO goes on", lambda: _one_address(openstack))
    until("the Cluster is Ready again", lambda: openstack.phase(NAME) == "Ready")

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


def _infrastructure(platform: Platform) -> Object:
    (found,) = platform.items(OPENSTACK_CLUSTERS)
    return found


def _capo_makes_its_address_twice(platform: Platform) -> None:
    """What CAPO leaves when it looks at an OpenStackCluster as it was before its own last write."""
    found = _infrastructure(platform)
    session = Session(_credentials(platform), 60.0)
    words = DESCRIPTION.format("default", NAME)
    network = found["status"]["externalNetwork"]["id"]
    second = session.cloud.network.create_ip(floating_network_id=network, description=words)
    session.close()

    async def name_it() -> None:
        async with await KubeClient.connect(platform.kubeconfig) as client:
            status = {"apiServerLoadBalancer": {"ip": second.floating_ip_address}}
            await client.patch(ref_of(found), {"status": status}, subresource="status")

    assert _leftovers(platform).floating_ips == 2
    asyncio.run(name_it())


def _one_address(platform: Platform) -> bool:
    found = _infrastructure(platform)
    named = found["status"]["apiServerLoadBalancer"]["ip"], found["spec"]["controlPlaneEndpoint"]["host"]
    ready = condition(found, "Ready")
    well = ready is not None and ready["status"] == "True"
    return well and named[0] == named[1] and _leftovers(platform).floating_ips == 1


def _credentials(platform: Platform) -> Credentials:
    """Those that the Site names."""
    secret = platform.get("api/v1/namespaces/kaas-system/secrets/lab-openstack")
    return from_secret(secret["data"], "openstack")


def _leftovers(platform: Platform) -> Leftovers:
    """What the project has in OpenStack."""
    credentials = _credentials(platform)

    async def ask() -> Leftovers:
        directory = CloudDirectory()
        try:
            return await directory.leftovers(credentials)
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
