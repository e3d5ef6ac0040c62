"""How each signal is seen: functions from a machine at one moment to what is wrong, None when nothing is. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from kaas.api.repair import Action
from kaas.gpu.layouts import CHANGING, FAILED
from kaas.repairs.conditions import GPU_FAULT, NODE_NOT_READY, NODE_SILENT
from kaas.repairs.devices import lacking
from kaas.repairs.facts import SUCCEEDED, MachineView, NodeView
from kaas.repairs.gpu_faults import judge, quoted
from kaas.repairs.subject import Seen, Subject
from kaas.repairs.traces import CALM, FLAPPING_WINDOW
from kaas.repairs.xids import RECURRING_SECONDS

Look = Callable[[Subject], Seen | None]

GONE: Final = frozenset({"DELETED", "SOFT_DELETED"})
"""Statuses of a server that Nova has no more; what it answers 404 for counts as DELETED."""
STOPPED: Final = frozenset({"SHUTOFF", "STOPPED", "PAUSED", "SUSPENDED"})
"""Not running, and started by a hard reboot. Source: Nova API, preconditions of the action `reboot`.

RESCUE and SHELVED are left out: a person has done that, and what they want is not known.
"""
HOST_AWAY: Final = frozenset({"DOWN", "UNKNOWN"})
"""`host_status` of a hypervisor of which Nova hears nothing; MAINTENANCE is somebody's wish. Source: Nova API 2.16."""

_REBOOTS: Final = frozenset({Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.POWER_CYCLE, Action.REBUILD})


def condition(signal: str) -> Look:
    """A look at the Node's conditions of a signal: since the first of them, all of them told."""

    def look(subject: Subject) -> Seen | None:
        found = subject.bad.get(signal)
        if not found:
            return None
        return Seen("; ".join(quoted(c) for c in found), min(c.since for c in found))

    return look


def node_not_ready(subject: Subject) -> Seen | None:
    """Ready is False."""
    return _since_lost(subject, condition(NODE_NOT_READY)(subject))


def _since_lost(subject: Subject, seen: Seen | None) -> Seen | None:
    """Counted from when Ready was lost: its time changes again when it turns from False to Unknown or back."""
    lost = subject.trace.lost
    if seen is None or seen.since is None or lost is None:
        return seen
    return replace(seen, since=min(lost, seen.since))


def node_silent(subject: Subject) -> Seen | None:
    """Ready is Unknown, or was never said."""
    node = subject.node
    if node is not None and not any(c.type == "Ready" for c in node.conditions):
        return Seen("the Node has no condition Ready: its kubelet never reported")
    return _since_lost(subject, condition(NODE_SILENT)(subject))


def node_missing(subject: Subject) -> Seen | None:
    """The machine joined, and its Node is gone."""
    if subject.joined and subject.node is None:
        return Seen(f"Node {subject.machine.node} is gone from the cluster")
    return None


def never_joined(subject: Subject) -> Seen | None:
    """A machine without a Node, counted from when its server was made, and from its own beginning before that."""
    machine = subject.machine
    if subject.joined:
        return None
    if machine.infrastructure_ready is None:
        return Seen("the machine has no server yet", machine.created)
    return Seen("the server is made, and no Node has joined", machine.infrastructure_ready)


def gpu_missing(subject: Subject) -> Seen | None:
    """Fewer GPUs can be had than there are, or than there should be; not while MIG is being set up."""
    node = subject.node
    if node is None or node.layout.state in CHANGING:
        return None
    number, message = lacking(node, subject.pool.gpus_per_node)
    return Seen(message, gpus=number) if number else None


def gpu_fault(subject: Subject) -> Seen | None:
    """A monitor says that a GPU is at fault, and it is not the workload's."""
    found = subject.bad.get(GPU_FAULT)
    if not found:
        return None
    verdict = judge(found, subject.pool.policy, _recurred(subject))
    if verdict is None:
        return None
    return Seen(verdict.message, verdict.since, verdict.gpus, verdict.entry, verdict.xids)


def _recurred(subject: Subject) -> Counter[int | None]:
    """Repairs of GPU faults in the last day that worked: by XID as far as it is known which they were for."""
    day = subject.now - timedelta(seconds=RECURRING_SECONDS)
    ended = [
        t.ended
        for t in subject.past.history
        if t.cause == GPU_FAULT and t.outcome == SUCCEEDED and t.action in _REBOOTS and t.ended >= day
    ]
    seen = {number: first for number, (first, last) in subject.trace.xids.items() if last >= day}
    counted: Counter[int | None] = Counter()
    for time in ended:
        xids = [number for number, first in seen.items() if first <= time]
        counted.update(xids or (None,))
    return counted


