"""What is wrong with a machine now. Pure, but for the machine's Trace, which it brings up to date.

Nearly all machines are well, so that is found out first and by the cheapest means, in a few microseconds.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Final

from kaas.api.repair import SignalPolicy
from kaas.gpu.layouts import SUCCESS
from kaas.repairs.conditions import signal_of
from kaas.repairs.devices import complete
from kaas.repairs.facts import Finding, MachineView, NodeCondition, NodeView, PoolFacts, ServerView
from kaas.repairs.looks import HOST_AWAY, differs
from kaas.repairs.signals import GPU_MISSING, SIGNALS, Signal
from kaas.repairs.subject import NO_PAST, Past, Seen, Subject
from kaas.repairs.traces import Trace

_MIG_WELL: Final = frozenset({"", SUCCESS})


def evaluate(
    machine: MachineView,
    node: NodeView | None,
    server: ServerView | None,
    pool: PoolFacts,
    trace: Trace,
    now: datetime,
    past: Past = NO_PAST,
) -> tuple[Finding, ...]:
    """Everything that is wrong with a machine, tolerated or not, in the order of the table; () when it is well.

    node: None when it has none: what the workload cluster says must be current, or the caller blind. server: None when
    Nova was not asked; one that Nova does not have has the status DELETED. trace: the machine's own, at every look the
    same; changed. now: UTC. Whether blindness moves a finding's clock is not decided here.
    """
    if machine.deleting:
        return ()
    if _well(machine, node, server, pool, trace):
        if trace.well_since is None or trace.first_seen:
            trace.remember((), now)
        return ()
    subject = Subject(machine, node, server, pool, trace, past, now, _bad(node))
    _follow(subject)
    findings = tuple(_findings(subject))
    trace.remember(findings, now)
    return findings


def _well(
    machine: MachineView, node: NodeView | None, server: ServerView | None, pool: PoolFacts, trace: Trace
) -> bool:
    """Whether no signal can see anything, by the cheapest means; False only says that it is looked at closely."""
    if node is None or machine.node is None or trace.lapses or _asked(machine, node):
        return False
    if server is not None and (server.status != "ACTIVE" or server.host_status in HOST_AWAY):
        return False
    if node.layout.state not in _MIG_WELL or (
        node.version != machine.version and differs(node.version, machine.version)
    ):
        return False
    return _conditions_well(node, trace) and complete(node, pool.gpus_per_node)


def _asked(machine: MachineView, node: NodeView) -> bool:
    return machine.request is not None or node.request is not None or machine.health_check is not None


def _conditions_well(node: NodeView, trace: Trace) -> bool:
    ready = False
    for condition in node.conditions:
        if signal_of(condition.type, condition.status) is not None:
            return False
        if condition.type == "Ready":
            if condition.since != trace.ready_since:
                if trace.ready is not None:
                    return False
                trace.ready, trace.ready_since = True, condition.since
            ready = True
    return ready


def _bad(node: NodeView | None) -> dict[str, tuple[NodeCondition, ...]]:
    found: defaultdict[str, tuple[NodeCondition, ...]] = defaultdict(tuple)
    for condition in node.conditions if node is not None else ():
        signal = signal_of(condition.type, condition.status)
        if signal is not None:
            found[signal] += (condition,)
    return dict(found)


def _follow(subject: Subject) -> None:
    """Brings the trace up to the Node's Ready condition, and forgets what a repair did itself."""
    trace, progress = subject.trace, subject.past.progress
    ready = next((c for c in subject.node.conditions if c.type == "Ready"), None) if subject.node else None
    if ready is not None:
        trace.follow(ready.status == "True", ready.since, subject.now, excused=subject.taken_down)
    if subject.taken_down and progress is not None and progress.acted is not None:
        trace.forgive(progress.acted)
    trace.calm_down(subject.now)


def _findings(subject: Subject) -> list[Finding]:
    said = {s.name: s for s in subject.pool.policy.signals}
    found = []
    for signal in SIGNALS:
        override = said.get(signal.name)
        if override is not None and not override.enabled:
            continue
        seen = signal.look(subject)
        if seen is not None:
            _trace(subject, signal, seen)
            found.append(_finding(subject, signal, seen, override))
    return found


def _trace(subject: Subject, signal: Signal, seen: Seen) -> None:
    trace = subject.trace
    if signal.name == GPU_MISSING and signal.name not in trace.first_seen and not subject.taken_down:
        trace.lapse(subject.now, subject.now)
    if seen.xids:
        trace.remember_xids(seen.xids, subject.now)


def _finding(subject: Subject, signal: Signal, seen: Seen, override: SignalPolicy | None) -> Finding:
    since = seen.since if seen.since is not None else subject.trace.since(signal.name, subject.now)
    metal = subject.metal
    tolerance, entry = signal.tolerated(metal=metal), seen.entry or signal.entered(metal=metal)
    if override is not None and override.tolerance_seconds is not None:
        tolerance = override.tolerance_seconds
    if override is not None and override.entry is not None and not signal.asked:
        entry = override.entry
    gpus = subject.pool.gpus_per_node if signal.whole else 0
    return Finding(
        signal=signal.name,
        since=since,
        due=since + timedelta(seconds=tolerance),
        entry=entry,
        message=seen.message,
        gpus=gpus if seen.gpus is None else seen.gpus,
        silent=signal.silent,
        cloud=signal.cloud,
        asked=signal.asked,
    )
