"""Names, labels and networks, against what Kubernetes takes."""

from __future__ import annotations

import pytest

from kaas.api.fields import canonical_network, is_label_value, is_pool_label, is_qualified_name
from kaas.api.rules import Rule


@pytest.mark.parametrize("key", ["a", "A_b.c-d", "example.com/a", "a-b.c/D.e", "x" * 63, f"{'a.' * 126}a/b"])
def test_qualified_names(key: str) -> None:
    assert is_qualified_name(key)


@pytest.mark.parametrize("key", ["", "/a", "a/", "-a", "a.", "A.com/a", "a/b/c", "a b", "x" * 64, f"{'a.' * 127}a/b"])
def test_no_qualified_names(key: str) -> None:
    assert not is_qualified_name(key)


@pytest.mark.parametrize(("value", "good"), [("", True), ("a", True), ("a_B.c", True), ("-", False), ("a/b", False)])
def test_label_values(value: str, good: bool) -> None:
    assert is_label_value(value) is good


@pytest.mark.parametrize(
    "key", ["team", "example.com/team", "node.kubernetes.io/x", "a.kubelet.kubernetes.io/x", "mykubernetes.io/x"]
)
def test_labels_that_a_kubelet_may_set(key: str) -> None:
    assert is_pool_label(key)


@pytest.mark.parametrize(
    "key",
    [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "node-role.kubernetes.io/worker",
        "a.node-restriction.kubernetes.io/x",
        "k8s.io/x",
        "a.k8s.io/x",
        "cluster.x-k8s.io/cluster-name",
        "node.cluster.x-k8s.io/x",
        "kaas.internal/pool",
        "a.kaas.internal/x",
    ],
)
def test_reserved_labels(key: str) -> None:
    assert not is_pool_label(key)


@pytest.mark.parametrize("text", ["10.0.0.1/24", "10.0.0.0", "010.0.0.0/8", "10.0.0.0/255.0.0.0", "::/0", 7])
def test_networks_that_are_not_canonical(text: object) -> None:
    assert canonical_network(text) is None


def test_one_rule_has_one_twin() -> None:
    Rule("self != 'test'", "a test", check=bool)
    with pytest.raises(ValueError, match="two Python twins"):
        Rule("self != 'test'", "a test", check=callable)