def mig_failed(subject: Subject) -> Seen | None:
    """MIG Manager gave up."""
    if subject.node is not None and subject.node.layout.state == FAILED:
        return Seen("nvidia.com/mig.config.state is failed: the GPUs are not partitioned as they should be")
    return None


def mig_pending(subject: Subject) -> Seen | None:
    """MIG Manager is at it."""
    if subject.node is not None and subject.node.layout.state in CHANGING:
        return Seen(f"nvidia.com/mig.config.state is {subject.node.layout.state}")
    return None


def server_error(subject: Subject) -> Seen | None:
    """Nova gave up on the server. One that never became a node has nothing that a reboot could bring back."""
    server = subject.server
    if server is None or server.status != "ERROR":
        return None
    entry = None if subject.joined else _for_machines_without_a_node(subject)
    return Seen(f"Nova has the server in ERROR: {server.fault or 'it does not say why'}", entry=entry)


def _for_machines_without_a_node(subject: Subject) -> Action:
    return Action.REBUILD if subject.metal else Action.REPLACE


def server_stopped(subject: Subject) -> Seen | None:
    """The server does not run, and nobody is doing anything about it: neither Nova nor a repair."""
    server = subject.server
    if server is None or server.status not in STOPPED or server.task or subject.taken_down:
        return None
    return Seen(f"Nova has the server as {server.status}, and does nothing with it")


def server_gone(subject: Subject) -> Seen | None:
    """Nova has no such server."""
    server = subject.server
    return Seen(f"Nova has no server {server.id}") if server is not None and server.status in GONE else None


def host_down(subject: Subject) -> Seen | None:
    """The node is not well, and its hypervisor is why. A node that is well on such a host is well: its agent is not."""
    server = subject.server
    if server is None or server.host_status not in HOST_AWAY or _ready(subject.node):
        return None
    return Seen(f"its hypervisor {server.host or '(not shown)'} is {server.host_status}")


def _ready(node: NodeView | None) -> bool:
    return node is not None and any(c.type == "Ready" and c.status == "True" for c in node.conditions)


def wrong_version(subject: Subject) -> Seen | None:
    """The kubelet is not of the Machine's version; not while an update replaces the machine."""
    node, machine = subject.node, subject.machine
    if node is None or machine.outdated or not differs(node.version, machine.version):
        return None
    return Seen(f"kubelet {node.version} runs, and the Machine is of {machine.version}")


def differs(kubelet: str, wanted: str) -> bool:
    """Whether two versions are not the same release; builds (`+`) do not count, nor what is not known."""
    return bool(kubelet and wanted) and kubelet.partition("+")[0] != wanted.partition("+")[0]


def flapping(subject: Subject) -> Seen | None:
    """The node is lost again and again, never for long."""
    trace = subject.trace
    if trace.flapping is None:
        return None
    hours, calm = FLAPPING_WINDOW / timedelta(hours=1), CALM // timedelta(minutes=1)
    message = f"lost {len(trace.lapses)} times within {hours:g} h; over after {calm} calm minutes"
    return Seen(message, trace.flapping)


def health_check(subject: Subject) -> Seen | None:
    """A MachineHealthCheck finds the Machine unhealthy."""
    machine = subject.machine
    if machine.health_check is None:
        return None
    entry = None if subject.joined else _for_machines_without_a_node(subject)
    return Seen(f"MachineHealthCheck: {machine.health_check or 'unhealthy'}", entry=entry)


def requested(subject: Subject) -> Seen | None:
    """A person asks for a repair: for an action by its name, or for whatever mends."""
    asked = request_of(subject.machine, subject.node)
    if asked is None or asked.strip() not in _ASKED:
        return None
    action = _ASKED[asked.strip()]
    message = "a person asks for a repair" if action is Action.WAIT else f"a person asks for {action}"
    return Seen(message, entry=action)


_ASKED: Final = {"": Action.WAIT} | {action.value: action for action in Action}


def request_of(machine: MachineView, node: NodeView | None) -> str | None:
    """Value of the annotation on the Machine, or else on the Node."""
    return machine.request if machine.request is not None else node.request if node else None


def request_problem(machine: MachineView, node: NodeView | None) -> str:
    """Why what a person asks for is not done, "" when it is, or nothing is asked for. For an Event."""
    asked = request_of(machine, node)
    if asked is None or asked.strip() in _ASKED:
        return ""
    return f"kaas.internal/repair is {asked.strip()!r}: leave it empty, or say one of {', '.join(Action)}"
