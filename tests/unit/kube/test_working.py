"""Whether what runs Pods has those that it is to have."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.kube import working


def workload(kind: str, status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"namespace": "x", "name": "a", "generation": 2}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("spec", "status", "lacks"),
    [
        ({"replicas": 2}, {}, "its controller has not seen it yet"),
        ({"replicas": 2}, {"observedGeneration": 1, "updatedReplicas": 2}, "its controller has not seen it yet"),
        ({"replicas": 2}, {"observedGeneration": 2, "updatedReplicas": 1}, "1 of 2 Pods are as it says"),
        ({"replicas": 2}, {"observedGeneration": 2, "updatedReplicas": 2}, "0 of 2 Pods work"),
        ({"replicas": 2}, {"observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 2}, ""),
        (  # a Pod of before works while the new one does not
            {"replicas": 1},
            {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1},
            "0 of 1 Pods work, and 1 of before are there still",
        ),
        ({}, {"observedGeneration": 2}, "0 of 1 Pods are as it says"),
        ({"replicas": 0}, {"observedGeneration": 2}, ""),
    ],
)
def test_a_deployment_lacks_what_is_not_as_it_says_or_does_not_work(
    spec: dict[str, Any], status: dict[str, Any], lacks: str
) -> None:
    assert working.deployment(workload("Deployment", status, **spec)) == lacks


PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}


@pytest.mark.parametrize(
    ("spec", "status", "lacks"),
    [
        ({"replicas": 3}, {"observedGeneration": 2, "updatedReplicas": 2}, "2 of 3 Pods are as it says"),
        ({"replicas": 3}, {"observedGeneration": 2, "updatedReplicas": 3}, "0 of 3 Pods work"),
        ({"replicas": 3}, {"observedGeneration": 2, "updatedReplicas": 3, "availableReplicas": 3}, ""),
        ({"replicas": 3} | PARTITION, {"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 3}, ""),
        ({"updateStrategy": {"type": "OnDelete"}}, {"observedGeneration": 2, "availableReplicas": 1}, ""),
    ],
)
def test_a_stateful_set_is_updated_as_far_as_it_says(spec: dict[str, Any], status: dict[str, Any], lacks: str) -> None:
    assert working.stateful_set(workload("StatefulSet", status, **spec)) == lacks


@pytest.mark.parametrize(
    ("status", "lacks"),
    [
        ({}, "its controller has not seen it yet"),
        ({"observedGeneration": 2, "desiredNumberScheduled": 3}, "0 of 3 Pods are as it says"),
        ({"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3}, "0 of 3 Pods work"),
        ({"observedGeneration": 2, "desiredNumberScheduled": 0}, ""),
    ],
)
def test_a_daemon_set_is_to_run_wherever_it_is_scheduled(status: dict[str, Any], lacks: str) -> None:
    assert working.daemon_set(workload("DaemonSet", status)) == lacks


def test_it_is_called_by_kind_namespace_and_name() -> None:
    assert working.called(workload("DaemonSet", {})) == "DaemonSet x/a"
