"""What is shown of a Cluster: facts, tree and table."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console, RenderableType

from kaas.api.constants import LABEL_POOL
from kaas.cli.table import age, row, table
from kaas.cli.tree import tree
from kaas.cli.view import NOT_LOOKED_AT, Mark, view
from kaas.clusters.snapshot import Live, Object, Snapshot
from tests.unit.clusters.builders import cluster, condition, machine, pool, raw_cluster, site, snapshot

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SINCE = "2026-03-01T09:00:00Z"
FAULT = "No valid host was found. There are not enough hosts available."


def status(phase: str = "Ready", *conditions: Object, **more: Any) -> Object:
    found = [{**c, "lastTransitionTime": SINCE} for c in conditions or (condition("Ready"),)]
    return {"phase": phase, "observedGeneration": 1, "conditions": found, **more}


def infrastructure(kind: str, name: str, *conditions: Object, **more: Any) -> Object:
    found = {"conditions": list(conditions), **more}
    return {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "status": found,
    }


def worker(name: str, of_pool: str, *conditions: Object, **more: Any) -> Object:
    found = machine(name, *conditions, **more)
    found["metadata"]["labels"][LABEL_POOL] = of_pool
    return found


def shown(what: RenderableType, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(what)
    return out.getvalue()


@pytest.fixture
def troubled() -> Snapshot:
    """A control plane that is well; a DGX pool with a server that Nova has no host for, and a Machine that goes."""
    ready = condition("Ready")
    why = condition("Ready", "False", "NotAvailable", f"WorkersReady: OpenStackServer dgx-1: {FAULT}")
    subject = cluster(
        nodePools=[pool("dgx", flavor="dgx", replicas=1)],
        metadata={"generation": 2},
        status=status(
            "Degraded",
            why,
            condition("ControlPlaneReady"),
            version="v1.36.1",
            endpoint={"host": "10.0.0.1", "port": 6443},
            kubeconfigSecret={"name": "team-kubeconfig"},
            plan=[{"id": "cluster", "reason": "change replicas", "waitsFor": "quota"}],
        ),
    )
    going = worker("old-1", "old", condition("Deleting", "True", "Draining", "* Drain not completed"))
    going["metadata"]["deletionTimestamp"] = SINCE
    live = Live(
        machines=[
            machine("cp-1", ready, control_plane=True, status={"phase": "Running"}, spec={"failureDomain": "az-1"}),
            worker("dgx-1", "dgx", condition("Ready", "Unknown"), status={"phase": "Provisioning"}),
            going,
        ],
        servers=[
            infrastructure("OpenStackServer", "cp-1", instanceState="ACTIVE", instanceID="id-1"),
            infrastructure(
                "OpenStackServer", "dgx-1", condition("InstanceReady", "False", "Error", FAULT), instanceState="ERROR"
            ),
        ],
    )
    return snapshot(subject, site(), live=live)


def test_groups_count_what_is_ready(troubled: Snapshot) -> None:
    found = view(troubled)
    facts = [(g.name, g.mark, g.ready, g.desired, g.gpu) for g in found.groups]
    assert facts == [
        ("control plane", Mark.MOVING, 1, 3, None),
        ("dgx", Mark.MOVING, 0, 1, "8 x A100-SXM4-40GB"),
        ("old", Mark.GOING, 0, None, None),
    ]


def test_a_machine_has_its_server_and_the_deepest_cause(troubled: Snapshot) -> None:
    ((healthy,), (dgx,), (old,)) = (g.machines for g in view(troubled).groups)
    assert healthy.mark is Mark.WELL
    assert healthy.zone == "az-1"
    assert healthy.server is not None
    assert (healthy.server.id, healthy.server.state) == ("id-1", "ACTIVE")
    assert dgx.why == f"OpenStackServer: {FAULT}"
    assert dgx.gpus == 8
    assert old.why == "* Drain not completed"


def test_the_tree_says_it_all(troubled: Snapshot) -> None:
    text = shown(tree(view(troubled)))
    for words in (
        "✘ tenants/team  Degraded  v1.36.1  on north  (a change has not been looked at yet)",
        "control plane  1/3 ready  cpu-2",
        "✔ cp-1  Running  az-1",
        "✔ server  ACTIVE  id-1",
        "dgx  0/1 ready  dgx  GPUs 8 x A100-SXM4-40GB",
        "… dgx-1  Provisioning  8 GPUs",
        f"OpenStackServer: {FAULT}",
        "✘ server  ERROR",
        "- old  0 ready",
        "cluster: change replicas  waits for: quota",
        "https://10.0.0.1:6443",
        "kaas kubeconfig team -n tenants",
    ):
        assert words in text


def test_the_brief_tree_leaves_out_what_holds(troubled: Snapshot) -> None:
    text = shown(tree(view(troubled), brief=True))
    assert "ControlPlaneReady" not in text
    assert "endpoint" not in text


def test_plain_data_is_camel_case_json(troubled: Snapshot) -> None:
    found = view(troubled).to_json()
    assert found["controlPlane"]["machines"][0]["mark"] == "well"
    assert type(found["mark"]) is str
    assert found["plan"][0]["waitsFor"] == "quota"


def test_a_cluster_that_nobody_looked_at() -> None:
    found = view(snapshot(cluster()))
    assert (found.phase, found.mark, found.why, found.current) == ("Pending", Mark.MOVING, NOT_LOOKED_AT, False)
    assert NOT_LOOKED_AT in shown(tree(found))


@pytest.mark.parametrize(
    ("phase", "ready", "mark"),
    [
        ("Running", "True", Mark.WELL),
        ("Running", "Unknown", Mark.MOVING),
        ("Running", "False", Mark.SICK),
        ("Provisioned", "False", Mark.MOVING),
        ("Failed", "False", Mark.SICK),
    ],
)
def test_unknown_is_not_unhealthy(phase: str, ready: str, mark: Mark) -> None:
    live = Live(machines=[worker("cpu-1", "cpu", condition("Ready", ready), status={"phase": phase})])
    (found,) = view(snapshot(cluster(), live=live)).pools[0].machines
    assert found.mark is mark


@pytest.mark.parametrize(
    ("since", "text"),
    [
        ("2026-03-01T11:59:18Z", "42s"),
        ("2026-03-01T11:53:00Z", "7m"),
        (SINCE, "3h"),
        ("2026-02-17T12:00:00Z", "12d"),
        ("2026-03-01T12:00:05Z", "0s"),
        (None, ""),
    ],
)
def test_age(since: str | None, text: str) -> None:
    assert age(since, NOW) == text


def test_row_of_a_cluster() -> None:
    counts = {"controlPlane": {"replicas": 3, "ready": 2}, "nodes": {"ready": 1, "desired": 2}, "version": "v1.36.1"}
    why = condition("Ready", "False", "NotReady", "WorkersReady: Machine x:\n no host")
    found = raw_cluster(metadata={"creationTimestamp": SINCE}, status=status("Degraded", why, **counts))
    expected = ("team", "Degraded", "v1.36.1", "2/3", "1/2", "north", "3h", "WorkersReady: Machine x: no host")
    assert row(found, NOW) == expected


def test_row_of_a_new_cluster() -> None:
    assert row(raw_cluster(), NOW) == ("team", "Pending", "v1.36.1", "0/3", "0/2", "north", "", "")


def test_table_has_namespaces_when_asked() -> None:
    assert "NAMESPACE" not in shown(table([raw_cluster()], NOW))
    assert "tenants    team" in shown(table([raw_cluster()], NOW, namespaces=True))


def test_nothing_is_cut_on_a_pipe() -> None:
    long = "x" * 500
    why = condition("Ready", "False", "NotReady", long)
    assert long in shown(table([raw_cluster(status=status("Degraded", why))], NOW), width=10_000)


def test_the_next_maintenance_in_a_line() -> None:
    window = {"start": "2026-03-03T22:00:00Z", "end": "2026-03-04T02:00:00Z"}
    said = {
        "version": "v1.36.3",
        "reason": "OutsideMaintenance",
        "nextTime": window["start"],
        "nextMaintenance": window,
    }
    waits = condition("VersionUpToDate", "False", "OutsideMaintenance", "later")
    subject = snapshot(cluster(status=status("Ready", condition("Ready"), waits, update=said)))
    lines = shown(tree(view(subject))).splitlines()
    assert "maintenance  2026-03-03 22:00 to 2026-03-04 02:00 UTC  v1.36.3" in lines
    assert "  … VersionUpToDate  OutsideMaintenance  later" in lines


@pytest.mark.parametrize(("status", "told"), [("False", "waits for ml/train"), ("True", "* Drain not completed")])
def test_a_machine_that_is_to_go_says_whom_it_waits_for(status: str, told: str) -> None:
    deleting = condition("Deleting", "True", "Draining", "* Drain not completed")
    going = worker("cpu-1", "cpu", condition("DrainAllowed", status, "PodsRunning", "waits for ml/train"), deleting)
    going["metadata"]["deletionTimestamp"] = SINCE
    (found,) = (m for g in view(snapshot(live=Live(machines=[going]))).groups for m in g.machines)
    assert found.why == told
