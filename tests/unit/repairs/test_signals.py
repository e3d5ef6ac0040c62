"""The table of signals: each row is seen when it should be, counts from when it began, and ends when it is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from kaas.api.repair import Action, SignalPolicy
from kaas.gpu.layouts import Layout
from kaas.repairs.conditions import CONDITIONS, GPU_FAULT, signal_of
from kaas.repairs.facts import Finding
from kaas.repairs.looks import request_problem
from kaas.repairs.signals import BY_NAME, SIGNALS, unknown
from kaas.repairs.traces import Trace
from tests.unit.repairs.sick import (
    BORN,
    METAL,
    NOW,
    VM,
    condition,
    look,
    machine,
    names,
    node,
    pool,
    seconds,
    server,
)

HOUR_AGO = NOW - timedelta(hours=1)


def of_node(kind: str, status: str = "True", reason: str = "Why") -> dict[str, Any]:
    return {"a_node": node(condition(kind, status, reason, "because", HOUR_AGO))}


# signal, what makes it, since when, GPUs that are lost
ROWS: list[tuple[str, dict[str, Any], datetime, int]] = [
    ("NodeNotReady", of_node("Ready", "False"), HOUR_AGO, 8),
    ("NodeSilent", of_node("Ready", "Unknown"), HOUR_AGO, 8),
    ("NodeMissing", {"lost": True}, NOW, 8),
    ("NeverJoined", {"a_machine": machine(node=None), "lost": True}, BORN + seconds(60), 8),
    ("DiskPressure", of_node("DiskPressure"), HOUR_AGO, 0),
    ("MemoryPressure", of_node("MemoryPressure"), HOUR_AGO, 0),
    ("PIDPressure", of_node("PIDPressure"), HOUR_AGO, 0),
    ("NetworkUnavailable", of_node("NetworkUnavailable"), HOUR_AGO, 8),
    ("ReadonlyFilesystem", of_node("ReadonlyFilesystem"), HOUR_AGO, 8),
    ("KernelDeadlock", of_node("KernelDeadlock"), HOUR_AGO, 8),
    ("KubeletRestarting", of_node("FrequentKubeletRestart"), HOUR_AGO, 0),
    ("RuntimeRestarting", of_node("FrequentContainerdRestart"), HOUR_AGO, 0),
    ("ContainerRuntimeUnhealthy", of_node("ContainerRuntimeReady", "False"), HOUR_AGO, 8),
    ("KernelNotReady", of_node("KernelReady", "False"), HOUR_AGO, 0),
    ("NetworkingNotReady", of_node("NetworkingReady", "False"), HOUR_AGO, 0),
    ("StorageNotReady", of_node("StorageReady", "False"), HOUR_AGO, 0),
    ("WrongVersion", {"a_node": node(version="v1.35.6")}, NOW, 0),
    ("Flapping", {"flaps": True}, HOUR_AGO, 0),
    ("GpuMissing", {"a_node": node(allocatable={"nvidia.com/gpu": 6})}, NOW, 2),
    ("GpuFault", of_node("AcceleratedHardwareReady", "False", "NvidiaXID79Error"), HOUR_AGO, 1),
    ("MigFailed", {"a_node": node(layout=Layout(state="failed"))}, NOW, 8),
    ("MigPending", {"a_node": node(layout=Layout(state="pending"))}, NOW, 8),
    ("ServerError", {"server": server(status="ERROR", fault="No route")}, NOW, 8),
    ("ServerStopped", {"server": server(status="SHUTOFF")}, NOW, 8),
    ("ServerGone", {"server": server(status="DELETED")}, NOW, 8),
    ("HealthCheck", {"a_machine": machine(health_check="Node failed")}, NOW, 8),
    ("Requested", {"a_machine": machine(request="")}, NOW, 0),
]


def seen(*, flaps: bool = False, **case: Any) -> tuple[Finding, ...]:
    trace = Trace(lapses=(NOW - seconds(60),) * 4, flapping=HOUR_AGO) if flaps else Trace()
    return look(**case, trace=trace)


@pytest.mark.parametrize(("signal", "case", "since", "gpus"), ROWS, ids=[r[0] for r in ROWS])
@pytest.mark.parametrize("policy", [VM, METAL], ids=["vm", "metal"])
def test_each_row_is_seen(signal: str, case: dict[str, Any], since: datetime, gpus: int, policy: Any) -> None:
    found = seen(**case, pool=pool(policy))
    assert names(found) == [signal]
    row, metal = BY_NAME[signal], policy is METAL
    assert (found[0].since, found[0].gpus) == (since, gpus)
    assert found[0].due == since + seconds(row.tolerated(metal=metal))
    assert (found[0].silent, found[0].cloud, found[0].asked) == (row.silent, row.cloud, row.asked)
    assert found[0].message
    if signal != GPU_FAULT:
        assert found[0].entry is row.entered(metal=metal)


def test_every_row_is_tested() -> None:
    assert {s.name for s in SIGNALS} == {row[0] for row in ROWS} | {"HostDown"}
    assert len(BY_NAME) == len(SIGNALS)


@pytest.mark.parametrize("status", ["DOWN", "UNKNOWN"])
def test_a_host_that_is_down_is_told_beside_a_node_that_is_not_well(status: str) -> None:
    host = server(host_status=status)
    found = look(a_node=node(condition("Ready", "Unknown", since=HOUR_AGO)), server=host)
    assert names(found) == ["NodeSilent", "HostDown"]
    assert found[1].entry is Action.WAIT
    assert "host-1" in found[1].message
    assert look(server=host) == ()


@pytest.mark.parametrize(("kind", "status"), CONDITIONS)
def test_each_condition_is_bad_in_one_status_only(kind: str, status: str) -> None:
    signal = CONDITIONS[kind, status]
    found = look(a_node=node(condition(kind, status, "R", "m", HOUR_AGO)))
    assert names(found) == [signal]
    other = {"True": "False", "False": "True", "Unknown": "True"}[status]
    assert signal_of(kind, other) is None


@pytest.mark.parametrize(
    ("kind", "status", "counts"),
    [
        ("GpuXidError", "True", True),
        ("GpuXidError", "False", False),
        ("GpuXidError", "Unknown", False),
        ("GPUUnhealthy", "True", True),
        ("GPUUnhealthy", "False", False),
        ("SysLogsXIDError", "True", True),
        ("GpuMemWatch", "True", True),
        ("GPUHealthy", "False", True),
        ("GPUHealthy", "True", False),
        ("GPUReady", "False", True),
        ("GpuNotReady", "True", True),
        ("NvidiaDriverInstalled", "True", False),
        ("NvidiaDriverInstalled", "False", False),
        ("GPUClockThrottling", "True", False),
        ("IBLinkFlapping", "True", False),
        ("KernelError", "True", False),
        ("AcceleratedHardwareReady", "Unknown", False),
    ],
)
def test_conditions_about_gpus_that_no_table_has(kind: str, status: str, counts: bool) -> None:
    assert signal_of(kind, status) == (GPU_FAULT if counts else None)


def test_a_machine_without_a_server_counts_from_its_own_beginning() -> None:
    (found,) = look(machine(node=None, infrastructure_ready=None, server=None), lost=True, server=None)
    assert (found.signal, found.since) == ("NeverJoined", BORN)
    assert "no server" in found.message


@pytest.mark.parametrize(("policy", "entry"), [(VM, Action.REPLACE), (METAL, Action.REBUILD)])
@pytest.mark.parametrize("more", [{"server": server(status="ERROR")}, {"health_check": "startup timed out"}])
def test_what_never_joined_is_not_rebooted(policy: Any, entry: Action, more: dict[str, Any]) -> None:
    check = {k: v for k, v in more.items() if k != "server"}
    servers = {k: v for k, v in more.items() if k == "server"}
    found = look(machine(node=None, **check), lost=True, pool=pool(policy), **servers)
    assert {f.entry for f in found} == {entry}


@pytest.mark.parametrize("status", ["SHUTOFF", "PAUSED", "SUSPENDED"])
def test_a_server_that_is_being_started_is_not_stopped(status: str) -> None:
    assert names(look(server=server(status=status))) == ["ServerStopped"]
    assert look(server=server(status=status, task="powering-on")) == ()


@pytest.mark.parametrize("status", ["RESCUE", "SHELVED", "SHELVED_OFFLOADED", "REBOOT", "HARD_REBOOT", "BUILD"])
def test_what_somebody_does_to_a_server_is_no_signal(status: str) -> None:
    assert look(server=server(status=status)) == ()


def test_novas_fault_is_quoted() -> None:
    (found,) = look(server=server(status="ERROR", fault="No valid host was found"))
    assert found.message == "Nova has the server in ERROR: No valid host was found"


def test_a_server_that_is_not_known_is_no_signal() -> None:
    assert look(server=None) == ()


@pytest.mark.parametrize(
    ("kubelet", "wanted", "wrong"),
    [
        ("v1.36.1", "v1.36.1", False),
        ("v1.36.1+build.7", "v1.36.1", False),
        ("", "v1.36.1", False),
        ("v1.36.1", "", False),
        ("v1.36.0", "v1.36.1", True),
    ],
)
def test_versions(kubelet: str, wanted: str, wrong: bool) -> None:
    found = look(machine(version=wanted), node(version=kubelet))
    assert names(found) == (["WrongVersion"] if wrong else [])


def test_a_machine_that_an_update_replaces_may_have_another_version() -> None:
    assert look(machine(outdated=True), node(version="v1.35.6")) == ()


def test_a_machine_that_goes_away_has_nothing_wrong_with_it() -> None:
    assert look(machine(deleting=True), lost=True, server=server(status="ERROR")) == ()


@pytest.mark.parametrize("action", Action)
def test_a_person_asks_for_an_action(action: Action) -> None:
    (found,) = look(a_node=node(request=action.value))
    assert (found.entry, found.asked, found.due) == (action, True, NOW)


def test_the_machines_request_comes_before_the_nodes() -> None:
    (found,) = look(machine(request="HardReboot"), node(request="Replace"))
    assert found.entry is Action.HARD_REBOOT


def test_a_wish_that_is_none_is_told_and_not_done() -> None:
    it = machine(request="Reeboot")
    assert look(it) == ()
    assert "'Reeboot'" in request_problem(it, None)
    assert "SoftReboot" in request_problem(it, None)
    assert request_problem(machine(request=""), None) == request_problem(machine(), node()) == ""


@pytest.mark.parametrize(("signal", "case", "_since", "_gpus"), ROWS, ids=[r[0] for r in ROWS])
def test_a_pool_can_have_each_row_otherwise(signal: str, case: dict[str, Any], _since: datetime, _gpus: int) -> None:
    def with_row(**more: Any) -> Any:
        return pool(VM.model_copy(update={"signals": (SignalPolicy(name=signal, **more),)}))

    assert seen(**case, pool=with_row(enabled=False)) == ()
    (found,) = seen(**case, pool=with_row(tolerance_seconds=7, entry=Action.QUARANTINE))
    assert found.due == found.since + seconds(7)
    assert found.entry is (Action.WAIT if signal == "Requested" else Action.QUARANTINE)


def test_names_that_no_signal_has() -> None:
    policy = VM.model_copy(update={"signals": (SignalPolicy(name="NodeSilent"), SignalPolicy(name="NodeTired"))})
    assert unknown(policy) == ("NodeTired",)


def test_several_things_are_told_in_the_order_of_the_table() -> None:
    found = look(
        a_node=node(condition("Ready", "False", since=HOUR_AGO), layout=Layout(state="failed")),
        server=server(status="ERROR"),
    )
    assert names(found) == ["NodeNotReady", "MigFailed", "ServerError"]
