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


@pytest.mark.parametrize(
    ("updated", "available", "absent", "lacks"),
    [
        (3, 2, 1, ""),
        (2, 2, 1, ""),
        (2, 2, 0, "2 of 3 Pods are as it says"),
        (3, 1, 1, "1 of 2 Pods work"),
        (1, 2, 1, "1 of 2 Pods are as it says"),
        (0, 0, 5, ""),
    ],
)
def test_a_daemon_set_may_lack_pods_on_nodes_that_are_not_ready(
    updated: int, available: int, absent: int, lacks: str
) -> None:
    status = {"observedGeneration": 2, "desiredNumberScheduled": 3}
    found = workload("DaemonSet", status | {"updatedNumberScheduled": updated, "numberAvailable": available})
    assert working.problem(found, absent) == lacks


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_others_have_their_pods_on_nodes_that_are_ready(kind: str) -> None:
    found = workload(kind, {"observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 1}, replicas=2)
    assert working.problem(found, 1) == "1 of 2 Pods work"


@pytest.mark.parametrize(("ready", "absent"), [((), 0), ((True, True), 0), ((True, False, False), 2), ((False,), 0)])
def test_pods_may_lack_on_as_many_nodes_as_are_not_ready_unless_none_is(ready: tuple[bool, ...], absent: int) -> None:
    assert working.absent(ready) == absent


@pytest.mark.parametrize(
    ("kind", "status", "progress"),
    [
        ("DaemonSet", {"updatedNumberScheduled": 3, "numberAvailable": 2}, 5),
        ("DaemonSet", {"updatedNumberScheduled": 3, "numberAvailable": 2, "observedGeneration": 1}, 0),
        ("Deployment", {"updatedReplicas": 1, "availableReplicas": 3}, 3),  # one more for a while than it is to have
        ("StatefulSet", {"availableReplicas": 2}, 2),
        ("Deployment", {}, 0),
    ],
)
def test_it_is_further_the_more_pods_are_new_and_the_more_work(
    kind: str, status: dict[str, Any], progress: int
) -> None:
    assert working.progress(workload(kind, {"observedGeneration": 2} | status, replicas=2)) == progress


def test_it_is_called_by_kind_namespace_and_name() -> None:
    assert working.called(workload("DaemonSet", {})) == "DaemonSet x/a"
