"""A simulated fleet in virtual time: nodes, clocks, clouds, faults, and one who carries out what is planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from kaas.api.repair import Limits, Mode, RepairPolicy
from kaas.repairs.blindness import count_silent, look
from kaas.repairs.decisions import Plan
from kaas.repairs.facts import ClusterFacts, ClusterKey, Fleet, NodeKey, Patient, PoolFacts, PoolKey, Sight, SiteFacts
from kaas.repairs.incidents import incidents, remember
from kaas.repairs.planner import plan
from tests.unit.repairs.simulation.executor import BOOT, Executor
from tests.unit.repairs.simulation.faults import IMAGE, Fault, Kind
from tests.unit.repairs.simulation.nodes import Node

START = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(seconds=10)
SITE = "north"
Watcher = Callable[[Fleet, Plan, datetime], None]
Patients = Mapping[NodeKey, Patient]


@dataclass
class Pool:
    """bad_image: whether new machines of it never join. held: whether no further machine is updated for now."""

    policy: RepairPolicy
    updating: str = ""
    held: bool = False
    paused: str = ""
    bad_image: bool = False
    replaced: list[datetime] = field(default_factory=list)


@dataclass
class Memory:
    """What a controller has in memory only."""

    sights: dict[ClusterKey, Sight] = field(default_factory=dict)
    cloud: Sight | None = None
    incidents: set[str] = field(default_factory=set)
    ended: dict[str, datetime] = field(default_factory=dict)


@dataclass
class World:
    """Everything there is, at one Site. watchers see each fleet with its plan before it is carried out."""

    nodes: dict[str, Node] = field(default_factory=dict)
    pools: dict[PoolKey, Pool] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)
    masters: dict[ClusterKey, int] = field(default_factory=dict)
    away: dict[ClusterKey, str] = field(default_factory=dict)
    api_down: set[ClusterKey] = field(default_factory=set)
    cloud_down: set[str] = field(default_factory=set)
    confirmed: dict[str, datetime] = field(default_factory=dict)
    mode: Mode = Mode.AUTOMATIC
    now: datetime = START
    running: bool = True
    executor: Executor = field(default_factory=Executor)
    watchers: list[Watcher] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    made: int = 0

    # -- making it --------------------------------------------------------------------------------------------------

    def add(self, pool: PoolKey, policy: RepairPolicy, number: int, zones: Iterable[str], hosts: int = 0) -> None:
        """A pool of well nodes, spread over zones and, in each, over so many hypervisors."""
        self.pools[pool] = Pool(policy)
        names = list(zones)
        for index in range(number):
            zone = names[index % len(names)]
            host = f"{zone}-h{index // len(names) % hosts}" if hosts else ""
            node = Node(f"{pool[1]}-{pool[2] or 'master'}-{index}", pool, SITE, zone, host, self.now)
            self.nodes[node.name] = node
        if not pool[2]:
            self.masters[pool[:2]] = number

    def hurt(self, name: str, kind: Kind, seconds: float | None = None) -> None:
        """A fault befalls a node, for so many seconds, or until it is cured."""
        node = self.nodes[name]
        if kind not in node.kinds():
            node.faults.append(Fault(kind, self.now, self.now + timedelta(seconds=seconds) if seconds else None))
            node.refresh(self.now)

    # -- time -------------------------------------------------------------------------------------------------------

    def run(self, seconds: float, tick: timedelta = TICK) -> None:
        """Let time go by."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now += tick
            for node in list(self.nodes.values()):
                node.refresh(self.now)
                if node.gone_at is not None and self.now >= node.gone_at:
                    self._replace(node)
            if self.running:
                self.control()

    def _replace(self, old: Node) -> None:
        del self.nodes[old.name]
        self.made += 1
        pool = self.pools[old.pool]
        pool.replaced = [*pool.replaced, self.now][-10:]
        name = f"{old.pool[1]}-{old.pool[2] or 'master'}-new{self.made}"
        new = Node(name, old.pool, old.site, old.zone, old.host, self.now, joined=False)
        if pool.bad_image:
            new.faults.append(Fault(IMAGE, self.now))
        else:
            new.down_until = self.now + BOOT
        new.refresh(self.now)
        self.nodes[new.name] = new

    def kill(self) -> None:
        """The controller dies: what it kept in memory is lost."""
        self.running, self.memory = False, Memory()

    def control(self) -> Plan:
        """One round of the controller."""
        fleet = self.fleet()
        found = plan(fleet, self.now)
        for watcher in self.watchers:
            watcher(fleet, found, self.now)
        by_key = {n.key: n for n in self.nodes.values()}
        for decision in found.decisions:
            self.executor.carry(by_key[decision.node], decision, self)
        return found

    # -- what is seen -----------------------------------------------------------------------------------------------

    def fleet(self) -> Fleet:
        """What the controller sees now."""
        patients = {p.machine.key: p for n in self.nodes.values() if (p := n.patient()) is not None}
        silent = count_silent(patients.values())
        clusters = {key: self._cluster(key, silent[key], patients) for key in sorted({p[:2] for p in self.pools})}
        pools = {key: self._pool(key, pool, patients) for key, pool in self.pools.items()}
        return Fleet(pools, clusters, {SITE: self._site(patients)}, patients, self._limits("fleet"), self.mode)

    def _limits(self, scope: str) -> Limits:
        return self.limits.get(scope, Limits())

    def _cluster(self, key: ClusterKey, silent: int, patients: Patients) -> ClusterFacts:
        nodes = [n for n in self.nodes.values() if n.pool[:2] == key]
        masters = [n for n in nodes if n.master]
        working = sum(n.works for n in masters)
        up = key not in self.api_down and working >= self.masters[key] // 2 + 1
        api = Sight(up, self.now, "" if up else "the API server does not answer")
        self.memory.sights[key] = look(self.memory.sights.get(key), api, silent, len(nodes), self.now)
        return ClusterFacts(
            key=key,
            site=SITE,
            sight=self.memory.sights[key],
            limits=self._limits("cluster"),
            size=len(nodes),
            away=self.away.get(key, ""),
            control_plane="" if working == len(masters) else f"{working} of {len(masters)} masters work",
            masters=self.masters[key],
            healthy_masters=sum(n.works and n.key not in patients for n in masters),
        )

    def _pool(self, key: PoolKey, pool: Pool, patients: Patients) -> PoolFacts:
        mine = [n for n in self.nodes.values() if n.pool == key]
        well = [n.created for n in mine if n.joined and n.key not in patients]
        replaced = tuple((t, any(w >= t for w in well)) for t in pool.replaced)
        return PoolFacts(key, pool.policy, len(mine), pool.updating, pool.paused, replaced, held=pool.held)

    def _site(self, patients: Patients) -> SiteFacts:
        up, memory, nodes = SITE not in self.cloud_down, self.memory, self.nodes.values()
        memory.cloud = look(memory.cloud, Sight(up, self.now, "" if up else "HTTP 503"), 0, 0, self.now)
        site = SiteFacts(
            name=SITE,
            sight=memory.cloud,
            limits=self._limits("site"),
            zone_limits=self._limits("zone"),
            size=len(nodes),
            zones=Counter(n.zone for n in nodes),
            hosts=Counter(n.host for n in nodes if n.host),
            confirmed=dict(self.confirmed),
        )
        going_on = {i.name for i in incidents(patients.values(), {SITE: site}).values()}
        memory.ended = remember(memory.ended, memory.incidents, going_on, self.now)
        memory.incidents = going_on
        return replace(site, ended=memory.ended)
