"""How many nodes may be under repair at once, and beyond how many sick ones nothing more is done. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from kaas.api.repair import Limits, NumberOrPercent
from kaas.repairs import settings
from kaas.repairs.decisions import Breaker
from kaas.repairs.facts import Fleet, MachineView, PoolKey
from kaas.repairs.reasons import Reason

DEFAULTS: Final = MappingProxyType(
    {
        "pool": settings.POOL_LIMITS,
        "cluster": settings.CLUSTER_LIMITS,
        "zone": settings.ZONE_LIMITS,
        "site": settings.SITE_LIMITS,
        "fleet": settings.FLEET_LIMITS,
    }
)
"""What counts where a limit is left out."""

FEW: Final = 5
"""Above a pool, so few sick nodes open no breaker by percentage. Amazon EKS node repair has the same floor."""

_SHOWN: Final = 3


@dataclass(slots=True)
class Scope:
    """One pool, cluster, zone, Site or the fleet, and its count. most_in_flight, most_sick: numbers of nodes.

    few: sick nodes up to which the breaker stays shut. busy: names of some nodes under repair. updated: nodes that an
    update has taken out, which draws on the same budget.
    """

    name: str
    most_in_flight: int
    most_sick: int
    few: int = 0
    in_flight: int = 0
    sick: int = 0
    busy: list[str] = field(default_factory=list)
    updated: int = 0

    @property
    def full(self) -> bool:
        """Whether no further node may be taken."""
        return self.in_flight + self.updated >= self.most_in_flight

    @property
    def open(self) -> bool:
        """Whether the breaker is open: too many are sick."""
        return self.sick > self.most_sick and self.sick > self.few

    def take(self, machine: MachineView) -> None:
        """Count a node as under repair."""
        self.in_flight += 1
        if len(self.busy) < _SHOWN:
            self.busy.append(machine.key[1])

    def spent(self) -> str:
        """The message when it is full."""
        who = f" ({', '.join(self.busy)}{', …' if self.in_flight > len(self.busy) else ''})" if self.busy else ""
        what = "under repair, or replaced by an update" if self.updated else "under repair"
        return (
            f"{self.name}: {self.in_flight + self.updated} of at most {self.most_in_flight} nodes are {what}{who}; "
            "it is its turn when one is done, or raise maxInFlight"
        )

    def too_many(self) -> str:
        """The message when the breaker is open."""
        return (
            f"{self.name}: {self.sick} nodes are sick and at most {self.most_sick} may be, so it is not the nodes; "
            "nothing new begins until fewer are, maxUnhealthy is raised, or a person asks for a node: kaas repair NODE"
        )


Scopes = tuple[Scope, ...]
"""Those that one machine is in, the pool first."""


class Ledger:
    """Counts of every scope that has a patient."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._scopes: dict[str, Scope] = {}
        self._of: dict[tuple[PoolKey, str], Scopes] = {}
        self._wide: dict[tuple[str, str], Scopes] = {}
        self._everywhere = sum(s.size for s in fleet.sites.values())

    def of(self, machine: MachineView) -> Scopes:
        """The scopes of a machine, whose pool, Cluster and Site are in the fleet."""
        key = (machine.pool, machine.zone)
        found = self._of.get(key)
        if found is None:
            found = self._of[key] = tuple(self._make(machine))
        return found

    def _make(self, machine: MachineView) -> Iterator[Scope]:
        pool, cluster = self._fleet.pools[machine.pool], self._fleet.clusters[machine.cluster]
        of_pool = self._scope("pool", pool_name(machine.pool), pool.policy.limits, pool.size)
        of_pool.updated = pool.out
        yield of_pool
        yield self._scope("cluster", "/".join(machine.cluster), cluster.limits, cluster.size)
        place = (machine.site, machine.zone)
        if place not in self._wide:
            self._wide[place] = tuple(self._make_wide(*place))
        yield from self._wide[place]

    def _make_wide(self, name: str, zone: str) -> Iterator[Scope]:
        """The scopes that very many machines share."""
        site = self._fleet.sites[name]
        yield self._scope("zone", f"{name}/{zone}", site.zone_limits, site.zones.get(zone, 0))
        yield self._scope("site", name, site.limits, site.size)
        yield self._scope("fleet", "", self._fleet.limits, self._everywhere)

    def _scope(self, kind: str, what: str, limits: Limits, size: int) -> Scope:
        name = f"{kind}/{what}" if what else kind
        if name not in self._scopes:
            self._scopes[name] = scope(kind, name, limits, size)
        return self._scopes[name]

    def breakers(self) -> Iterator[Breaker]:
        """The scopes with too many sick nodes, by name."""
        for name in sorted(n for n, s in self._scopes.items() if s.open):
            yield Breaker(name, Reason.TOO_MANY_SICK, self._scopes[name].too_many())


def scope(kind: str, name: str, limits: Limits, size: int) -> Scope:
    """An empty count with the limits of its kind, or the defaults where they say nothing."""
    default = DEFAULTS[kind]
    most = _first(limits.max_in_flight, default.max_in_flight)
    sick = _first(limits.max_unhealthy, default.max_unhealthy)
    few = FEW if kind != "pool" and isinstance(sick, str) else 0
    return Scope(name, nodes(most, size), nodes(sick, size), few)


def _first(*values: NumberOrPercent | None) -> NumberOrPercent:
    return next(v for v in values if v is not None)


@lru_cache(maxsize=1024)
def nodes(limit: NumberOrPercent, size: int) -> int:
    """A limit as a number of nodes: a percentage is rounded down, and at least one."""
    return limit if isinstance(limit, int) else max(1, size * int(limit.removesuffix("%")) // 100)


def pool_name(key: PoolKey) -> str:
    """A pool as scopes call it."""
    return "/".join((*key[:2], key[2] or "control-plane"))


def replacements(fleet: Fleet) -> Mapping[PoolKey, Breaker]:
    """Pools whose last replacements, as many as the policy allows in a row, all did not help."""
    return {key: breaker for key, breaker in _replacements(fleet)}


def _replacements(fleet: Fleet) -> Iterable[tuple[PoolKey, Breaker]]:
    for key, pool in fleet.pools.items():
        if not pool.replaced:
            continue
        most = pool.policy.memory.max_replacements
        last = pool.replaced[-most:]
        if len(last) == most and not any(helped for _, helped in last):
            yield key, _hopeless(pool_name(key), most)


def _hopeless(pool: str, most: int) -> Breaker:
    message = (
        f"pool/{pool}: the last {most} nodes that were replaced became sick again, so it is not the nodes (image? "
        "flavor?); nothing new is begun until a person resumes the pool: kaas repair resume"
    )
    return Breaker(f"pool/{pool}", Reason.REPLACEMENTS_DO_NOT_HELP, message)
