"""How Cluster API is told to replace the machines of a pool. Pure.

A change of it replaces none: neither a MachineDeployment's rollout nor how its Machines are deleted is among what makes
them out of date (cluster-api v1.14, core/reconcilers/machinedeployment/mdutil/util.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kaas.api.cluster import NodePool
from kaas.api.pool_update import PoolUpdate, Strategy, is_zero

Count = int | str
"""A number, or a percentage as `20%`."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Machines that there may be beyond those wanted, and that may be missing, in each MachineDeployment."""

    max_surge: Count
    max_unavailable: Count


SURGE: Final = Rollout(1, 0)
NO_SURGE: Final = Rollout(0, 1)
ALL_AT_ONCE: Final = Rollout("100%", 0)


def rollout_of(pool: NodePool, *, gpus: bool) -> Rollout | None:
    """How the machines of a pool are replaced; None where Cluster API's own way is meant, which is a surge of one."""
    update = pool.update
    match update.strategy:
        case None:
            return NO_SURGE if gpus else None
        case Strategy.SURGE:
            return Rollout(_or(update.max_surge, 1), _or(update.max_unavailable, 0))
        case Strategy.NO_SURGE:
            return Rollout(0, _or(update.max_unavailable, 1))
        case Strategy.BLUE_GREEN:
            return ALL_AT_ONCE
        case Strategy.MANUAL:
            return _manual(update, NO_SURGE if gpus else SURGE)


def _manual(update: PoolUpdate, usual: Rollout) -> Rollout:
    """As is usual for the pool, but for what is said: without a surge one is missing, with one none has to be."""
    if update.max_surge is None and is_zero(update.max_unavailable):
        return SURGE
    surge = _or(update.max_surge, usual.max_surge)
    return Rollout(surge, _or(update.max_unavailable, 1 if is_zero(surge) else 0))


def _or(said: Count | None, otherwise: Count) -> Count:
    return otherwise if said is None else said


def drain_seconds(pool: NodePool, *, gpus: bool) -> int | None:
    """How long a node of a pool may drain; None where the class decides."""
    if pool.update.drain_timeout_seconds is not None:
        return pool.update.drain_timeout_seconds
    return pool.gpu.drain_timeout_seconds if gpus else None
