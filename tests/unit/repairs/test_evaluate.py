"""What is wrong with a machine: nothing with one that is well, and everything with its clock for one that is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.gpu.layouts import Layout
from kaas.repairs import evaluate as module
from kaas.repairs.conditions import CONDITIONS
from kaas.repairs.evaluate import evaluate
from kaas.repairs.facts import Finding
from kaas.repairs.signals import BY_NAME, SIGNALS
from kaas.repairs.traces import Trace
from tests.unit.repairs.sick import METAL, NOW, VM, condition, look, machine, names, node, pool, seconds, server


def test_nothing_is_wrong_with_a_machine_that_is_well() -> None:
    trace = Trace()
    assert look(trace=trace) == ()
    assert (trace.well_since, trace.ready) == (NOW, True)
    assert look(trace=trace, server=None) == ()
    assert look(machine(skip=True), trace=trace) == ()
    assert look(a_node=node(unschedulable=True, deleting=True), trace=trace) == ()


def test_a_machine_that_is_well_is_not_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all are, and ten thousand of them must cost next to nothing."""
    monkeypatch.setattr(module, "Subject", None)
    trace = Trace()
    for minute in range(3):
        assert look(trace=trace, now=NOW + timedelta(minutes=minute)) == ()


@pytest.mark.parametrize(("policy", "tolerance"), [(VM, 300), (METAL, 600)], ids=["vm", "metal"])
def test_when_it_is_due(policy: Any, tolerance: int) -> None:
    lost = node(condition("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", NOW))
    for later in (0, tolerance - 1, tolerance, tolerance + 1):
        now = NOW + seconds(later)
        (found,) = look(a_node=lost, now=now, pool=pool(policy))
        assert (found.due <= now) is (later >= tolerance)
    assert found.message == "Ready is Unknown (NodeStatusUnknown: Kubelet stopped posting node status.)"


def test_a_node_whose_kubelet_never_reported_is_silent() -> None:
    (found,) = look(a_node=node(conditions=()))
    assert (found.signal, found.silent) == ("NodeSilent", True)


def test_a_request_and_a_sickness_are_both_told() -> None:
    found = look(a_node=node(condition("Ready", "False"), request="HardReboot"))
    assert names(found) == ["NodeNotReady", "Requested"]


def test_several_conditions_of_one_signal_are_one_finding() -> None:
    early = condition("FrequentDockerRestart", "True", "A", since=NOW - seconds(60))
    (found,) = look(a_node=node(condition("FrequentContainerdRestart", "True", "B", since=NOW), early))
    assert found.since == NOW - seconds(60)
    assert "FrequentContainerdRestart" in found.message
    assert "FrequentDockerRestart" in found.message


statuses = st.sampled_from(["True", "False", "Unknown"])
kinds = st.sampled_from(sorted({k for k, _ in CONDITIONS} | {"GpuXidError", "GPUHealthy", "SomethingElse"}))
nodes = st.none() | st.builds(
    node,
    st.builds(condition, kinds, statuses, st.sampled_from(["", "Xid79", "Xid13", "NvidiaDoubleBitError"])),
    st.builds(condition, kinds, statuses),
    layout=st.builds(
        Layout,
        st.sampled_from(["", "all-1g.5gb"]),
        st.sampled_from(["", "success", "pending", "failed"]),
        st.sampled_from(["", "single", "mixed"]),
    ),
    allocatable=st.sampled_from([{"nvidia.com/gpu": 8}, {"nvidia.com/gpu": 3}, {}]),
    version=st.sampled_from(["", "v1.36.1", "v1.35.6"]),
    request=st.sampled_from([None, "", "Replace", "nonsense"]),
)
machines = st.builds(
    machine,
    node=st.sampled_from([None, "m-1"]),
    outdated=st.booleans(),
    health_check=st.sampled_from([None, "", "sick"]),
    request=st.sampled_from([None, "", "SoftReboot"]),
    infrastructure_ready=st.sampled_from([None, NOW - seconds(3600)]),
)
servers = st.none() | st.builds(
    server,
    status=st.sampled_from(["ACTIVE", "ERROR", "SHUTOFF", "REBOOT", "DELETED", "RESCUE"]),
    task=st.sampled_from(["", "rebooting"]),
    host_status=st.sampled_from(["", "UP", "DOWN", "UNKNOWN", "MAINTENANCE"]),
)


@given(machines, nodes, servers, st.sampled_from([VM, METAL]))
def test_whatever_is_seen_is_told_in_order_and_with_its_clock(
    a_machine: Any, a_node: Any, a_server: Any, policy: Any
) -> None:
    the_pool, trace = pool(policy), Trace()
    found = evaluate(a_machine, a_node, a_server, the_pool, trace, NOW)
    order = [s.name for s in SIGNALS]
    assert names(found) == sorted(names(found), key=order.index)
    assert len(set(names(found))) == len(found)
    assert (trace.well_since is None) is bool(found)
    for finding in found:
        assert finding.since <= NOW
        assert finding.due - finding.since == seconds(BY_NAME[finding.signal].tolerated(metal=policy is METAL))
        assert 0 <= finding.gpus <= 8
    assert evaluate(a_machine, a_node, a_server, the_pool, trace, NOW) == found


@given(machines, nodes, servers)
def test_the_quick_look_misses_nothing(a_machine: Any, a_node: Any, a_server: Any) -> None:
    quick = _with(Trace(), a_machine, a_node, a_server)
    close = Trace(lapses=(NOW - seconds(7200),))  # with a lapse, however old, a machine is looked at closely
    assert quick == _with(close, a_machine, a_node, a_server)


def _with(trace: Trace, *subject: Any) -> tuple[Finding, ...]:
    a_machine, a_node, a_server = subject
    found = evaluate(a_machine, a_node, a_server, pool(), trace, NOW)
    return tuple(replace(f) for f in found)
