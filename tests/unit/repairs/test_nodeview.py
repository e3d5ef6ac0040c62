"""What is kept of a Node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kaas.gpu.layouts import Layout
from kaas.repairs.facts import NodeView
from kaas.repairs.nodeview import node_view

MADE = "2026-01-01T00:00:00Z"
DGX: dict[str, Any] = {
    "metadata": {
        "name": "dgx",
        "creationTimestamp": MADE,
        "labels": {"nvidia.com/mig.config": "all-1g.5gb", "nvidia.com/mig.config.state": "failed"},
        "annotations": {"kaas.internal/repair": ""},
    },
    "spec": {"unschedulable": True},
    "status": {
        "nodeInfo": {"bootID": "b1", "kubeletVersion": "v1.35.0"},
        "capacity": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "8", "nvidia.com/mig-1g.5gb": "7", "x.y/z": "1"},
        "allocatable": {"cpu": "7900m", "nvidia.com/gpu": "7", "nvidia.com/mig-1g.5gb": "0"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "kubelet is posting ready status",
                "lastTransitionTime": "2026-01-02T03:04:05Z",
                "lastHeartbeatTime": "2026-02-02T03:04:05Z",
            }
        ],
    },
}


def test_a_gpu_node() -> None:
    view = node_view(DGX)
    assert view.name == "dgx"
    assert (view.boot_id, view.version, view.layout) == ("b1", "v1.35.0", Layout("all-1g.5gb", "failed"))
    assert view.capacity == {"nvidia.com/gpu": 8, "nvidia.com/mig-1g.5gb": 7}
    assert view.allocatable == {"nvidia.com/gpu": 7, "nvidia.com/mig-1g.5gb": 0}
    assert (view.unschedulable, view.deleting, view.request) == (True, False, "")
    (ready,) = view.conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", "True", "KubeletReady")
    assert ready.since == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_heartbeat_is_no_change() -> None:
    later = {**DGX["status"]["conditions"][0], "lastHeartbeatTime": "2026-03-03T03:03:03Z"}
    beat = {**DGX, "status": {**DGX["status"], "conditions": [later], "images": ["many"]}}
    assert node_view(beat) == node_view(DGX)


def test_what_nodes_share_is_kept_once() -> None:
    one, two = node_view(DGX), node_view({**DGX, "status": dict(DGX["status"])})
    assert one.conditions[0].message is two.conditions[0].message
    assert one.version is two.version
    assert next(iter(one.capacity)) is next(iter(two.capacity))


def test_a_node_that_says_nothing() -> None:
    assert node_view({"metadata": {"name": "n"}}) == NodeView("n")
    leaving = {"metadata": {"name": "n", "deletionTimestamp": MADE}, "spec": {}, "status": {"conditions": [{}]}}
    assert node_view(leaving).deleting
    assert node_view(leaving).conditions[0].since == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("resource", "quantity", "devices"),
    [
        ("nvidia.com/gpu", "8", 8),
        ("nvidia.com/gpu", "1k", 1000),
        ("nvidia.com/gpu.shared", "16", 16),
        ("amd.com/gpu", "0", 0),
        ("gpu.intel.com/i915", "2", 2),
        ("example.com/vgpu", "2", None),
        ("nvidia.com/gpu", "lots", None),
        ("nvidia.com/gpu", "-1", None),
        ("gpu", "1", None),
        ("hugepages-1Gi", "1", None),
        ("example.com/amigo", "1", None),
        ("rdma/hca", "1", None),
    ],
)
def test_what_counts_as_a_gpu(resource: str, quantity: str, devices: int | None) -> None:
    view = node_view({"metadata": {"name": "n"}, "status": {"capacity": {resource: quantity}}})
    assert view.capacity.get(resource) == devices


@pytest.mark.parametrize(("stamp", "year"), [("2025-05-05T00:00:00+02:00", 2025), ("yesterday", 2026), (None, 2026)])
def test_a_condition_without_a_time_counts_since_the_node_was_made(stamp: str | None, year: int) -> None:
    status = {"conditions": [{"type": "X", "status": "True", "lastTransitionTime": stamp}]}
    view = node_view({"metadata": {"name": "n", "creationTimestamp": MADE}, "status": status})
    assert view.conditions[0].since.year == year
    assert view.conditions[0].since.tzinfo
