"""A Cluster with nodes on a cloud, in memory: the real reconciler, planner and acts over fakes of what is outside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from prometheus_client import CollectorRegistry

from kaas.api.repair import Action, Ticket
from kaas.api.site import Site
from kaas.cli.repairing import give_back, wait
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.errors import KubeError, Unavailable
from kaas.kube.objects import Object, labels, metadata
from kaas.kube.resources import CLUSTER_NAME_LABEL
from kaas.kube.times import stamp
from kaas.kube.workloads import Workloads
from kaas.openstack.errors import CloudError, Kind, Problem
from kaas.openstack.facts import ServerAction, ServerFacts
from kaas.repairs.acts.drain import Drain
from kaas.repairs.acts.power import PowerCycle, Reboot
from kaas.repairs.acts.quarantine import Quarantine
from kaas.repairs.acts.replace import Replace
from kaas.repairs.acts.server_state import revive
from kaas.repairs.acts.task import Act
from kaas.repairs.carry import Carrier, Hands
from kaas.repairs.carry import Office as CarrierOffice
from kaas.repairs.facts import ClusterKey, NodeView, ServerView, Sight
from kaas.repairs.metrics import RepairMetrics
from kaas.repairs.nodeview import node_view
from kaas.repairs.nova import view
from kaas.repairs.reconciler import Eyes, Key, Office, RepairReconciler
from kaas.repairs.report import Report
from kaas.repairs.settings import FleetSettings
from kaas.repairs.ward import Ward
from kaas.runtime.clock import FakeClock
from kaas.runtime.index import Index
from tests.unit.clusters.builders import NAME, NAMESPACE, capi_cluster, deployment, machine, pool, raw_cluster, raw_site
from tests.unit.repairs.fake_server import FakeServer, Fate, Killed

KEY = (NAMESPACE, NAME)
BOOT_SECONDS = 20.0
BACK_OFF = 300.0  # as long as the queue may wait after failures
SIZE = 6


@dataclass
class FakeNova:
    """Servers that do what they are asked within `BOOT_SECONDS`. asked: by server, what was begun."""

    clock: FakeClock
    fate: Fate
    facts: dict[str, ServerFacts] = field(default_factory=dict)
    actions: dict[str, list[ServerAction]] = field(default_factory=dict)
    ends: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    away: bool = False

    __hash__ = object.__hash__

    def asked(self, server: str) -> list[str]:
        return [a.action for a in self.actions.get(server, [])]

    async def servers(self, _: Site) -> Mapping[str, ServerView]:
        self._answer()
        return {name: view(f) for name, f in self.facts.items()}

    async def server(self, _: str, server: str) -> ServerFacts | None:
        self._answer()
        return self.facts.get(server)

    async def server_actions(self, _: str, server: str) -> tuple[ServerAction, ...]:
        self._answer()
        return tuple(self.actions.get(server, ()))

    async def reboot(self, _: str, server: str, *, hard: bool) -> str:
        return self._begin(server, "reboot", "rebooting_hard" if hard else "rebooting", "ACTIVE")

    async def stop(self, _: str, server: str) -> str:
        return self._begin(server, "stop", "powering-off", "SHUTOFF")

    async def start(self, _: str, server: str) -> str:
        return self._begin(server, "start", "powering-on", "ACTIVE")

    async def rebuild(self, _: str, server: str) -> str:
        return self._begin(server, "rebuild", "rebuilding", "ACTIVE")

    def _answer(self) -> None:
        if self.away:
            raise CloudError(Problem(Kind.UNREACHABLE, "the cloud cannot be reached"))

    def _begin(self, server: str, action: str, task: str, status: str) -> str:
        self._answer()
        self.fate.moment()
        every = self.actions.setdefault(server, [])
        every.append(ServerAction(action, f"req-{server}-{len(every)}", self.clock.now()))
        self.facts[server] = replace(self.facts[server], task=task)
        self.ends[server] = self.clock.now() + timedelta(seconds=BOOT_SECONDS), status
        self.fate.moment()
        return every[-1].request_id

    def settle(self) -> list[str]:
        """Servers that have just come up."""
        done = [s for s, (end, _) in self.ends.items() if end <= self.clock.now()]
        for server in done:
            self.facts[server] = replace(self.facts[server], task="", status=self.ends[server][1])
        return [s for s in done if self.ends.pop(s)[1] == "ACTIVE"]


class FakeNodes:
    """The workload cluster's Nodes: what a real `Workloads` is asked."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.known: Sight | None = Sight(True, fleet.clock.now())

    def follow(self, cluster: ClusterKey) -> None:
        pass

    def forget(self, cluster: ClusterKey) -> None:
        pass

    def nodes(self, cluster: ClusterKey) -> Mapping[str, NodeView]:
        return {o["metadata"]["name"]: node_view(o) for o in self._fleet.workload.objects.values()}

    def sight(self, cluster: ClusterKey) -> Sight | None:
        return self.known

    async def look(self, cluster: ClusterKey, node: str) -> NodeView | None:
        if self._fleet.workload_fate.trouble:
            raise self._fleet.workload_fate.trouble
        return self.nodes(cluster).get(node)

    async def client(self, cluster: ClusterKey) -> KubeClient:
        return cast(KubeClient, self._fleet.workload)


