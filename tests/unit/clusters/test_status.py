"""Status: phases, conditions with the deepest cause, counts; the same state is the same status."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import FINALIZER
from kaas.api.load import parse
from kaas.clusters.plan import plan
from kaas.clusters.snapshot import Live, Snapshot
from kaas.clusters.status import status
from tests.unit.clusters.builders import (
    Object,
    capi_cluster,
    capi_object,
    cluster,
    condition,
    deployment,
    machine,
    raw_cluster,
    settled,
    snapshot,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WELL = [
    condition(n) for n in ("InfrastructureReady", "ControlPlaneAvailable", "WorkersAvailable", "TopologyReconciled")
]
WAS_READY = {"phase": "Ready"}
ONE_UNWELL = {"replicas": 3, "readyReplicas": 2, "upToDateReplicas": 3}


def counted(kind: str, ready: int) -> Object:
    return {"replicas": ready, "readyReplicas": ready, "upToDateReplicas": ready, "availableReplicas": ready}


def live(*conditions: Object, **more: Any) -> Live:
    """A Cluster in which everything is well, but for the conditions given."""
    others = {c["type"] for c in conditions}
    found = [*conditions, *(c for c in WELL if c["type"] not in others)]
    has: dict[str, Any] = {
        "cluster": capi_cluster(*found),
        "control_plane": capi_object("KubeadmControlPlane", "cp", status=counted("cp", 3)),
        "deployments": [deployment("cpu", "cpu", **counted("cpu", 2))],
    }
    return Live(**{**has, **more})


def of(
    found: Live, *, before: Object | None = None, steps: list[Any] | None = None, refused: str | None = None
) -> Object:
    meta = {"finalizers": [FINALIZER]}
    subject = cluster(metadata=meta, status=before)
    said: Object = status(replace(settled(subject), live=found), steps or [], NOW, refused)["status"]
    return said


def cond(said: Object, name: str) -> Object:
    found: Object = next(c for c in said["conditions"] if c["type"] == name)
    return found


def test_ready() -> None:
    said = of(live())
    assert said["phase"] == "Ready"
    assert {c["type"]: c["status"] for c in said["conditions"]} == dict.fromkeys(
        ["Ready", "Accepted", "InfrastructureReady", "ControlPlaneReady", "WorkersReady", "UpToDate"], "True"
    )
    assert said["controlPlane"] == {"replicas": 3, "ready": 3, "upToDate": 3}
    assert said["nodePools"] == [
        {"name": "cpu", "replicas": 2, "ready": 2, "upToDate": 2, "available": 2, "version": "v1.36.1"}
    ]
    assert said["nodes"] == {"ready": 2, "desired": 2}


@pytest.mark.parametrize(
    ("found", "before", "phase"),
    [
        (Live(), None, "Pending"),
        (live(condition("WorkersAvailable", "False")), None, "Provisioning"),
        (live(condition("WorkersAvailable", "False")), {"phase": "Provisioning"}, "Provisioning"),
        (live(condition("WorkersAvailable", "False")), WAS_READY, "Degraded"),
        (live(condition("RollingOut")), WAS_READY, "Updating"),
        (live(condition("ScalingUp")), WAS_READY, "Updating"),
        (live(), WAS_READY, "Ready"),
        (live(control_plane=capi_object("KubeadmControlPlane", "cp", status=counted("cp", 2))), WAS_READY, "Updating"),
        (live(control_plane=capi_object("KubeadmControlPlane", "cp", status=ONE_UNWELL)), WAS_READY, "Degraded"),
    ],
)
def test_phase(found: Live, before: Object | None, phase: str) -> None:
    assert of(found, before=before)["phase"] == phase


def test_phase_when_a_change_waits_or_is_refused() -> None:
    steps = plan(Snapshot(cluster()))
    assert steps[0].gates
    assert of(live(), before=WAS_READY, steps=steps)["phase"] == "Blocked"
    assert of(live(), before=WAS_READY, refused="no")["phase"] == "Blocked"
    assert of(Live(), refused="no")["phase"] == "Pending"


def test_phase_of_a_deleted_cluster() -> None:
    meta = {"finalizers": [FINALIZER], "deletionTimestamp": "2026-05-01T00:00:00Z"}
    found = snapshot(cluster(metadata=meta), live=live())
    said = status(found, plan(found), NOW)["status"]
    assert (said["phase"], cond(said, "Ready")["reason"]) == ("Deleting", "Deleting")


def test_gate_says_when_it_is_looked_at_again() -> None:
    said = of(Live(), steps=plan(Snapshot(cluster())))
    accepted = cond(said, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "SiteNotFound")
    assert accepted["message"].endswith("(looked at again when it changes)")
    assert said["plan"][0]["waitsFor"].startswith("spec.site: there is no Site")


def test_deepest_cause_is_quoted() -> None:
    """Cluster, Machine, OpenStackMachine, OpenStackServer: what Nova said, not what was made of it above."""
    name = "team-cpu-1"
    found = live(
        condition("WorkersAvailable", "False", "NotAvailable", "0 of 2 available"),
        machines=[machine(name, condition("InfrastructureReady", "False", message="not ready"))],
        infrastructure_machines=[
            capi_object("OpenStackMachine", name, conditions=[condition("InstanceReady", "False", message="see below")])
        ],
        servers=[
            capi_object(
                "OpenStackServer",
                name,
                conditions=[condition("InstanceReady", "False", "InstanceStateError", "No valid\nhost was found")],
            )
        ],
    )
    said = cond(of(found), "WorkersReady")
    assert said["message"] == f"OpenStackServer {name}: No valid host was found"
    assert cond(of(found), "ControlPlaneReady")["status"] == "True"
    assert cond(of(found), "Ready")["message"] == f"WorkersReady: OpenStackServer {name}: No valid host was found"


def test_without_a_deeper_cause_cluster_api_speaks() -> None:
    said = cond(of(live(condition("WorkersAvailable", "False", "NotAvailable", "0 of 2\n available"))), "WorkersReady")
    assert (said["reason"], said["message"]) == ("NotAvailable", "0 of 2 available")


def test_what_is_not_reported_is_unknown() -> None:
    said = of(Live(cluster=capi_cluster()))
    assert cond(said, "InfrastructureReady")["status"] == "Unknown"
    assert cond(said, "UpToDate")["status"] == "Unknown"
    assert cond(said, "Ready")["status"] == "Unknown"


def test_condition_keeps_its_time_until_its_status_changes() -> None:
    first = of(live())
    before = {"phase": "Ready", "conditions": first["conditions"]}
    later = NOW + timedelta(hours=1)
    subject = cluster(metadata={"finalizers": [FINALIZER]}, status=before)

    def at(found: Live) -> Object:
        said: Object = status(replace(settled(subject), live=found), [], later)["status"]
        return said

    assert at(live())["conditions"] == first["conditions"]
    worse = at(live(condition("WorkersAvailable", "False")))
    assert cond(worse, "WorkersReady")["lastTransitionTime"] == "2026-05-01T13:00:00Z"
    assert cond(worse, "InfrastructureReady")["lastTransitionTime"] == "2026-05-01T12:00:00Z"


def test_pools_of_several_zones_are_counted_together() -> None:
    parts = [deployment(f"cpu-az-{n}", "cpu", **counted("cpu", n)) for n in (1, 2)]
    assert of(live(deployments=parts))["nodePools"][0]["ready"] == 3


@pytest.mark.parametrize(("versions", "oldest"), [(["v1.36.10", "v1.36.9"], "v1.36.9"), (["v1.36.1"], "v1.36.1")])
def test_version_is_the_oldest(versions: list[str], oldest: str) -> None:
    masters = {**counted("cp", 3), "versions": [{"version": v, "replicas": 1} for v in versions]}
    said = of(live(control_plane=capi_object("KubeadmControlPlane", "cp", status=masters)))
    assert said["version"] == oldest


def test_endpoint_and_kubeconfig() -> None:
    up = capi_cluster(
        *WELL, condition("ControlPlaneInitialized"), spec={"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 6443}}
    )
    said = of(live(cluster=up))
    assert said["endpoint"] == {"host": "10.0.0.1", "port": 6443}
    assert said["kubeconfigSecret"] == {"name": "team-kubeconfig"}
    assert "kubeconfigSecret" not in of(live())


@pytest.mark.parametrize("found", [Live(), live(), live(condition("WorkersAvailable", "False", message="x" * 9000))])
def test_status_fits_its_own_schema(found: Live) -> None:
    said = of(found, steps=plan(Snapshot(cluster())), refused="y" * 9000)
    assert isinstance(parse(raw_cluster(status=said)), Cluster)
