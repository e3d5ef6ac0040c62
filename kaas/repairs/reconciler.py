"""Has sick nodes repaired: looks at Clusters and clouds, plans for all of them together, and has it carried out.

Keys of the queue: `("cluster", namespace, name)` looks at one Cluster, `("site", name)` at one cloud, `FLEET` plans,
`("node", namespace, machine)` carries out what was planned for one node, `("report", namespace, name)` tells about it
in the Cluster's status. One key waits for nobody else's cloud or cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from kaas.api.cluster import Cluster
from kaas.api.node_repair_template import NodeRepairTemplate
from kaas.api.parsed import Parsed
from kaas.api.repair import Mode, RepairPolicy
from kaas.api.site import Site
from kaas.kube import resources
from kaas.kube.listing import clusters_of_site
from kaas.kube.objects import Object, is_true, metadata, name_of, uid
from kaas.kube.ports import Source, Times
from kaas.kube.resources import Resource
from kaas.openstack.errors import CloudError
from kaas.repairs import records
from kaas.repairs.blindness import LONG_AGO, count_silent, look
from kaas.repairs.carry import Carrier
from kaas.repairs.decisions import Act, Decision, Finish, Plan
from kaas.repairs.facts import ClusterKey, NodeKey, NodeView, ServerView, Sight
from kaas.repairs.metrics import RepairMetrics
from kaas.repairs.observe import Observed, Seen, has_failed, observe, pause_of
from kaas.repairs.planner import planning
from kaas.repairs.policy import missing_templates, policies, switched_off, template_of
from kaas.repairs.report import Report
from kaas.repairs.upkeep import Upkeep, Writer
from kaas.repairs.ward import Treatment, Ward, changed_servers

log = logging.getLogger(__name__)

Key = tuple[str, ...]
FLEET: Final[Key] = ("fleet",)

CLOUD_SECONDS = 30.0  # between two looks at a cloud all of whose servers are well
AWAY_CLOUD_SECONDS = 15.0  # while it cannot be seen; each look reads its Secret again
BUSY_CLOUD_SECONDS = 5.0  # while a server of it is sick or under repair
LONGEST_PAUSE: Final = timedelta(seconds=2)  # between two plans
TOLD_AT_ONCE = 50  # Clusters of which is found out in one go whether something else is to be said
AGAIN_SECONDS = 60.0  # at the latest, until sick nodes are looked at again
_NOT_YET: Final = Sight(False, LONG_AGO, "it has not been seen yet")


class Nodes(Protocol):
    """What the workload clusters say of their nodes."""

    def follow(self, cluster: ClusterKey) -> None:
        """Watch a cluster, from now on."""

    def forget(self, cluster: ClusterKey) -> None:
        """Watch it no more."""

    def nodes(self, cluster: ClusterKey) -> Mapping[str, NodeView]:
        """Its nodes, as last seen."""

    def sight(self, cluster: ClusterKey) -> Sight | None:
        """Whether it can be seen; None until that was tried."""


class Servers(Protocol):
    """What the Sites' clouds say of their servers."""

    async def servers(self, site: Site) -> Mapping[str, ServerView]:
        """All servers of the project, by id. CloudError when it cannot be asked."""


@dataclass(frozen=True, slots=True)
class Office:
    """The management cluster, and how more is asked for.

    add: has a key reconciled as soon as a worker is free. parsed: models, shared with others of the same event loop.
    """

    store: Source
    writer: Writer
    clock: Times
    metrics: RepairMetrics
    add: Callable[[Key], None]
    parsed: Parsed = field(default_factory=Parsed)


@dataclass(frozen=True, slots=True)
class Eyes:
    """Who sees nodes and servers. revive: corrects what an OpenStackServer says of a server that is ACTIVE again."""

    nodes: Nodes
    servers: Servers
    revive: Callable[[Object, ServerView], Awaitable[None]]


