"""Has machines that are to go drained when their turn has come and their jobs have ended.

Cluster API holds such a machine at our hook (kaas.kube.resources.DRAIN_HOOK). What has been begun is written at the
Machine, its Node and its Pods, so a controller that is killed goes on where it was; in memory is only since when a
cluster cannot be asked, and what was written last.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_GPU, CONDITION_DRAIN, UPDATES_MANAGER
from kaas.api.parsed import Parsed
from kaas.kube import resources
from kaas.kube.errors import KubeError, NotFound
from kaas.kube.nodewatch import in_time, words
from kaas.kube.objects import Object, Ref, annotation, condition, is_deleting, labels, metadata, name_of, ref_of
from kaas.kube.ports import Announcer, EventType, Source, Times
from kaas.kube.resources import CLUSTER_NAME_LABEL, DEPLOYMENT_NAME_LABEL, DRAIN_HOOK
from kaas.kube.times import stamp, whole
from kaas.updates.drains import seen, workload
from kaas.updates.drains.facts import Departure, Gate, Look, Neighbour, NodeSeen, Offer, Rules
from kaas.updates.drains.gate import at_once, decide, lacks
from kaas.updates.drains.metrics import DrainMetrics
from kaas.updates.drains.words import NOTICED, WHOLE, Reason
from kaas.updates.drains.workload import Clients, ClusterKey, Notice

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Namespace and name of a Machine."""
AGAIN: Final = 10.0  # seconds until a node whose jobs are waited for is looked at again
PASS: Final = 20.0  # seconds that a look at a cluster may take
TELLING: Final = 60.0  # seconds that its Pods may take to be told; the others are told at the next look
MAX_MESSAGE: Final = 1024
_SEVERE: Final = frozenset({Reason.TIMED_OUT, Reason.OUT_OF_SIGHT, Reason.NODE_NOT_READY})


