"""Whether all that is to be replaced is well before. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kaas.api.constants import CONTROL_PLANE_POOL
from kaas.updates.preflight.facts import Found, MachineFacts, PreflightFacts, listed


def machines_healthy(facts: PreflightFacts) -> Iterator[Found]:
    """All Machines are Ready: of what is replaced, and of the rest, which takes the Pods meanwhile.

    What a person asks for may be what makes them well.
    """
    for pool in sorted({m.pool for m in facts.machines}):
        machines = [m for m in facts.machines if m.pool == pool]
        wrong = [f"{m.name} ({_trouble(m)})" for m in machines if m.deleting or m.ready is False]
        open_ = [f"{m.name} ({_trouble(m)})" for m in machines if not m.deleting and m.ready is None]
        where = name_of(pool)
        if wrong:
            yield Found(
                f"{where}: {len(wrong)} of {len(machines)} machines are not well: {listed(wrong)}; wait for their "
                "repair, or see `kaas repair status`",
                warns=facts.case.asked or not _goes(facts, pool),
            )
        if open_:
            yield Found(
                f"{where}: of {len(open_)} of {len(machines)} machines it is not known whether they are well: "
                f"{listed(open_)}",
                warns=True,
            )


def _goes(facts: PreflightFacts, pool: str) -> bool:
    """Whether machines of a pool are replaced: what is left alone need not be well."""
    return pool == CONTROL_PLANE_POOL or pool in facts.case.pools


def name_of(pool: str) -> str:
    """A pool in words."""
    return f"pool {pool}" if pool != CONTROL_PLANE_POOL else "the control plane"


def _trouble(machine: MachineFacts) -> str:
    if machine.deleting:
        return "it is being deleted"
    if machine.node is None:
        return f"it has not joined{': ' + machine.trouble if machine.trouble else ''}"
    return machine.trouble or "Cluster API does not say why"


def etcd_health(facts: PreflightFacts) -> Iterator[Found]:
    """All members of etcd are healthy, and without the one that goes first there is a majority still."""
    healthy, words = facts.etcd
    masters = [m for m in facts.machines if m.control_plane]
    sick = [m.name for m in masters if m.member is False]
    dark = [m.name for m in masters if m.member is None]
    left = len(masters) - len(sick) - 1
    quorum = len(masters) // 2 + 1
    if sick:
        risk = f"; with one fewer, {max(left, 0)} of {len(masters)} would work and {quorum} are needed"
        yield Found(
            f"etcd: the member on {listed(sick)} is not healthy{risk if left < quorum else ''}: repair it first, see "
            "the condition EtcdMemberHealthy of its Machine"
        )
    elif healthy is False:
        yield Found(
            f"etcd is not healthy: {words or 'see the condition EtcdClusterHealthy of the KubeadmControlPlane'}"
        )
    if dark or healthy is None:
        whom = f"the member on {listed(dark)}" if dark else "etcd"
        yield Found(f"of {whom} it is not known whether it is healthy{f': {words}' if words else ''}", warns=True)