class RepairReconciler:
    """Looks, plans, and has the plan carried out."""

    def __init__(self, ward: Ward, office: Office, eyes: Eyes, carrier: Carrier, report: Report) -> None:
        self._ward = ward
        self._store = office.store
        self._clock, self._add, self._metrics = office.clock, office.add, office.metrics
        self._nodes, self._servers, self._reviver = eyes.nodes, eyes.servers, eyes.revive
        self._carrier = carrier
        self._report = report
        self._parsed = office.parsed
        self._upkeep = Upkeep(office.store, office.writer)
        self._planned, self._pause = LONG_AGO, timedelta()
        self._looked_at: set[str] = set()  # Sites whose cloud is looked at again and again

    async def reconcile(self, key: Key) -> float | None:
        """Do what the key says; returns the seconds after which to do it again, None: on the next event."""
        match key:
            case ("cluster", namespace, name):
                return await self._cluster((namespace, name))
            case ("site", name):
                return await self._site(name)
            case ("node", namespace, name):
                return await self._node((namespace, name))
            case ("report", namespace, name):
                return await self._report.write((namespace, name))
            case _:
                return await self._plan()

    # -- looking ----------------------------------------------------------------------------------------------------

    async def _cluster(self, key: ClusterKey) -> float | None:
        """Look at one Cluster; plan when something that counts has changed."""
        cluster, site = self._models(key)
        off = self._ward.settings.mode is Mode.OFF
        if cluster is None or site is None or cluster.metadata.deletion_timestamp or (off and self._is_done_with(key)):
            self._forget(key)
            return None
        capi = self._store.get(resources.CAPI_CLUSTER, *key)
        named = self._named_templates(cluster)
        wanted = policies(cluster, site, named)
        wanted = switched_off(wanted) if off else wanted
        if capi is not None and not off:
            await self._upkeep.look(cluster, wanted)
        if capi is not None and is_true(capi, "ControlPlaneInitialized"):
            self._nodes.follow(key)
        missing = "; ".join(missing_templates(cluster, named))
        observed = self._look(key, cluster, site, capi, wanted, missing)
        if site.metadata.name not in self._looked_at:
            self._add(("site", site.metadata.name))
        if self._ward.put(observed):
            self._add(FLEET)
        return AGAIN_SECONDS if observed.patients else None

    def _models(self, key: ClusterKey) -> tuple[Cluster | None, Site | None]:
        raw = self._store.get(resources.CLUSTER, *key)
        if raw is None:
            return None, None
        cluster = self._parsed(Cluster.model_validate, raw)
        site = self._store.get(resources.SITE, None, cluster.spec.site)
        return cluster, self._parsed(Site.model_validate, site) if site else None

    def _is_done_with(self, key: ClusterKey) -> bool:
        """Whether no repair of a Cluster has begun, nor is told of any more: then it is not looked at in mode Off."""
        told = ((self._store.get(resources.CLUSTER, *key) or {}).get("status") or {}).get("repair")
        repairs = self._store.of_cluster(resources.NODE_REPAIR, *key)
        return not told and not any(records.progress_of(r) for r in repairs)

    def _forget(self, key: ClusterKey) -> None:
        self._nodes.forget(key)
        self._upkeep.forget(key)
        self._parsed.forget("Cluster", *key)
        if self._ward.forget(key):
            self._add(FLEET)

    def _named_templates(self, cluster: Cluster) -> Mapping[str, NodeRepairTemplate]:
        """Templates that the Cluster or a pool of it names, as far as they are there, by name."""
        names = {template_of(cluster, pool) for pool in cluster.spec.node_pools} - {None}
        found = [self._store.get(resources.NODE_REPAIR_TEMPLATE, cluster.metadata.namespace, n or "") for n in names]
        return {metadata(t)["name"]: self._parsed(NodeRepairTemplate.model_validate, t) for t in found if t}

    def _look(
        self,
        key: ClusterKey,
        cluster: Cluster,
        site: Site,
        capi: Object | None,
        wanted: Mapping[str, RepairPolicy],
        missing: str,
    ) -> Observed:
        now = self._clock.now()

        def of(resource: Resource) -> Sequence[Object]:
            return self._store.of_cluster(resource, *key)

        self._take_up(key, of(resources.NODE_REPAIR))
        seen = Seen(
            cluster=cluster,
            site=site,
            capi=capi,
            machines=of(resources.MACHINE),
            deployments=of(resources.MACHINE_DEPLOYMENT),
            created={metadata(o)["name"]: o for o in of(resources.OPENSTACK_SERVER)},
            nodes=self._listed_nodes(key),
            sight=self._ward.cluster_sights.get(key) or _NOT_YET,
            servers=self._ward.servers.get(site.metadata.name),
            policies=wanted,
            progress=self._ward.progress_of(key),
            paused=pause_of(cluster, now),
            missing=missing,
        )
        observed = observe(seen, self._ward.traces[key], now)
        return self._believed(observed, now)

    def _listed_nodes(self, key: ClusterKey) -> Mapping[str, NodeView] | None:
        """As last seen; None when they never were, as right after a start."""
        nodes, api = self._nodes.nodes(key), self._nodes.sight(key)
        return nodes if nodes or (api is not None and api.clear) else None

    def _believed(self, observed: Observed, now: datetime) -> Observed:
        """With the sight that counts: many silent nodes at once are not believed."""
        key = observed.cluster.key
        api = self._nodes.sight(key)
        if api is None:  # just started: clocks are not begun anew for that
            return observed
        silent = count_silent(observed.patients.values())[key]
        before = self._ward.cluster_sights.get(key)
        sight = look(before, api, silent, observed.cluster.size, now)
        self._ward.cluster_sights[key] = sight
        return replace(observed, cluster=replace(observed.cluster, sight=sight))

    def _take_up(self, key: ClusterKey, repairs: Sequence[Object]) -> None:
        """Repairs that another controller, or this one before it was ended, had begun."""
        if self._ward.closed:
            self._ward.forget_closed(key[0], {uid(r) for r in self._store.list(resources.NODE_REPAIR, key[0])})
        for repair in repairs:
            node = name_of(repair)
            progress = records.progress_of(repair)
            over = self._ward.closed.get(node) == uid(repair)
            if progress is None or over or node in self._ward.treatments:
                continue
            spec = RepairPolicy.model_validate(repair["spec"])
            self._ward.treatments[node] = Treatment(key, spec, progress, progress, touched=progress.attempt)
            self._add(("node", *node))

    async def _site(self, name: str) -> float | None:
        """Look at one cloud."""
        raw = self._store.get(resources.SITE, None, name)
        if raw is None:
            self._looked_at.discard(name)
            return None
        site = self._parsed(Site.model_validate, raw)
        if site.spec.provider != "openstack":
            return None
        self._looked_at.add(name)
        before = self._ward.site_sights.get(name)
        now = self._clock.now()
        servers: Mapping[str, ServerView] | None
        try:
            servers = await self._servers.servers(site)
        except CloudError as error:
            api, servers = Sight(False, now, str(error)), None
        else:
            api = Sight(True, now)
        sight = look(before, api, 0, 0, now)
        if sight != before:
            self._ward.site_sights[name] = sight
            self._add(FLEET)
        if servers is not None:  # of a cloud that was never seen nothing is known: no server counts as gone
            self._put(name, servers)
            await self._revive(name, servers)
        if not sight.clear:
            return AWAY_CLOUD_SECONDS
        return BUSY_CLOUD_SECONDS if self._is_busy(name) else CLOUD_SECONDS

    def _put(self, site: str, servers: Mapping[str, ServerView]) -> None:
        """Take in a cloud's servers; Clusters are looked at of which one has changed, at first all."""
        before = self._ward.servers.get(site)
        self._ward.servers[site] = servers
        if before is None:
            concerned = clusters_of_site(self._store, site)
        else:
            concerned = self._ward.clusters_with(changed_servers(before, servers))
        for cluster in concerned:
            self._add(("cluster", *cluster))

    async def _revive(self, site: str, servers: Mapping[str, ServerView]) -> None:
        """Have CAPO look again at servers that Nova has healed: it never does by itself once it has seen ERROR.

        servers: as just listed; by an older list, one that has failed since would be told to be well.
        """
        for namespace, name in self._ward.failed_servers(site):
            obj = self._store.get(resources.OPENSTACK_SERVER, namespace, name)
            server = servers.get(((obj or {}).get("status") or {}).get("instanceID") or "")
            if obj is not None and has_failed(obj) and server is not None and server.status == "ACTIVE":
                await self._reviver(obj, server)

    def _is_busy(self, site: str) -> bool:
        return any(p.machine.site == site for p in self._ward.patients.values())

    # -- planning ---------------------------------------------------------------------------------------------------

    async def _plan(self) -> float | None:
        """Plan, but not all the time: while very much changes, a tenth of it."""
        now = self._clock.now()
        wait = self._planned + self._pause - now
        if timedelta() < wait <= self._pause:
            return wait.total_seconds()
        found = await self._plan_for_all(now)
        self._planned = self._clock.now()
        self._pause = min(LONGEST_PAUSE, 10 * (self._planned - now))
        await asyncio.sleep(0)
        self._metrics.planned(self._ward, found, now)
        await self._tell(now)
        if found.look_again is None:
            return AGAIN_SECONDS if self._ward.patients else None
        return min(AGAIN_SECONDS, max(0.0, (found.look_again - now).total_seconds()))

    async def _plan_for_all(self, now: datetime) -> Plan:
        """Plan for everything, and begin what is to begin. What has changed meanwhile is planned for again."""
        sites = {metadata(s)["name"]: self._parsed(Site.model_validate, s) for s in self._store.list(resources.SITE)}
        fleet = self._ward.fleet(sites, now)
        found = await _in_slices(planning(fleet, now))
        for decision in found.decisions:
            if self._ward.is_as_in(fleet, decision.node):
                self._take(decision, now)
            else:
                self._add(FLEET)
        self._ward.planned(found, now)
        return found

    def _take(self, decision: Decision, now: datetime) -> None:
        """Remember a decision; have it carried out when it is more than waiting."""
        before = self._ward.decisions.get(decision.node)
        self._ward.decisions[decision.node] = decision
        if isinstance(decision, Act):
            self._ward.begin(decision, now)
        elif isinstance(decision, Finish) and (treatment := self._ward.treatments.get(decision.node)):
            treatment.over = decision
        elif decision == before:
            return
        self._add(("node", *decision.node))

    async def _tell(self, now: datetime) -> None:
        """Have the Clusters' statuses written that say something else now; the event loop goes on in between."""
        clusters = list(self._ward.clusters)
        for start in range(0, len(clusters), TOLD_AT_ONCE):
            for key in self._report.outdated(clusters[start : start + TOLD_AT_ONCE], now):
                self._add(("report", *key))
            await asyncio.sleep(0)

    # -- carrying out -----------------------------------------------------------------------------------------------

    async def _node(self, key: NodeKey) -> float | None:
        """Carry out what was planned for a node, and plan again when that has come to something."""
        outcome = await self._carrier.carry(key)
        if outcome.changed:
            if outcome.cluster is not None:
                self._add(("cluster", *outcome.cluster))
            self._add(FLEET)
        return outcome.again


async def _in_slices(work: Generator[None, None, Plan]) -> Plan:
    """What comes of a work that pauses now and then, so that the event loop goes on."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: Plan = done.value
            return found
        await asyncio.sleep(0)