class Writer(Protocol):
    """The management cluster."""

    async def get(self, ref: Ref) -> Object | None:
        """An object as it is, None when there is none."""

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """Merge patch; NotFound when the object is not there."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""


@dataclass(frozen=True, slots=True)
class Office:
    """What is worked with. parsed: models, shared with others of the same event loop."""

    store: Source
    writer: Writer
    clients: Clients
    clock: Times
    events: Announcer
    metrics: DrainMetrics
    parsed: Parsed = field(default_factory=Parsed)


@dataclass(frozen=True, slots=True)
class _Case:
    """One machine that waits. rules: None when its pool is not there any more."""

    key: Key
    machine: Object
    owner: ClusterKey
    cluster: Cluster | None
    departure: Departure
    rules: Rules | None


@dataclass(frozen=True, slots=True)
class _View:
    """A look, and the Pods as they were read."""

    look: Look
    pods: Sequence[Object] = ()


class DrainReconciler:
    """Decides about one machine after the other, and carries it out."""

    def __init__(self, office: Office) -> None:
        self._store, self._writer, self._clients = office.store, office.writer, office.clients
        self._clock, self._events, self._metrics = office.clock, office.events, office.metrics
        self._parsed = office.parsed
        self._asked: dict[Key, ClusterKey] = {}
        self._away: dict[Key, datetime] = {}
        self._noticed: dict[Key, datetime] = {}
        self._said: dict[Key, tuple[str, str]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Decide about one machine; returns the seconds after which to do it again."""
        machine = self._store.get(resources.MACHINE, *key)
        if machine is None or not seen.is_held(machine):
            self._forget(key)
            return None
        now = whole(self._clock.now())
        case = self._case(key, machine)
        gate = at_once(case.departure, case.rules, deleted=self._is_gone(case))
        if gate is None and case.rules is not None:
            view = await self._look(case, case.rules, now)
            gate = decide(case.departure, case.rules, view.look, now)
            if gate.notice:
                await self._give_notice(case, gate, view, now)
            if not gate.drains:
                return await self._wait(case, gate, now)
        if gate is None:
            return None
        await self._finish(case, gate, now)
        return AGAIN  # no event of a machine that waits no longer brings it here: it is forgotten then

    def _is_gone(self, case: _Case) -> bool:
        """Whether the whole Cluster goes, at its user's word or since someone has deleted what Cluster API has of it.

        Then no machine comes in place of another.
        """
        if case.cluster is None or case.cluster.metadata.deletion_timestamp is not None:
            return True
        topology = self._store.get(resources.CAPI_CLUSTER, *case.owner)
        return topology is not None and is_deleting(topology)

    def _case(self, key: Key, machine: Object) -> _Case:
        owner = (key[0], labels(machine).get(CLUSTER_NAME_LABEL, ""))
        raw = self._store.get(resources.CLUSTER, *owner)
        cluster = self._parsed(Cluster.model_validate, raw) if raw else None
        rules = seen.rules_of(cluster, machine) if cluster else None
        departure = seen.departure_of(machine)
        noticed = departure.noticed or self._noticed.get(key)  # the watch is behind what was just written
        return _Case(key, machine, owner, cluster, replace(departure, noticed=noticed), rules)

    def _forget(self, key: Key) -> None:
        for known in (self._away, self._said, self._noticed):
            known.pop(key, None)
        self._metrics.forget(key)
        owner = self._asked.pop(key, None)
        if owner is not None and owner not in self._asked.values():
            self._clients.forget(owner)

    # -- looking ----------------------------------------------------------------------------------------------------

    async def _look(self, case: _Case, rules: Rules, now: datetime) -> _View:
        """What there is in the cluster; that it is away when it does not say."""
        what = f"look at the nodes of {'/'.join(case.owner)}"
        self._asked[case.key] = case.owner
        try:
            found = await in_time(PASS, what, self._ask(case, rules))
        except KubeError as failure:
            self._clients.kubeconfig_changed(case.owner)
            return _View(Look(away=self._away.setdefault(case.key, now), problem=words(failure)))
        self._away.pop(case.key, None)
        return found

    async def _ask(self, case: _Case, rules: Rules) -> _View:
        client = await self._clients.client(case.owner)
        machines = self._store.of_cluster(resources.MACHINE, *case.owner)
        of_pool = [m for m in machines if seen.pool_of(m) == rules.pool]
        names = {name for m in of_pool if (name := seen.node_of(m))}
        nodes = await workload.nodes(client, rules.pool, names)
        own = case.departure.node or ""
        pods = await workload.pods(client, own)
        others = seen.neighbours(case.machine, of_pool, nodes)
        before = await self._before(case, rules, nodes.get(own), others)
        gpus = annotation(case.machine, ANNOTATION_GPU) is not None
        itself = seen.neighbour(case.machine, nodes.get(own))
        told = seen.pods_seen(pods, own, gpus=gpus)
        look = Look(node=itself.node, lacking=lacks(itself, before), pods=told, others=others, whole=before)
        return _View(look, pods)

    async def _before(
        self, case: _Case, rules: Rules, own: NodeSeen | None, others: Sequence[Neighbour]
    ) -> tuple[Offer, ...]:
        """What a box of the pool has to offer to count as back: as was written down, or as those that are to go do."""
        old = [own, *(o.node for o in others if o.leaving is not None or o.outdated)]
        live = [seen.offer_of(node) for node in old if node is not None and node.ready]
        deployments = self._store.of_cluster(resources.MACHINE_DEPLOYMENT, *case.owner)
        before = (*seen.whole_of(deployments, rules.pool), *(offer for offer in live if offer.gpus))
        behind = [o for o in others if o.node is not None and o.node.ready and lacks(o, before)]
        return () if behind and await self._has_another_flavor(case) else before

    async def _has_another_flavor(self, case: _Case) -> bool:
        """Whether the machine was made with another flavor than its pool has now: their GPUs cannot be compared."""
        kind, name = resources.OPENSTACK_MACHINE, case.key[1]
        if case.cluster is None or self._store.get(kind, case.key[0], name) is None:
            return False
        found = await self._writer.get(Ref(kind.api_version, kind.kind, case.key[0], name))
        flavor = ((found or {}).get("spec") or {}).get("flavor")
        pool = next((p for p in case.cluster.spec.node_pools if p.name == seen.pool_of(case.machine)), None)
        return bool(flavor and pool and flavor != pool.flavor)

    # -- notice -----------------------------------------------------------------------------------------------------

    async def _give_notice(self, case: _Case, gate: Gate, view: _View, now: datetime) -> None:
        """Its turn has come: write that down, then cordon and tell. What fails is done at the next look."""
        if case.departure.noticed is None:
            await self._begin(case, view.look, now)
        node = view.look.node
        if node is None:
            return
        notice = Notice(_why(case.departure), gate.deadline)
        untold = {(p.namespace, p.name) for p in view.look.pods if p.told != notice.said}
        told = [p for p in view.pods if name_of(p) in untold]
        try:
            await in_time(TELLING, f"tell the Pods of {node.name}", self._tell_pods(case, node, told, notice, now))
        except KubeError as failure:
            log.warning("Pods of node %s were not all told: %s", node.name, words(failure), extra=_where(case))

    async def _tell_pods(
        self, case: _Case, node: NodeSeen, told: Sequence[Object], notice: Notice, now: datetime
    ) -> None:
        client = await self._clients.client(case.owner)
        await workload.cordon(client, node)
        await workload.tell(client, told, notice, now)

    async def _begin(self, case: _Case, look: Look, now: datetime) -> None:
        """Remember what the boxes of the pool have to offer, and when notice was given."""
        boxes = [n for n in (look.node, *(o.node for o in look.others)) if n is not None and n.ready]
        text = seen.whole_text(map(seen.offer_of, boxes))
        namespace, name = case.key[0], labels(case.machine).get(DEPLOYMENT_NAME_LABEL, "")
        deployment = self._store.get(resources.MACHINE_DEPLOYMENT, namespace, name)
        if deployment is not None and text != "[]" and annotation(deployment, WHOLE) != text:
            await self._annotate(ref_of(deployment), {WHOLE: text})
        await self._annotate(ref_of(case.machine), {NOTICED: stamp(now)})
        self._noticed[case.key] = now

    async def _annotate(self, ref: Ref, annotations: dict[str, str | None]) -> None:
        with suppress(NotFound):
            await self._writer.patch(ref, {"metadata": {"annotations": annotations}})

    # -- outcome ----------------------------------------------------------------------------------------------------

    async def _wait(self, case: _Case, gate: Gate, now: datetime) -> float:
        await self._tell(case, gate, now)
        self._metrics.waits(case.key, gate)
        left = (gate.until - now).total_seconds() if gate.until else AGAIN
        return min(AGAIN, max(left, 1.0))

    async def _finish(self, case: _Case, gate: Gate, now: datetime) -> None:
        """Give it to Cluster API, which drains it."""
        with suppress(NotFound):
            await self._tell(case, gate, now)
        await self._annotate(ref_of(case.machine), {DRAIN_HOOK: None})
        self._metrics.begun(case.key, gate, (now - case.departure.asked).total_seconds())

    async def _tell(self, case: _Case, gate: Gate, now: datetime) -> None:
        """Condition, Event and a line of the log, when something else is to be said than before."""
        live = condition(case.machine, CONDITION_DRAIN) or {}
        before = self._said.get(case.key) or (live.get("reason"), live.get("message"))
        said = (str(gate.reason), gate.message[:MAX_MESSAGE])
        if said == before:
            return
        await self._writer.apply_status(_status(case, gate, now), manager=UPDATES_MANAGER)
        self._said[case.key] = said
        if said[0] != before[0]:
            log.info("%s: %s", *said, extra=_where(case))
            reason = "DrainBegins" if gate.drains else "DrainWaits"
            kind: EventType = "Warning" if gate.reason in _SEVERE else "Normal"
            await self._events.emit(case.machine, reason, f"{gate.reason}: {gate.message}", event_type=kind)


def _why(departure: Departure) -> str:
    what = "replaced by an update" if departure.outdated else "removed"
    return f"node {departure.node} is to be {what}"


def _status(case: _Case, gate: Gate, now: datetime) -> Object:
    """The Machine's condition; it does not hold since the machine was deleted."""
    meta = metadata(case.machine)
    said = {
        "type": CONDITION_DRAIN,
        "status": "True" if gate.drains else "False",
        "reason": str(gate.reason),
        "message": gate.message[:MAX_MESSAGE],
        "lastTransitionTime": stamp(now if gate.drains else case.departure.asked),
    }
    return {
        "apiVersion": case.machine["apiVersion"],
        "kind": case.machine["kind"],
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "status": {"conditions": [said]},
    }


def _where(case: _Case) -> dict[str, dict[str, str]]:
    """Fields of a log line."""
    namespace, name = case.owner
    return {"fields": {"namespace": namespace, "cluster": name, "machine": case.key[1], "step": "drain"}}
