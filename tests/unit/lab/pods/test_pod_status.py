"""Phase and conditions of a Pod as its kubelet tells them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from kaas_lab.pods import podstatus
from kaas_lab.pods.podstatus import ContainerStatus, Ending

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(seconds=9)


def container(state: dict[str, Any], *, is_init: bool = False, restarts: int = 0) -> ContainerStatus:
    return ContainerStatus("main", "image", is_init, state, restarts=restarts)


def ended(code: int) -> dict[str, Any]:
    return podstatus.terminated(code, NOW, NOW, identity="lab://1")


WAITING, RUNNING = podstatus.waiting("ContainerCreating"), podstatus.running(NOW)


@pytest.mark.parametrize(
    ("states", "policy", "phase"),
    [
        ([WAITING], "Never", "Pending"),
        ([RUNNING], "Never", "Running"),
        ([RUNNING, WAITING], "Never", "Running"),
        ([ended(0)], "Never", "Succeeded"),
        ([ended(0)], "OnFailure", "Succeeded"),
        ([ended(0)], "Always", "Running"),
        ([ended(1)], "Never", "Failed"),
        ([ended(1)], "OnFailure", "Running"),
        ([ended(0), ended(1)], "Never", "Failed"),
        ([ended(0), RUNNING], "Never", "Running"),
    ],
)
def test_phase(states: list[dict[str, Any]], policy: str, phase: str) -> None:
    assert podstatus.phase([container(s) for s in states], [], policy, ended=False) == phase


def test_a_failed_init_container_fails_a_pod_that_does_not_restart() -> None:
    init = container(ended(1), is_init=True)
    assert podstatus.phase([container(WAITING)], [init], "Never", ended=False) == "Failed"
    assert podstatus.phase([container(WAITING)], [init], "Always", ended=False) == "Pending"


def test_a_pod_that_was_ended_has_failed_unless_all_of_it_did_its_work() -> None:
    assert podstatus.phase([container(RUNNING)], [], "Always", ended=True) == "Failed"
    assert podstatus.phase([container(ended(0))], [], "Always", ended=True) == "Succeeded"


def conditions(pod: dict[str, Any], statuses: list[ContainerStatus], ending: Ending | None = None) -> dict[str, Any]:
    body = podstatus.body(
        pod, statuses, [], now=LATER, started=NOW, addresses=("127.0.0.1", "10.244.0.1"), ending=ending
    )
    return {c["type"]: c for c in body["conditions"]}


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    before = [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    pod = {"metadata": {}, "spec": {}, "status": {"conditions": before}}
    assert conditions(pod, [container(WAITING)])["Ready"]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert conditions(pod, [container(RUNNING)])["Ready"]["lastTransitionTime"] == "2026-01-01T00:00:09Z"


def test_a_disruption_is_told() -> None:
    pod: dict[str, Any] = {"metadata": {}, "spec": {}}
    found = conditions(pod, [container(RUNNING)], Ending("Evicted", "low on memory", is_disruption=True))
    assert found["DisruptionTarget"]["reason"] == "TerminationByKubelet"
    assert "DisruptionTarget" not in conditions(pod, [container(RUNNING)])
