"""What is known in memory of all sick nodes together, and how it becomes a fleet to plan for.

Everything in it can be read again: from the watches, the clouds, and the NodeRepairs. It belongs to one event loop.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime

from kaas.api.constants import ANNOTATION_CONFIRMED, ANNOTATION_PAUSED
from kaas.api.repair import RepairPolicy
from kaas.api.site import Site
from kaas.kube.times import stamp
from kaas.repairs import records
from kaas.repairs.blindness import LONG_AGO
from kaas.repairs.decisions import Act, Breaker, Decision, Finish, Plan
from kaas.repairs.evaluate import evaluate
from kaas.repairs.facts import (
    ClusterFacts,
    ClusterKey,
    Fleet,
    NodeKey,
    NodeView,
    Patient,
    PoolFacts,
    PoolKey,
    Progress,
    ServerView,
    Sight,
    SiteFacts,
)
from kaas.repairs.incidents import incidents, remember
from kaas.repairs.observe import Observed
from kaas.repairs.pauses import confirmed, paused
from kaas.repairs.settings import FleetSettings, limits_of_site, zone_limits_of_site
from kaas.repairs.subject import Past
from kaas.repairs.traces import Trace


@dataclass
class Treatment:
    """The repair of one node.

    progress: as it is meant to be. written: as its NodeRepair says, None when there is none yet. policy: of the pool,
    when the repair began. reason: why the present step is done, for people. over: set when only tidying up is left.
    touched: the last try of which a pass was done. trouble: what did not answer when it was carried out last.
    """

    cluster: ClusterKey
    policy: RepairPolicy
    progress: Progress
    written: Progress | None = None
    reason: str = ""
    over: Finish | None = None
    trouble: str = ""
    touched: tuple[int | None, int, datetime | None] | None = None


@dataclass
class Ward:
    """Sick nodes and what is done about them."""

    settings: FleetSettings
    treatments: dict[NodeKey, Treatment] = field(default_factory=dict)
    traces: dict[ClusterKey, dict[NodeKey, Trace]] = field(default_factory=lambda: defaultdict(dict))
    servers: dict[str, Mapping[str, ServerView]] = field(default_factory=dict)
    cluster_sights: dict[ClusterKey, Sight] = field(default_factory=dict)
    site_sights: dict[str, Sight] = field(default_factory=dict)
    decisions: dict[NodeKey, Decision] = field(default_factory=dict)
    breakers: dict[tuple[str, str], tuple[Breaker, datetime]] = field(default_factory=dict)
    closed: dict[NodeKey, str] = field(default_factory=dict)
    _observed: dict[ClusterKey, Observed] = field(default_factory=dict)
    _clusters: dict[ClusterKey, ClusterFacts] = field(default_factory=dict)
    _pools: dict[PoolKey, PoolFacts] = field(default_factory=dict)
    _patients: dict[NodeKey, Patient] = field(default_factory=dict)
    _ended: dict[str, Mapping[str, datetime]] = field(default_factory=dict)
    _going_on: dict[str, frozenset[str]] = field(default_factory=dict)

    def put(self, observed: Observed) -> bool:
        """Take in how a Cluster is now; whether anything that is planned from has changed."""
        key = observed.cluster.key
        before = self._observed.get(key)
        if before == observed:
            return False
        if before is not None:
            self._drop(before)
        self._observed[key] = observed
        self._clusters[key] = observed.cluster
        self._pools.update(observed.pools)
        self._patients.update(observed.patients)
        return True

    def forget(self, key: ClusterKey) -> bool:
        """Drop a Cluster that is gone, with its treatments; whether there was one."""
        before = self._observed.pop(key, None)
        for node in [n for n, treatment in self.treatments.items() if treatment.cluster == key]:
            del self.treatments[node]
        self.traces.pop(key, None)
        self.cluster_sights.pop(key, None)
        if before is None:
            return False
        self._drop(before)
        return True

    def _drop(self, observed: Observed) -> None:
        self._clusters.pop(observed.cluster.key, None)
        for pool in observed.pools:
            self._pools.pop(pool, None)
        for node in observed.patients:
            self._patients.pop(node, None)

    def observed(self, key: ClusterKey) -> Observed | None:
        """How a Cluster was when it was last looked at."""
        return self._observed.get(key)

    @property
    def clusters(self) -> Mapping[ClusterKey, ClusterFacts]:
        """Every Cluster that is looked after."""
        return self._clusters

    def has_patients(self, key: ClusterKey) -> bool:
        """Whether a node of a Cluster is not well."""
        observed = self._observed.get(key)
        return bool(observed and observed.patients)

    def clusters_with(self, servers: Set[str]) -> list[ClusterKey]:
        """Those to which one of these servers belongs."""
        return [key for key, observed in self._observed.items() if not servers.isdisjoint(observed.servers)]

    def failed_servers(self, site: str) -> list[tuple[str, str]]:
        """Namespaces and names of OpenStackServers at a Site of which CAPO says that they are in ERROR."""
        mine = (o for o in self._observed.values() if o.failed and o.cluster.site == site)
        return [(observed.cluster.key[0], name) for observed in mine for name in observed.failed]

    def seen_since(self, key: ClusterKey) -> datetime:
        """Since when a Cluster is seen: clocks of what is wrong in it do not count from before."""
        sight = self._clusters[key].sight
        return sight.since if sight.clear else LONG_AGO

    def gpus_lost(self, patient: Patient) -> int:
        """GPUs that a sick node does not offer now: all of them while it is not Ready or kept from users."""
        pool = self._pools.get(patient.machine.pool)
        everything = pool.gpus_per_node if pool else 0
        kept_away = patient.progress is not None and patient.progress.cordoned
        return everything if kept_away or not patient.ready else max((f.gpus for f in patient.findings), default=0)

    def patient(self, key: NodeKey) -> Patient | None:
        """A node that is not well, or under repair."""
        return self._patients.get(key)

    def is_sick(self, patient: Patient, node: NodeView | None) -> bool:
        """Whether a machine is sick still, now that its Node was looked at; None when it has none."""
        machine = patient.machine
        pool, trace = self._pools.get(machine.pool), self.traces[machine.cluster].get(machine.key)
        if pool is None or trace is None:
            return False
        now = max((f.due for f in patient.findings), default=LONG_AGO)
        past = Past(patient.progress, patient.history)
        return bool(evaluate(machine, node, patient.server, pool, copy.copy(trace), now, past))

    @property
    def patients(self) -> Mapping[NodeKey, Patient]:
        """All of them."""
        return self._patients

    def patients_of(self, key: ClusterKey) -> list[Patient]:
        """Those of one Cluster."""
        observed = self._observed.get(key)
        return [self._patients[node] for node in observed.patients] if observed else []

    def progress_of(self, key: ClusterKey) -> dict[NodeKey, Progress]:
        """How far the repairs of a Cluster are."""
        return {node: treatment.progress for node, treatment in self.treatments.items() if treatment.cluster == key}

    def fleet(self, sites: Mapping[str, Site], now: datetime) -> Fleet:
        """Everything at this moment, which stays as it is. sites: by name; what is on another Site waits."""
        facts = {name: self._site(site, now) for name, site in sites.items()}
        going_on = incidents(self._patients.values(), facts)
        for name in facts:
            names = frozenset(incident for at, incident in going_on if at == name)
            self._ended[name] = remember(self._ended.get(name, {}), self._going_on.get(name, frozenset()), names, now)
            self._going_on[name] = names
        return Fleet(
            pools=dict(self._pools),
            clusters=dict(self._clusters),
            sites={name: replace(site, ended=self._ended[name]) for name, site in facts.items()},
            patients=dict(self._patients),
            limits=self.settings.limits,
            mode=self.settings.mode,
        )

    def _site(self, site: Site, now: datetime) -> SiteFacts:
        name, told = site.metadata.name, site.metadata.annotations
        mine = [o for o in self._observed.values() if o.cluster.site == name]
        zones: Counter[str] = Counter()
        hosts: Counter[str] = Counter()
        for observed in mine:
            zones.update(observed.zones)
            hosts.update(observed.hosts)
        return SiteFacts(
            name=name,
            sight=self.site_sights.get(name, Sight(True, LONG_AGO)),
            limits=limits_of_site(site),
            zone_limits=zone_limits_of_site(site),
            size=sum(o.cluster.size for o in mine),
            zones=zones,
            hosts=hosts,
            confirmed=confirmed(told.get(ANNOTATION_CONFIRMED)),
            paused=paused(told.get(ANNOTATION_PAUSED), now),
            mode=site.spec.repair.mode,
        )

    def is_as_in(self, fleet: Fleet, node: NodeKey) -> bool:
        """Whether what a node's decision was made from still holds: the node, its pool, its Cluster and its Site."""
        patient = self._patients.get(node)
        if patient is None or patient != fleet.patients.get(node):
            return False
        machine = patient.machine
        site = fleet.sites.get(machine.site)
        return (
            self._pools.get(machine.pool) == fleet.pools.get(machine.pool)
            and self._clusters.get(machine.cluster) == fleet.clusters.get(machine.cluster)
            and (site is None or self.site_sights.get(machine.site, site.sight) == site.sight)
        )

    def planned(self, found: Plan, now: datetime) -> None:
        """Forget decisions that are none any more; remember which breakers are open, and since when."""
        for node in self.decisions.keys() - {d.node for d in found.decisions}:
            del self.decisions[node]
        self.breakers = {
            (b.scope, b.reason): (b, self.breakers.get((b.scope, b.reason), (b, now))[1]) for b in found.breakers
        }

    def breakers_of(self, key: ClusterKey) -> list[dict[str, str]]:
        """Open breakers that hold a Cluster back, as its status tells them; its own first."""
        site = self._clusters[key].site
        scopes = (f"pool/{key[0]}/{key[1]}/", f"cluster/{key[0]}/{key[1]}", f"zone/{site}/", f"site/{site}", "fleet")
        found = [(b, since) for b, since in self.breakers.values() if any(_in(b.scope, s) for s in scopes)]
        return [
            {"scope": b.scope, "reason": b.reason, "message": b.message, "since": stamp(since)} for b, since in found
        ]

    def blind_to(self, key: ClusterKey) -> str:
        """Why nothing is known of a Cluster's nodes, "" when it can be seen, or is not there to be seen."""
        facts, sight = self._clusters.get(key), self.cluster_sights.get(key)  # without one, that was not tried yet
        if facts is None or facts.away or sight is None or sight.clear or sight.heartbeats:
            return ""
        return f"the cluster cannot be seen: {sight.problem}; its nodes are left alone until it can"

    def is_known(self, key: ClusterKey) -> bool:
        """Whether there is anything to say of a Cluster: right after a start, its nodes were not looked at yet."""
        facts = self._clusters.get(key)
        return facts is not None and bool(facts.away or key in self.cluster_sights)

    def missing_of(self, key: ClusterKey) -> str:
        """Templates that pools of a Cluster name and that are not there, for a person."""
        return self._observed[key].missing if key in self._observed else ""

    def close(self, node: NodeKey, repair: str = "") -> None:
        """Forget a treatment that is over. repair: uid of its NodeRepair, which may still be seen for a moment."""
        if repair:
            self.closed[node] = repair
        self.treatments.pop(node, None)
        self.decisions.pop(node, None)

    def forget_closed(self, namespace: str, there: Set[str]) -> None:
        """Forget NodeRepairs that were dealt with and are gone. there: uids of those that are not, in the namespace."""
        for node in [n for n, repair in self.closed.items() if n[0] == namespace and repair not in there]:
            del self.closed[node]

    def begin(self, act: Act, now: datetime) -> Treatment | None:
        """The treatment of a node for which a step begins, not written down yet; None when the node is gone."""
        patient = self._patients.get(act.node)
        if patient is None:
            return None
        treatment = self.treatments.get(act.node)
        progress = records.begun(treatment.progress if treatment else None, act, now, patient.boot_id)
        policy = self._pools[patient.machine.pool].policy
        if treatment is None:
            treatment = self.treatments[act.node] = Treatment(patient.machine.cluster, policy, progress)
        treatment.policy, treatment.progress, treatment.reason, treatment.over = policy, progress, act.message, None
        self.note(act.node, progress)
        return treatment

    def note(self, node: NodeKey, progress: Progress) -> None:
        """How far a repair is now, for the next plan."""
        if treatment := self.treatments.get(node):
            treatment.progress = progress
        if patient := self._patients.get(node):
            self._patients[node] = replace(patient, progress=progress)


def changed_servers(before: Mapping[str, ServerView], after: Mapping[str, ServerView]) -> Set[str]:
    """Servers that came, went or are otherwise than before."""
    changed = {name for name, server in after.items() if (known := before.get(name)) is not server and known != server}
    return changed | (before.keys() - after.keys())


def _in(scope: str, prefix: str) -> bool:
    return scope.startswith(prefix) if prefix.endswith("/") else scope == prefix
