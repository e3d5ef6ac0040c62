"""What must hold after a step in every Cluster: one table of checks, each a function of the facts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from kaas.api.constants import CONTROL_PLANE_POOL
from kaas.api.update_status import Baseline
from kaas.api.verification import BuiltIn
from kaas.gpu.layouts import Devices, Layout, expected, short
from kaas.updates.verify.counters import quantile
from kaas.updates.verify.facts import Facts, MachineFacts, NodeFacts, Outcome
from kaas.updates.verify.measuring import ENOUGH
from kaas.updates.verify.nodes import offered

ERRORS_TIMES: Final = 2.0
"""The share of requests that fail may be so many times what it was."""
ERRORS_FLOOR: Final = 0.01
"""A share of requests that may fail whatever it was: one in a hundred."""
FEW_ERRORS: Final = 3
"""Fewer failed requests are no share of anything."""
LATENCY_TIMES: Final = 2.0
"""The 99th percentile of latency may be so many times what it was."""
LATENCY_FLOOR: Final = 1.0
"""Seconds that it may be whatever it was: the service level that Kubernetes itself aims at for one object
(kubernetes/community, sig-scalability/slos)."""
NAMED: Final = 5  # objects that a message names

Check = Callable[[Facts], Outcome]


def nodes_ready(facts: Facts) -> Outcome:
    """Each machine of the step has a node that is Ready, at the version, and offers its GPUs as they were."""
    before = {p.name: (p.devices, p.layout or "") for p in facts.before.pools} if facts.before else {}
    wrong = [f"{m.name} {problem}" for m in facts.machines if (problem := _of_machine(m, facts, before))]
    if wrong:
        return Outcome(BuiltIn.NODES_READY, False, f"{_named(wrong)}; `kaas repair status` says what is done")
    return Outcome(BuiltIn.NODES_READY, True, f"{len(facts.machines)} nodes Ready at {facts.version}")


def _of_machine(machine: MachineFacts, facts: Facts, before: Mapping[str, tuple[int, str]]) -> str:
    node = facts.nodes.get(machine.node or "")
    if node is None:
        return "has no node yet"
    if not node.ready:
        return f"has node {node.name}, which is not Ready"
    version = node.version or machine.version
    if version != facts.version:
        return f"has node {node.name} at {version or 'no version'} instead of {facts.version}"
    if machine.pool == CONTROL_PLANE_POOL or not node.version:  # a simulated node, which says nothing of itself
        return ""
    return _of_gpus(node, machine, before.get(machine.pool)) if machine.gpus else ""


def _of_gpus(node: NodeFacts, machine: MachineFacts, before: tuple[int, str] | None) -> str:
    """What is wrong with the GPUs of a node; before: the least that a node of its pool offered, in which layout."""
    layout = node.layout if node.layout.name else replace(node.layout, name=machine.layout)
    if not layout.in_place:
        return f"has node {node.name}, whose GPUs are not laid out as {layout.name} ({layout.progress})"
    wanted = expected(layout, machine.gpus, machine.model)
    if wanted is not None:
        return _of_slices(node, wanted, layout)
    return _of_devices(node, machine.gpus, before)


def _of_slices(node: NodeFacts, wanted: Devices, layout: Layout) -> str:
    """What is wrong with GPUs whose layout says how many of what there are: nothing else counts then."""
    few = short(wanted, {resource: free for resource, (_, free) in node.devices.items()})
    told = ", ".join(f"{number} of {wanted[resource]} {resource}" for resource, number in sorted(few.items()))
    return f"has node {node.name}, which offers {told} of layout {layout.name}" if told else ""


def _of_devices(node: NodeFacts, gpus: int, before: tuple[int, str] | None) -> str:
    """What is wrong where no layout says how many there are: less than is counted, than GPUs, or than before."""
    for resource, (there, free) in sorted(node.devices.items()):
        if free < there:
            return f"has node {node.name}, which offers {free} of {there} {resource}"
    least, why = gpus, f"its flavor has {gpus} GPUs"
    if before is not None and before[1] == node.layout.name and before[0] > gpus:
        least, why = before[0], f"there were {before[0]} before"
    return f"has node {node.name}, which offers {offered(node)} devices: {why}" if offered(node) < least else ""


def system_pods(facts: Facts) -> Outcome:
    """No more Pods of any workload in kube-system are unwell than were before."""
    before = {w.name: w.pods for w in facts.before.unwell} if facts.before else {}
    worse = {name: pods for name, pods in facts.unwell.items() if pods > before.get(name, 0)}
    if worse:
        words = _named(f"{name}: {pods} Pods do not work ({_was(before.get(name, 0))})" for name, pods in worse.items())
        return Outcome(BuiltIn.SYSTEM_PODS, False, f"in kube-system {words}; see `kubectl -n kube-system get pods`")
    rest = f", {len(facts.unwell)} workloads as unwell as before" if facts.unwell else ""
    return Outcome(BuiltIn.SYSTEM_PODS, True, f"kube-system is well{rest}")


def _was(pods: int) -> str:
    return f"{pods} before" if pods else "none before"


def api_server_errors(facts: Facts) -> Outcome:
    """The share of requests that end in a status from 500 on is not much more than it was."""
    if (measured := facts.measured) is None:
        return _measuring(BuiltIn.API_SERVER_ERRORS, facts)
    requests, errors = measured.traffic.requests, measured.traffic.errors
    was = facts.before.errors / facts.before.requests if facts.before and facts.before.requests else 0.0
    share, allowed = errors / requests if requests else 0.0, max(was * ERRORS_TIMES, ERRORS_FLOOR)
    words = (
        f"{errors:.0f} of {requests:.0f} requests failed in {measured.seconds:.0f} s ({_share_before(facts.before)})"
    )
    if errors >= FEW_ERRORS and share > allowed:
        way = "see the log of kube-apiserver and the webhooks that it calls"
        return Outcome(BuiltIn.API_SERVER_ERRORS, False, f"{words}; {allowed:.1%} would pass: {way}")
    return Outcome(BuiltIn.API_SERVER_ERRORS, True, words)


def _share_before(before: Baseline | None) -> str:
    if before is None or not before.requests:
        return "not known before"
    return f"{before.errors / before.requests:.1%} before"


def api_server_latency(facts: Facts) -> Outcome:
    """99 % of requests, watches aside, take not much longer than they did."""
    measured = facts.measured
    if measured is None or not measured.complete:
        return _measuring(BuiltIn.API_SERVER_LATENCY, facts)
    found = quantile(0.99, measured.traffic.buckets)
    if found is None or measured.traffic.timed < ENOUGH:
        words = (
            f"{measured.traffic.timed:.0f} requests in {measured.seconds:.0f} s are too few to tell how long they take"
        )
        return Outcome(BuiltIn.API_SERVER_LATENCY, True, words)
    was = facts.before.latency_milliseconds if facts.before else None
    allowed = max((was or 0) / 1000 * LATENCY_TIMES, LATENCY_FLOOR)
    before = "not known before" if was is None else f"{was} ms before"
    words = f"99 % of requests took at most {found * 1000:.0f} ms ({before})"
    if found > allowed:
        way = "see the load of the control plane, etcd, and the webhooks that kube-apiserver calls"
        return Outcome(BuiltIn.API_SERVER_LATENCY, False, f"{words}; {allowed * 1000:.0f} ms would pass: {way}")
    return Outcome(BuiltIn.API_SERVER_LATENCY, True, words)


def _measuring(check: BuiltIn, facts: Facts) -> Outcome:
    if not facts.metered:
        return Outcome(check, True, "the API server has no metrics")
    return Outcome(check, False, "it is measured how the API server answers")


def add_ons(facts: Facts) -> Outcome:
    """What kaas has put into the Cluster works, or did not before and is not what the update has brought."""
    was = {a.name for a in facts.before.add_ons} if facts.before else set()
    ill = [a for a in facts.add_ons if a.problem]
    as_before = [a.name for a in ill if a.name in was and a.add_on not in facts.brought]
    wrong = [f"{a.name}: {a.problem}" for a in ill if a.name not in as_before]
    rest = f"; as before the update these do not work: {_named(as_before)}" if as_before else ""
    if wrong:
        return Outcome(BuiltIn.ADD_ONS, False, f"{_named(wrong)}; see `kubectl describe` of it in the Cluster{rest}")
    works = len(facts.add_ons) - len(ill)
    return Outcome(BuiltIn.ADD_ONS, True, f"{works} add-ons work{rest}" if facts.add_ons else "no add-ons of kaas")


CHECKS: Final[Mapping[BuiltIn, Check]] = {
    BuiltIn.NODES_READY: nodes_ready,
    BuiltIn.SYSTEM_PODS: system_pods,
    BuiltIn.API_SERVER_ERRORS: api_server_errors,
    BuiltIn.API_SERVER_LATENCY: api_server_latency,
    BuiltIn.ADD_ONS: add_ons,
}


def examined(facts: Facts, ignored: Mapping[BuiltIn, str]) -> list[Outcome]:
    """What all checks say. ignored: why a check is left out, by its name."""
    left_out = [Outcome(check, True, f"{check} left out: {reason}") for check, reason in ignored.items()]
    return [check(facts) for name, check in CHECKS.items() if name not in ignored] + left_out


def _named(words: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    every = list(words)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more
