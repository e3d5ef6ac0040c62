"""What an update needs beside what there is: servers that come before the old ones go. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kaas.api.cluster import NodePool
from kaas.api.patience import drain
from kaas.api.pool_update import Strategy
from kaas.api.shares import rounded_up
from kaas.api.site import Site
from kaas.updates.run import Case


@dataclass(frozen=True, slots=True)
class Need:
    """Servers of a flavor that are needed for a while. field: where the flavor is said. zone: None for any."""

    name: str
    field: str
    flavor: str
    zone: str | None
    servers: int


def needs(case: Case) -> list[Need]:
    """One step after the other: the control plane, which has one machine more for a while, and each pool that surges.

    The surge of one is over before that of the next begins, so these are not to be summed up.
    """
    control_plane = case.cluster.spec.control_plane
    zones = control_plane.zones or tuple(z.name for z in case.site.spec.zones if z.control_plane)
    found = [Need("the control plane", "spec.controlPlane", control_plane.flavor, z, 1) for z in zones or (None,)]
    return [*found, *(need for pool in replaced(case) for need in _of_pool(pool, case.site))]


def replaced(case: Case) -> list[NodePool]:
    """The pools whose machines are replaced, in their order."""
    known = {pool.name: pool for pool in case.cluster.spec.node_pools}
    return [known[name] for name in case.pools if name in known]


def gpu_flavors(site: Site) -> frozenset[str]:
    """Flavors whose machines have GPUs."""
    return frozenset(flavor.name for flavor in site.spec.flavors if flavor.gpu)


def drain_seconds(pool: NodePool, site: Site) -> int:
    """How long a node of a pool may drain; 0 for ever."""
    return drain(pool, gpus=pool.flavor in gpu_flavors(site))


def _of_pool(pool: NodePool, site: Site) -> Iterator[Need]:
    zones: tuple[str | None, ...] = pool.zones or (None,)
    each, over = divmod(pool.replicas, len(zones))
    for index, zone in enumerate(zones):
        count = _surge(pool, each + (index < over), site)
        if count:
            yield Need(f"pool {pool.name}", f"spec.nodePools[{pool.name}]", pool.flavor, zone, count)


def _surge(pool: NodePool, replicas: int, site: Site) -> int:
    """Machines beyond those wanted, in one zone."""
    said = pool.update.max_surge
    match pool.update.strategy:
        case Strategy.BLUE_GREEN:
            return replicas
        case Strategy.NO_SURGE:
            return 0
        case Strategy.SURGE:
            surge = 1 if said is None else said
        case _:
            usual = 0 if pool.flavor in gpu_flavors(site) else 1
            surge = usual if said is None else said
    return min(rounded_up(surge, replicas), replicas)
