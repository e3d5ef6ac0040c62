"""What is missing because it is on its way is an update; what is missing because it broke is a fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kaas.api.constants import FINALIZER
from kaas.clusters.snapshot import Live
from kaas.clusters.status import SETTLE_SECONDS, settles_in, status
from tests.unit.clusters.builders import (
    Object,
    capi_cluster,
    capi_object,
    cluster,
    condition,
    deployment,
    machine,
    pool,
    settled,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WELL = [
    condition(n) for n in ("InfrastructureReady", "ControlPlaneAvailable", "WorkersAvailable", "TopologyReconciled")
]
JOINED: dict[str, Any] = {"status": {"nodeRef": {"name": "m"}, "conditions": [condition("Ready")]}}
BROKEN: dict[str, Any] = {"status": {"nodeRef": {"name": "m"}, "conditions": [condition("Ready", "False")]}}
IN_ERROR = {"instanceState": "ERROR", "instanceID": "id"}
FAILED = capi_object("OpenStackServer", "m", conditions=[condition("InstanceReady", "False", "ERROR")], status=IN_ERROR)


def counted(replicas: int, ready: int | None = None) -> Object:
    return {"replicas": replicas, "readyReplicas": replicas if ready is None else ready}


def said(*, phase: str = "Ready", before: Object | None = None, **live: Any) -> Object:
    """The status of a Cluster with a pool of two, of which everything is there but for what is given."""
    has: dict[str, Any] = {
        "cluster": capi_cluster(*WELL),
        "control_plane": capi_object("KubeadmControlPlane", "cp", status=counted(3)),
        "deployments": [deployment("cpu", "cpu", **counted(2))],
        **live,
    }
    subject = cluster(
        metadata={"finalizers": [FINALIZER]}, status={"phase": phase, **(before or {})}, nodePools=[pool(replicas=2)]
    )
    found: Object = status(replace(settled(subject), live=Live(**has)), [], NOW)["status"]
    return found


def ready(found: Object) -> Object:
    return next(c for c in found["conditions"] if c["type"] == "Ready")


def test_all_there_is_ready() -> None:
    assert said()["phase"] == "Ready"


@pytest.mark.parametrize(
    ("live", "words"),
    [
        ({"deployments": [deployment("cpu", "cpu", **counted(3))]}, "machines: pool cpu 3, wanted 2"),
        (
            {"deployments": [deployment("cpu", "cpu", **counted(2)), deployment("old", "old", **counted(0))]},
            "machines: pool old is on its way out",
        ),
        (
            {"control_plane": capi_object("KubeadmControlPlane", "cp", status=counted(5))},
            "machines: control plane 5, wanted 3",
        ),
    ],
)
def test_more_than_is_wanted_is_not_ready_yet(live: dict[str, Any], words: str) -> None:
    found = said(**live)
    assert found["phase"] == "Updating"
    assert (ready(found)["reason"], ready(found)["message"]) == ("ScalingDown", f"UpToDate: {words}")


def test_what_cluster_api_has_not_seen_yet_is_an_update() -> None:
    found = said(cluster=capi_cluster(*WELL, metadata={"generation": 2}))
    assert (found["phase"], ready(found)["status"]) == ("Updating", "Unknown")


@pytest.mark.parametrize(
    "live",
    [
        {"cluster": capi_cluster(*WELL[:-1], {**WELL[-1], "observedGeneration": 1}, metadata={"generation": 2})},
        {"deployments": [deployment("cpu", "cpu", **counted(2), observedGeneration=1)]},
    ],
    ids=["by the topology", "by a pool"],
)
def test_a_change_that_has_not_come_down_yet_is_an_update(live: dict[str, Any]) -> None:
    """Counts and conditions are still those from before it."""
    for part in live.get("deployments", ()):
        part["metadata"]["generation"] = 2
    if "cluster" in live:
        live["cluster"]["status"]["observedGeneration"] = 2
    found = said(**live)
    assert (found["phase"], ready(found)["reason"]) == ("Updating", "NotReported")


def test_machines_of_an_older_spec_are_an_update() -> None:
    """Before the Cluster API Cluster says so."""
    found = said(deployments=[deployment("cpu", "cpu", **counted(2), upToDateReplicas=1)])
    assert (found["phase"], ready(found)["reason"]) == ("Updating", "RollingOut")
    assert ready(found)["message"] == "UpToDate: machines that are not as the spec says: pool cpu 1"


def test_machines_that_are_not_made_yet_are_an_update() -> None:
    found = said(deployments=[deployment("cpu", "cpu", **counted(1))])
    assert (found["phase"], ready(found)["message"]) == ("Updating", "UpToDate: ready: pool cpu 1 of 2")


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        ("ClusterUpgrading", "Updating"),
        ("MachineDeploymentsUpgradePending", "Updating"),
        ("ReconcileFailed", "Degraded"),
        ("ClusterClassNotReconciled", "Degraded"),
    ],
)
def test_an_upgrade_that_waits_for_its_turn_is_an_update(reason: str, phase: str) -> None:
    conditions = [*WELL[:-1], condition("TopologyReconciled", "False", reason)]
    found = said(cluster=capi_cluster(*conditions))
    assert (found["phase"], ready(found)["reason"]) == (phase, reason)


SHORT = [deployment("cpu", "cpu", **counted(2, ready=1))]


@pytest.mark.parametrize(
    ("before", "one", "servers", "phase"),
    [
        pytest.param("Ready", machine("m"), [], "Updating", id="not a Node yet"),
        pytest.param("Ready", machine("m", **BROKEN), [], "Degraded", id="a Node that broke"),
        pytest.param("Updating", machine("m", **BROKEN), [], "Updating", id="a Node that just joined"),
        pytest.param("Updating", machine("m", **JOINED), [], "Degraded", id="a Node that is Ready"),
        pytest.param("Ready", machine("m"), [FAILED], "Degraded", id="a server that failed"),
        pytest.param("Updating", machine("m"), [FAILED], "Degraded", id="a server that failed in an update"),
        pytest.param(
            "Ready", machine("m", metadata={"deletionTimestamp": "t"}), [], "Degraded", id="a machine that goes"
        ),
    ],
)
def test_a_machine_on_its_way_is_an_update(before: str, one: Object, servers: list[Object], phase: str) -> None:
    assert said(phase=before, deployments=SHORT, machines=[one], servers=servers)["phase"] == phase


def test_a_pool_that_is_available_but_short_says_why() -> None:
    """Cluster API calls a pool available as long as no more are missing than may be."""
    found = said(deployments=SHORT, machines=[machine("m")], servers=[FAILED])
    assert ready(found)["message"] == "UpToDate: ready: pool cpu 1 of 2; OpenStackServer m: ERROR"


def reported(status: str, seconds_ago: float) -> Object:
    """What was said of UpToDate before."""
    since = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    return {"conditions": [condition("UpToDate", status, "Because", "") | {"lastTransitionTime": since}]}


@pytest.mark.parametrize("status", ["Unknown", "False"])
def test_nothing_is_believed_right_after_a_change(status: str) -> None:
    """Cluster API counts machines as up to date until it looks at them."""
    found = said(phase="Updating", before=reported(status, SETTLE_SECONDS - 1))
    assert (found["phase"], ready(found)["status"], ready(found)["reason"]) == ("Updating", "Unknown", "Settling")
    assert settles_in({"status": found}) == SETTLE_SECONDS
    found = said(phase="Updating", before=reported(status, SETTLE_SECONDS))
    assert found["phase"] == "Ready"
    assert settles_in({"status": found}) is None


def test_what_was_well_stays_so() -> None:
    assert said(before=reported("True", 0))["phase"] == "Ready"
