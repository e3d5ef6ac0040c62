"""The deepest cause of what is not well."""

from __future__ import annotations

from kaas.clusters.causes import MAX_LENGTH, of_cluster, of_infrastructure, of_machine, of_machines
from kaas.clusters.snapshot import Live
from tests.unit.clusters.builders import Object, capi_cluster, capi_object, condition, machine

NO = "False"


def server(name: str, *conditions: Object) -> Object:
    return capi_object("OpenStackServer", name, conditions=conditions)


def test_machine_that_is_well_has_none() -> None:
    assert of_machine(machine("m", condition("InfrastructureReady")), Live()) is None
    assert of_machine(machine("m"), Live()) is None


def test_first_aspect_that_does_not_hold_counts() -> None:
    found = machine(
        "m", condition("NodeReady", NO, message="late"), condition("InfrastructureReady", NO, message="first")
    )
    assert str(of_machine(found, Live())) == "Machine m: first"


def test_server_of_another_machine_does_not_count() -> None:
    live = Live(servers=[server("other", condition("InstanceReady", NO, message="no host"))])
    found = machine("m", condition("InfrastructureReady", NO, message="waiting"))
    assert str(of_machine(found, live)) == "Machine m: waiting"


def test_waiting_for_what_is_above_is_no_cause_below() -> None:
    live = Live(servers=[server("m", condition("InstanceReady", NO, "WaitingForBootstrapData", "waiting"))])
    found = machine("m", condition("BootstrapConfigReady", NO, message="no control plane yet"))
    assert str(of_machine(found, live)) == "Machine m: no control plane yet"


def test_machines_on_their_way_out_are_left_aside() -> None:
    bad = condition("NodeReady", NO, message="gone")
    machines = [machine("a", bad, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), machine("b", bad)]
    assert [c.name for c in of_machines(machines, Live())] == ["b"]


def test_failure_of_the_older_contract() -> None:
    broken = capi_object("OpenStackCluster", "o", status={"failureReason": "CreateError", "failureMessage": "no quota"})
    found = of_infrastructure(Live(infrastructure=broken))
    assert found is not None
    assert (found.reason, str(found)) == ("CreateError", "OpenStackCluster o: no quota")
    assert of_infrastructure(Live()) is None


def test_condition_of_the_infrastructure() -> None:
    broken = capi_object("OpenStackCluster", "o", conditions=[condition("Ready", NO, "NetworkFailed", "")])
    assert str(of_infrastructure(Live(infrastructure=broken))) == "OpenStackCluster o: NetworkFailed"


def test_condition_of_the_cluster() -> None:
    live = Live(cluster=capi_cluster(condition("TopologyReconciled", NO, message="class is missing")))
    assert str(of_cluster(live, ["TopologyReconciled"])) == "Cluster team: class is missing"
    assert of_cluster(live, ["Available"]) is None
    assert of_cluster(Live(), ["Available"]) is None


def test_words_are_cut_and_on_one_line() -> None:
    found = machine("m", condition("NodeReady", NO, message="a\n  b " + "x" * 2000))
    text = str(of_machine(found, Live()))
    assert text.startswith("Machine m: a b x")
    assert len(text) == len("Machine m: ") + MAX_LENGTH