class FakeEvents:
    def __init__(self) -> None:
        self.said: list[str] = []

    async def emit(self, about: Object, reason: str, message: str, *, event_type: str = "Normal") -> bool:
        self.said.append(reason)
        return True


class Fleet:
    """The world, and the program in it. helps: the action of Nova that ends a fault. steps: the ladder of the pool."""

    def __init__(
        self, *, kill_at: int | None = None, helps: str = "reboot", steps: Sequence[str] = (), **settings: Any
    ) -> None:
        self.steps = steps
        self.clock, self.fate = FakeClock(), Fate(kill_at)
        self.workload_fate = Fate()
        self.helps, self.settings = helps, FleetSettings(**settings)
        self.api = FakeServer(self.fate, self._changed)
        self.workload = FakeServer(self.fate, lambda _o, _g: self._add(("cluster", *KEY)), self.workload_fate)
        self.nova = FakeNova(self.clock, self.fate)
        self.tickets: list[Object] = []
        self.events = FakeEvents()
        self.failures: list[Exception] = []
        self.due: dict[Key, float] = {}
        self.index = Index()
        self.nodes = FakeNodes(self)
        self._build()
        self.reconciler = self.start()

    # -- the program ------------------------------------------------------------------------------------------------

    def start(self) -> RepairReconciler:
        """A new process: it knows what the watches and the cloud say, and nothing else."""
        self.due = {}
        self.index = Index()
        for obj in self.api.objects.values():
            self._changed(obj, False)
        self.registry = CollectorRegistry()
        self.ward, self.metrics = Ward(self.settings), RepairMetrics(self.registry)
        nova = replace(self.nova)  # another object, so that nothing is remembered of what was asked
        self.nova = nova
        back = partial(give_back, cast(Workloads[NodeView], self.nodes))
        hands = Hands(self.nodes, self._acts(), back, self.ward.is_sick)
        office = CarrierOffice(self.index, self.api, self.events, self.clock, self._send)
        self.reconciler = RepairReconciler(
            self.ward,
            Office(self.index, self.api, self.clock, self.metrics, self._add),
            Eyes(self.nodes, nova, partial(revive, self.api)),
            Carrier(self.ward, office, hands, self.metrics),
            Report(self.index, self.api, self.ward, self.clock),
        )
        return self.reconciler

    def _acts(self) -> dict[Action, Act]:
        return {
            Action.WAIT: wait,
            Action.DRAIN: Drain(self.nodes),
            Action.SOFT_REBOOT: Reboot(self.nova, hard=False),
            Action.HARD_REBOOT: Reboot(self.nova, hard=True),
            Action.POWER_CYCLE: PowerCycle(self.nova),
            Action.REPLACE: Replace(self.index.get, self.api),
            Action.QUARANTINE: Quarantine(self.nodes),
        }

    async def _send(self, ticket: Ticket, body: Object) -> bool:
        self.tickets.append(body)
        return True

    # -- the watches and the queue ----------------------------------------------------------------------------------

    def _changed(self, obj: Object, gone: bool) -> None:
        (self.index.remove if gone else self.index.put)(obj)
        meta, kind = metadata(obj), obj["kind"]
        namespace = meta.get("namespace") or ""
        if kind == "Site":
            self._add(("site", meta["name"]))
        elif kind == "Cluster":
            self._add(("cluster", namespace, meta["name"]))
        elif name := labels(obj).get(CLUSTER_NAME_LABEL):
            self._add(("cluster", namespace, name))
            if kind in ("Machine", "NodeRepair"):
                self._add(("node", namespace, meta["name"]))

    def _add(self, key: Key) -> None:
        self.due[key] = min(self.due.get(key, self.clock.monotonic()), self.clock.monotonic())

    async def run(self, seconds: float) -> None:
        """Let so many seconds pass. A killed program is begun anew."""
        end = self.clock.monotonic() + seconds
        while True:
            for server in self.nova.settle():
                self._came_up(server)
            ready = [k for k, at in self.due.items() if at <= self.clock.monotonic()]
            if ready:
                await self._work(ready[0])
                continue
            until = [
                *self.due.values(),
                *(
                    (at - self.clock.now()).total_seconds() + self.clock.monotonic()
                    for at, _ in self.nova.ends.values()
                ),
            ]
            following = min(until, default=end)
            if following > end:
                self.clock.step(end - self.clock.monotonic())
                return
            self.clock.step(max(0.0, following - self.clock.monotonic()) or 0.001)

    async def _work(self, key: Key) -> None:
        del self.due[key]
        try:
            again = await self.reconciler.reconcile(key)
            await asyncio.sleep(0)  # what goes on beside it
        except Killed:
            self.fate.kill_at = None
            self.start()
            return
        except (KubeError, CloudError) as failure:
            self.failures.append(failure)
            again = BACK_OFF
        if again is not None:
            due = self.clock.monotonic() + max(again, 0.0)
            self.due[key] = min(self.due.get(key, due), due)

    # -- the world --------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        now = stamp(self.clock.now())
        ready = {"type": "ControlPlaneInitialized", "status": "True"}
        pools = [pool(repair={"template": "own"} if self.steps else {})]
        if self.steps:
            self.api.put(_template(self.steps))
        for obj in (raw_site(), raw_cluster(nodePools=pools), capi_cluster(ready), deployment("team-cpu", "cpu")):
            self.api.put(obj)
        for number in range(SIZE):
            name = f"m-{number}"
            conditions = {"type": "InfrastructureReady", "status": "True", "lastTransitionTime": now}
            self.api.put(
                machine(
                    name,
                    conditions,
                    metadata={"creationTimestamp": now},
                    spec={"version": "v1.36.1", "providerID": f"openstack:///s-{number}", "failureDomain": "az-1"},
                    status={"nodeRef": {"name": name}},
                )
            )
            found = self.machine(name)
            labelled = {"kaas.internal/pool": "cpu", "cluster.x-k8s.io/deployment-name": "team-cpu"}
            self.api.change(found, {"metadata": {"labels": labelled}})
            self.workload.put(_node(name, now))
            self.nova.facts[f"s-{number}"] = ServerFacts(f"s-{number}", name, "ACTIVE", "running", host=f"h-{number}")

    def machine(self, name: str) -> Object:
        return self.api.objects[f"Machine.{resources.CORE}", NAMESPACE, name]

    def repair(self, name: str) -> Object | None:
        return self.api.objects.get(("NodeRepair.kaas.internal", NAMESPACE, name))

    def node(self, name: str) -> Object:
        return self.workload.objects["Node.", "", name]

    def cluster(self) -> Object:
        return self.api.objects["Cluster.kaas.internal", NAMESPACE, NAME]

    def annotate(self, obj: Object, **notes: str | None) -> None:
        named = {f"kaas.internal/{k.replace('_', '-')}": v for k, v in notes.items()}
        self.api.change(obj, {"metadata": {"annotations": named}})

    def metrics_of(self, name: str) -> float:
        """Sum of a metric over all labels."""
        every = (s for m in self.registry.collect() for s in m.samples)
        return sum(s.value for s in every if s.name == name)

    def kubelet(self, name: str, status: str, boot: str | None = None) -> None:
        """Ready becomes True, False or Unknown."""
        condition = {"type": "Ready", "status": status, "lastTransitionTime": stamp(self.clock.now())}
        info = {"nodeInfo": {"bootID": boot}} if boot else {}
        self.workload.change(self.node(name), {"status": {"conditions": [condition], **info}})

    def _came_up(self, server: str) -> None:
        number = len(self.nova.actions[server])
        name = self.nova.facts[server].name
        status = "True" if self.helps in self.nova.asked(server) else "Unknown"
        if ("Node.", "", name) in self.workload.objects:
            self.kubelet(name, status, boot=f"boot-{number}")

    def cut_off(self, *, away: bool) -> None:
        """The workload cluster's API server is away, or there again."""
        self.workload_fate.trouble = Unavailable("ask", "it does not answer") if away else None


def _template(steps: Sequence[str]) -> Object:
    meta = {"name": "own", "namespace": NAMESPACE}
    policy = {"steps": [{"action": a, "timeoutSeconds": 300} for a in steps]}
    kind = resources.NODE_REPAIR_TEMPLATE
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": meta,
        "spec": {"template": {"spec": policy}},
    }


def _node(name: str, now: str) -> Object:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": now}
    info = {"bootID": "boot-0", "kubeletVersion": "v1.36.1"}
    meta = {"name": name, "creationTimestamp": now}
    status = {"conditions": [condition], "nodeInfo": info}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {}, "status": status}
