"""Pools as MachineDeployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.clusters.pools import CAPACITY, Deployment, deployments, share
from tests.unit.clusters.builders import cluster, pool, site


def split(pools: Sequence[dict[str, Any]], **spec: Any) -> tuple[Deployment, ...]:
    return deployments(cluster(nodePools=pools).spec.node_pools, site(**spec))


@given(st.integers(0, 1000), st.integers(1, 16))
def test_shares_sum_up_and_differ_by_one_at_most(replicas: int, parts: int) -> None:
    shares = share(replicas, parts)
    assert (sum(shares), len(shares)) == (replicas, parts)
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


@given(st.integers(0, 100), st.integers(1, 6))
def test_one_more_replica_changes_one_zone(replicas: int, parts: int) -> None:
    before, after = share(replicas, parts), share(replicas + 1, parts)
    assert sorted(b - a for a, b in zip(before, after, strict=True)) == [0] * (parts - 1) + [1]


def test_pool_over_zones() -> None:
    found = split([pool(replicas=4, zones=["az-1", "az-2", "az-3"])])
    assert [(d.name, d.replicas, d.zone) for d in found] == [
        ("cpu-az-1", 2, "az-1"),
        ("cpu-az-2", 1, "az-2"),
        ("cpu-az-3", 1, "az-3"),
    ]


def test_pool_without_zones_is_one() -> None:
    (found,) = split([pool()])
    assert (found.name, found.replicas, found.zone, found.drain_seconds) == ("cpu", 2, None, None)
    assert found.node_labels == "kaas.internal/pool=cpu"
    assert found.capacity == {f"{CAPACITY}/labels": "kaas.internal/pool=cpu"}


def test_gpu_pool() -> None:
    (found,) = split([pool("gpu", flavor="dgx", gpu={"drainTimeoutSeconds": 60})])
    assert found.drain_seconds == 60
    assert dict(found.labels) == {
        "kaas.internal/gpu-model": "A100-SXM4-40GB",
        "kaas.internal/pool": "gpu",
        "nvidia.com/gpu.present": "true",
    }
    assert [t.to_json() for t in found.taints] == [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    ]
    assert found.capacity[f"{CAPACITY}/gpu-count"] == "8"
    assert found.capacity[f"{CAPACITY}/gpu-type"] == "nvidia.com/gpu"
    assert found.capacity[f"{CAPACITY}/taints"] == "nvidia.com/gpu=present:NoSchedule"


def test_gpus_of_another_maker_have_their_own_taint() -> None:
    gpu = {"model": "MI300X", "count": 8, "resource": "amd.com/gpu"}
    (found,) = split([pool(flavor="mi")], flavors=[{"name": "mi", "gpu": gpu}])
    assert [t.key for t in found.taints] == ["amd.com/gpu"]
    assert "nvidia.com/gpu.present" not in dict(found.labels)


@pytest.mark.parametrize(
    ("model", "label"),
    [("A100-SXM4-40GB", "A100-SXM4-40GB"), ("RTX PRO 6000, 96 GB", "RTX-PRO-6000-96-GB"), ("(x)", "x")],
)
def test_model_becomes_a_label_that_a_kubelet_takes(model: str, label: str) -> None:
    (found,) = split([pool(flavor="g")], flavors=[{"name": "g", "gpu": {"model": model, "count": 1}}])
    assert dict(found.labels)["kaas.internal/gpu-model"] == label


@pytest.mark.parametrize("effect", ["NoExecute", "PreferNoSchedule"])
def test_effect_of_the_gpu_taint(effect: str) -> None:
    (found,) = split([pool(flavor="dgx", gpu={"taint": effect})])
    assert [t.effect for t in found.taints] == [effect]


def test_no_gpu_taint_when_not_wanted() -> None:
    (found,) = split([pool(flavor="dgx", gpu={"taint": "None"})])
    assert found.taints == ()


def test_own_taint_of_the_same_key_counts() -> None:
    own = {"key": "nvidia.com/gpu", "effect": "NoExecute"}
    (found,) = split([pool(flavor="dgx", taints=[own])])
    assert [t.to_json() for t in found.taints] == [own]


def test_empty_value_of_a_taint_is_none() -> None:
    """Cluster API refuses empty text."""
    (found,) = split([pool(taints=[{"key": "a", "value": "", "effect": "NoSchedule"}])])
    assert [t.to_json() for t in found.taints] == [{"key": "a", "effect": "NoSchedule"}]
    assert found.capacity[f"{CAPACITY}/taints"] == "a=:NoSchedule"


def test_order_of_labels_does_not_count() -> None:
    (one,) = split([pool(labels={"a": "1", "b": "2"})])
    (two,) = split([pool(labels={"b": "2", "a": "1"})])
    assert one.node_labels == two.node_labels == "a=1,b=2,kaas.internal/pool=cpu"
