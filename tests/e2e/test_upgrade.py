"""A new version of Kubernetes on OpenStack: control plane first, each machine with the image of its own version."""

from __future__ import annotations

import pytest

from tests.e2e.platform import Object, Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
CAPI = "apis/cluster.x-k8s.io/v1beta2/namespaces/default"
INFRASTRUCTURE = "apis/infrastructure.cluster.x-k8s.io/v1beta1/namespaces/default"


def _cluster(name: str, version: str, replicas: int) -> Object:
    pools = [{"name": "cpu", "flavor": "m1.small", "replicas": 1, "zones": ["az-2"]}]
    control_plane = {"replicas": replicas, "flavor": "m1.small"}
    spec = {"version": version, "site": "lab", "controlPlane": control_plane, "nodePools": pools}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": _meta(name), "spec": spec}


def _meta(name: str) -> Object:
    return {"name": name, "namespace": "default"}


@pytest.mark.parametrize("replicas", [1, 3])
def test_new_version_goes_through(openstack: Platform, replicas: int) -> None:
    name = f"up-{replicas}"
    openstack.apply(_cluster(name, OLD, replicas))
    until("Ready", lambda: openstack.phase(name) == "Ready")
    openstack.apply(_cluster(name, NEW, replicas))
    until("Updating", lambda: openstack.phase(name) == "Updating")
    until("Ready again", lambda: _is_through(openstack, name))
    assert _images(openstack, name) == {NEW: f"ubuntu-2404-kube-{NEW}"}
    machines = _of(openstack, f"{CAPI}/machines", name)
    assert {m["spec"]["version"] for m in machines} == {NEW}
    servers = _of(openstack, f"{INFRASTRUCTURE}/openstackmachines", name)
    assert {s["spec"]["image"]["filter"]["name"] for s in servers} == {f"ubuntu-2404-kube-{NEW}"}
    assert len(machines) == len(servers) == replicas + 1
    openstack.kaas("delete", name, "--wait", "--yes", "--timeout", "30m")


def _is_through(platform: Platform, name: str) -> bool:
    status = platform.cluster(name)["status"]
    return status["phase"] == "Ready" and status["version"] == NEW and len(_images(platform, name)) == 1


def _images(platform: Platform, name: str) -> Object:
    variables = platform.get(f"{CAPI}/clusters/{name}")["spec"]["topology"]["variables"]
    found: Object = next(v["value"] for v in variables if v["name"] == "images")
    return found


def _of(platform: Platform, path: str, name: str) -> list[Object]:
    return [o for o in platform.items(path) if o["metadata"]["labels"]["cluster.x-k8s.io/cluster-name"] == name]
