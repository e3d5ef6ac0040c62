"""Repairs and updates draw on one budget: what of it is left. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kaas.api.repair import NumberOrPercent
from kaas.api.repair_status import RepairSummary
from kaas.api.shares import rounded_down
from kaas.updates.preflight.facts import Found, PreflightFacts
from kaas.updates.preflight.machines import name_of
from kaas.updates.preflight.surge import replaced

POOL_IN_FLIGHT: Final = 1
CLUSTER_IN_FLIGHT: Final = 3
"""Nodes that may be under repair or taken out by an update at once where nobody says it, as docs/repairs.md has it."""


def repair_under_way(facts: PreflightFacts) -> Iterator[Found]:
    """No node is under repair: that goes first."""
    for pool in _summary(facts).pools:
        if pool.in_flight:
            yield Found(
                f"{name_of(pool.name)}: {pool.in_flight} nodes are under repair, which goes first; "
                f"see `kaas repair status -n {facts.case.key[0]}`"
            )


def budget_left(facts: PreflightFacts) -> Iterator[Found]:
    """Each pool that is replaced, and the Cluster, may spare one node; no breaker holds them back."""
    cluster, summary = facts.case.cluster, _summary(facts)
    in_flight = {pool.name: pool.in_flight for pool in summary.pools}
    for pool in replaced(facts.case):
        limit = pool.repair.limits.max_in_flight
        field = f"spec.nodePools[{pool.name}].repair.limits.maxInFlight"
        yield from _spent(field, limit, POOL_IN_FLIGHT, pool.replicas, in_flight.get(pool.name, 0))
    nodes = sum(pool.replicas for pool in cluster.spec.node_pools) + cluster.spec.control_plane.replicas
    of_cluster = cluster.spec.repair.limits.max_in_flight
    yield from _spent(
        "spec.repair.limits.maxInFlight", of_cluster, CLUSTER_IN_FLIGHT, nodes, max(sum(in_flight.values()), 0)
    )
    for breaker in summary.breakers:
        yield Found(
            f"repairs of {breaker.scope} are held back ({breaker.reason}: {breaker.message}), and an update takes "
            "nodes out too: see `kaas repair status`"
        )


def _spent(field: str, limit: NumberOrPercent | None, otherwise: int, nodes: int, in_flight: int) -> Iterator[Found]:
    most = limit if isinstance(limit, int) else rounded_down(otherwise if limit is None else limit, nodes)
    if in_flight >= most:
        spent = f"{in_flight} nodes are out already" if most else "that allows none"
        yield Found(f"{field} is {most}, and {spent}: wait until they are back, or raise it")


def _summary(facts: PreflightFacts) -> RepairSummary:
    status = facts.case.cluster.status
    found = status.repair if status else None
    return found or RepairSummary(unhealthy=0, in_flight=0, quarantined=0)
