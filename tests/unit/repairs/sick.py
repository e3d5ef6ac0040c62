"""Machines, well ones and sick ones: each builder gives a well one, and takes what the test is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from kaas.api.repair import RepairPolicy
from kaas.gpu.layouts import Layout
from kaas.repairs.evaluate import evaluate
from kaas.repairs.facts import Finding, MachineView, NodeCondition, NodeView, PoolFacts, ServerView
from kaas.repairs.ladders import bare_metal, gpu_vm
from kaas.repairs.subject import NO_PAST, Past
from kaas.repairs.traces import Trace

BORN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BORN + timedelta(days=2)
VERSION = "v1.36.1"
EIGHT = {"nvidia.com/gpu": 8}
VM, METAL = gpu_vm(), bare_metal()


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def condition(kind: str, status: str, reason: str = "", message: str = "", since: datetime = BORN) -> NodeCondition:
    return NodeCondition(kind, status, reason, message, since)


WELL: tuple[NodeCondition, ...] = (
    condition("MemoryPressure", "False"),
    condition("DiskPressure", "False"),
    condition("PIDPressure", "False"),
    condition("KernelDeadlock", "False"),
    condition("GpuXidError", "False", "GpuIsHealthy", "no XID"),
    condition("AcceleratedHardwareReady", "True"),
    condition("Ready", "True"),
)


def machine(**more: Any) -> MachineView:
    made = MachineView(
        key=("team", "m-1"),
        uid="u",
        cluster=("team", "c"),
        pool=("team", "c", "gpu"),
        site="north",
        zone="az-1",
        created=BORN,
        node="m-1",
        server="s-1",
        version=VERSION,
        infrastructure_ready=BORN + seconds(60),
    )
    return replace(made, **more)


def node(*bad: NodeCondition, **more: Any) -> NodeView:
    conditions = WELL
    for one in bad:
        conditions = (*(c for c in conditions if c.type != one.type), one)
    made = NodeView("m-1", "boot-1", VERSION, conditions, EIGHT, EIGHT, Layout(state="success"))
    return replace(made, **more)


def server(**more: Any) -> ServerView:
    return replace(ServerView("s-1", "ACTIVE", "Running", "", "host-1", "UP"), **more)


def pool(policy: RepairPolicy = VM, **more: Any) -> PoolFacts:
    return replace(PoolFacts(("team", "c", "gpu"), policy, 10, gpus_per_node=8), **more)


def look(
    a_machine: MachineView | None = None,
    a_node: NodeView | None = None,
    *,
    trace: Trace | None = None,
    now: datetime = NOW,
    past: Past = NO_PAST,
    **more: Any,
) -> tuple[Finding, ...]:
    """What is wrong with a well machine but for what is given. more: `server`, `pool`, `lost` when it has no Node."""
    found = None if more.get("lost") else a_node or node()
    return evaluate(
        a_machine or machine(),
        found,
        more.get("server", server()),
        more.get("pool", pool()),
        trace if trace is not None else Trace(),
        now,
        past,
    )


def names(findings: tuple[Finding, ...]) -> list[str]:
    return [f.signal for f in findings]
