"""kubeadm's configuration files, whole and wrong."""

from __future__ import annotations

import pytest
import yaml
from kaas_lab.machines import kubeadm
from kaas_lab.machines.kubeadm import KubeadmError

CLUSTER: dict[str, object] = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "ClusterConfiguration",
    "clusterName": "team-a",
    "kubernetesVersion": "v1.36.1",
    "controlPlaneEndpoint": "127.64.1.5:6443",
    "networking": {"podSubnet": "192.168.0.0/16", "serviceSubnet": "10.128.0.0/12"},
    "apiServer": {"extraArgs": [{"name": "event-ttl", "value": "30m"}], "certSANs": ["api.example.com"]},
}
INIT: dict[str, object] = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "InitConfiguration",
    "localAPIEndpoint": {"bindPort": 6444},
    "nodeRegistration": {
        "name": "CP-1",
        "kubeletExtraArgs": [
            {"name": "node-labels", "value": "a=b,c="},
            {"name": "register-with-taints", "value": "x=y:NoSchedule,z:NoExecute"},
        ],
    },
}
TOKEN: dict[str, object] = {
    "apiServerEndpoint": "127.64.1.5:6443",
    "token": "abcdef.0123456789abcdef",
    "caCertHashes": ["sha256:00"],
}
JOIN: dict[str, object] = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "JoinConfiguration",
    "discovery": {"bootstrapToken": TOKEN},
    "nodeRegistration": {"taints": [{"key": "dedicated", "value": "web", "effect": "PreferNoSchedule"}]},
}


def join(**discovery: object) -> str:
    return yaml.safe_dump({**JOIN, "discovery": {"bootstrapToken": {**TOKEN, **discovery}}})


def test_init() -> None:
    found = kubeadm.parse_init(yaml.safe_dump_all([CLUSTER, INIT]), "host")
    assert found.cluster is not None
    assert found.control_plane
    assert found.bind_port == 6444
    assert found.node.name == "cp-1"
    assert kubeadm.labels(found.node) == {"a": "b", "c": ""}
    assert kubeadm.taints(found) == [
        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
        {"key": "x", "value": "y", "effect": "NoSchedule"},
        {"key": "z", "effect": "NoExecute"},
    ]
    assert found.cluster.endpoint_host == "127.64.1.5"
    assert found.cluster.kubernetes_service == "10.128.0.1"
    assert found.cluster.api_server == (("event-ttl", "30m"),)
    assert found.cluster.cluster_name == "team-a"


def test_join_of_a_worker() -> None:
    found = kubeadm.parse_join(yaml.safe_dump(JOIN), "host-1")
    assert not found.control_plane
    assert found.node.name == "host-1"
    assert kubeadm.taints(found) == [{"key": "dedicated", "value": "web", "effect": "PreferNoSchedule"}]
    assert found.discovery is not None
    assert found.discovery.endpoint == "127.64.1.5:6443"


def test_join_of_a_control_plane() -> None:
    found = kubeadm.parse_join(yaml.safe_dump({**JOIN, "nodeRegistration": {}, "controlPlane": {}}), "cp-2")
    assert found.control_plane
    assert kubeadm.taints(found) == [kubeadm.CONTROL_PLANE_TAINT]


def test_no_taints_is_not_the_default_taint() -> None:
    text = yaml.safe_dump({**JOIN, "nodeRegistration": {"taints": []}, "controlPlane": {}})
    assert kubeadm.taints(kubeadm.parse_join(text, "cp-2")) == []


def test_maps_of_v1beta3() -> None:
    init = {
        "apiVersion": "kubeadm.k8s.io/v1beta3",
        "kind": "InitConfiguration",
        "nodeRegistration": {"kubeletExtraArgs": {"provider-id": "openstack:///1"}},
    }
    cluster = {**CLUSTER, "apiVersion": "kubeadm.k8s.io/v1beta3", "apiServer": {"extraArgs": {"v": "2"}}}
    found = kubeadm.parse_init(yaml.safe_dump_all([init, cluster]), "host")
    assert found.node.kubelet("provider-id") == "openstack:///1"
    assert found.cluster is not None
    assert found.cluster.api_server == (("v", "2"),)


@pytest.mark.parametrize(("version", "image"), [("v1.36.3", "v1.36.1"), ("v1.37.0", "v1.36.3")])
def test_a_version_newer_than_the_image(version: str, image: str) -> None:
    cluster = kubeadm.parse_cluster(yaml.safe_dump({**CLUSTER, "kubernetesVersion": version}))
    with pytest.raises(KubeadmError, match="newer than"):
        kubeadm.check_version(cluster, image)


@pytest.mark.parametrize("image", ["v1.36.1", "v1.36.3"])
def test_a_version_that_the_image_can_install(image: str) -> None:
    kubeadm.check_version(kubeadm.parse_cluster(yaml.safe_dump(CLUSTER)), image)


WRONG_INIT: dict[str, tuple[list[dict[str, object]], str]] = {
    "no ClusterConfiguration": ([INIT], "no ClusterConfiguration"),
    "an unknown version": ([{**CLUSTER, "apiVersion": "kubeadm.k8s.io/v1beta2"}], "is not known"),
    "no kind": ([{"a": "b"}], "no kind"),
    "no Kubernetes version": ([{**CLUSTER, "kubernetesVersion": "latest"}], "is no version"),
    "a wrong network": ([{**CLUSTER, "networking": {"podSubnet": "192.168.0.0/99"}}], "podSubnet"),
    "arguments that are no list": ([{**CLUSTER, "apiServer": {"extraArgs": "v=2"}}], "apiServer.extraArgs"),
    "external etcd": ([{**CLUSTER, "etcd": {"external": {"endpoints": ["https://a"]}}}], "stacked etcd only"),
    "a wrong name": (
        [CLUSTER, {**INIT, "nodeRegistration": {"name": "CI_MISSING_JINJA_VAR/x"}}],
        "no DNS subdomain",
    ),
}


@pytest.mark.parametrize("name", WRONG_INIT)
def test_wrong_init(name: str) -> None:
    documents, reason = WRONG_INIT[name]
    with pytest.raises(KubeadmError, match=reason):
        kubeadm.parse_init(yaml.safe_dump_all(documents), "host")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (yaml.safe_dump(INIT), "no JoinConfiguration"),
        ("a: [", "converting YAML"),
        (join(token="abc"), "token is invalid"),
        (join(caCertHashes=[]), "without caCertHashes"),
        (join(apiServerEndpoint="127.64.1.5"), "not host:port"),
        (yaml.safe_dump({**JOIN, "discovery": {"file": {"kubeConfigPath": "/a"}}}), "by token only"),
    ],
)
def test_wrong_join(text: str, reason: str) -> None:
    with pytest.raises(KubeadmError, match=reason):
        kubeadm.parse_join(text, "host")


def test_a_label_without_a_value() -> None:
    with pytest.raises(KubeadmError, match="not key=value"):
        kubeadm.labels(kubeadm.NodeRegistration("a", (("node-labels", "a"),)))


def test_a_taint_without_an_effect() -> None:
    node = kubeadm.NodeRegistration("a", (("register-with-taints", "a=b"),))
    with pytest.raises(KubeadmError, match="register-with-taints"):
        kubeadm.taints(kubeadm.Configuration(node))
