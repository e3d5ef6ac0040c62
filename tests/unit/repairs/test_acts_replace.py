"""A Machine is handed back to its owner, and its pool remembers it once."""

from __future__ import annotations

from kaas.api.repair import Action, Step
from kaas.repairs.acts.replace import Replace
from kaas.repairs.acts.task import Task
from kaas.repairs.facts import Patient
from kaas.repairs.machines import machine_view
from tests.unit.repairs.fake_fleet import KEY, Fleet


def task(fleet: Fleet) -> Task:
    view = machine_view(fleet.machine("m-1"), KEY, "north")
    return Task(Patient(view), None, Step(action=Action.REPLACE), fleet.clock.now(), "GPU lost")


async def test_said_twice_it_counts_once() -> None:
    fleet = Fleet()
    act, one = Replace(fleet.index.get, fleet.api), task(fleet)
    assert (await act(one, fleet.clock.now())).done
    await act(one, fleet.clock.now())
    assert [w for w in fleet.api.writes if w[1] == "MachineDeployment"] == [("patch", "MachineDeployment", "team-cpu")]
    said = {c["type"]: (c["status"], c["message"]) for c in fleet.machine("m-1")["status"]["conditions"][1:]}
    assert said == {"HealthCheckSucceeded": ("False", "GPU lost"), "OwnerRemediated": ("False", "GPU lost")}
    assert fleet.machine("m-1")["status"]["nodeRef"] == {"name": "m-1"}


async def test_a_machine_that_goes_is_not_asked_for() -> None:
    fleet = Fleet()
    one = task(fleet)
    fleet.api.change(fleet.machine("m-1"), {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert (await Replace(fleet.index.get, fleet.api)(one, fleet.clock.now())).done
    assert fleet.api.writes == []


async def test_a_machine_without_a_deployment_is_replaced_too() -> None:
    fleet = Fleet()
    one = task(fleet)
    fleet.api.change(fleet.machine("m-1"), {"metadata": {"labels": {"cluster.x-k8s.io/deployment-name": None}}})
    assert (await Replace(fleet.index.get, fleet.api)(one, fleet.clock.now())).done
    assert [w[1] for w in fleet.api.writes] == ["Machine"]
