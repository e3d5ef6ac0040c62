"""The feature that has sick nodes repaired, put together for the controller."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import Any

from kaas.api.constants import ANNOTATION_REPAIR, LABEL_CLUSTER
from kaas.api.parsed import Parsed
from kaas.api.repair import Action
from kaas.api.site import Site
from kaas.cli.connections import Connections
from kaas.kube import lean, resources
from kaas.kube.errors import Conflict
from kaas.kube.listing import clusters_of_site
from kaas.kube.objects import Object, Ref, labels, metadata_without, name_of
from kaas.kube.resources import CLUSTER_NAME_LABEL
from kaas.kube.workloads import Workloads
from kaas.openstack.clouds import CloudDirectory
from kaas.repairs.acts import quarantine, ticket
from kaas.repairs.acts.cordon import node_ref
from kaas.repairs.acts.drain import Drain
from kaas.repairs.acts.plugin import RestartDevicePlugin
from kaas.repairs.acts.power import PowerCycle, Reboot
from kaas.repairs.acts.quarantine import Quarantine
from kaas.repairs.acts.rebuild import Rebuild
from kaas.repairs.acts.replace import Replace
from kaas.repairs.acts.server_state import revive
from kaas.repairs.acts.task import Act, Result, Task
from kaas.repairs.carry import Carrier, Hands
from kaas.repairs.carry import Office as CarrierOffice
from kaas.repairs.facts import ClusterKey, NodeView, Sight
from kaas.repairs.metrics import RepairMetrics
from kaas.repairs.nodeview import node_view
from kaas.repairs.nova import Nova
from kaas.repairs.reconciler import FLEET, Eyes, Key, Office, RepairReconciler
from kaas.repairs.report import Report
from kaas.repairs.settings import FleetSettings
from kaas.repairs.ward import Ward
from kaas.runtime.controller import Feature, Services
from kaas.runtime.index import Index
from kaas.runtime.watches import Watch

GIVE_BACK_TRIES = 5  # the Node is written by its kubelet and others all the time
WORKERS = 16  # a pass may wait some seconds for a cloud or cluster that does not answer


def repairs(
    clouds: CloudDirectory,
    settings: FleetSettings,
    parsed: Parsed,
    ending: AsyncExitStack,
    connections: Connections | None = None,
) -> Feature:
    """The feature that repairs nodes.

    parsed: shared with other features. ending: closes what it opens, at the end. connections: lets others use them.
    """

    def watches(services: Services) -> Sequence[Watch]:
        return _watches(services)

    def reconciler(services: Services) -> RepairReconciler:
        workloads = _workloads(services)
        ending.push_async_callback(workloads.close)
        if connections:
            connections.share(workloads)
        nova = Nova(services.client, clouds, partial(_site, services.index, parsed))
        return _reconciler(services, workloads, nova, settings, parsed)

    return Feature("repairs", watches, reconciler, WORKERS)


def _watches(services: Services) -> list[Watch]:
    """What repairs are decided from; the whole Cluster is looked at for each of it."""

    def of_site(site: Object) -> Iterable[Key]:
        name = site["metadata"]["name"]
        return [FLEET, ("site", name), *(("cluster", *c) for c in clusters_of_site(services.index, name))]

    def of_template(template: Object) -> Iterable[Key]:
        """One that we made concerns its Cluster; one that a user made, all of its namespace that may name it."""
        namespace = template["metadata"]["namespace"]
        if own := labels(template).get(LABEL_CLUSTER):
            return [("cluster", namespace, own)]
        return [_cluster_key(c) for c in services.index.list(resources.CLUSTER, namespace)]

    machines = (resources.MACHINE, lean.machine), (resources.MACHINE_DEPLOYMENT, lean.part)
    servers = (resources.OPENSTACK_SERVER, lean.part), (resources.NODE_REPAIR, None)
    return [
        Watch(resources.CLUSTER, lambda o: [_cluster_key(o)], concern=_concern),
        Watch(resources.SITE, of_site),
        Watch(resources.NODE_REPAIR_TEMPLATE, of_template),
        Watch(resources.CAPI_CLUSTER, lambda o: [_cluster_key(o)], transform=lean.cluster),
        *(Watch(resource, _of_cluster, transform=keep) for resource, keep in (*machines, *servers)),
    ]


def _cluster_key(obj: Object) -> Key:
    return ("cluster", *name_of(obj))


def _concern(cluster: Object) -> Any:
    """Of a Cluster, what is looked at: what its user says, and whether anything of repairs is told in its status."""
    meta = metadata_without(cluster, "resourceVersion")
    return meta, cluster["spec"], "repair" in (cluster.get("status") or {})


def _of_cluster(obj: Object) -> Iterable[Key]:
    """The Cluster that a part belongs to; of a Machine and its NodeRepair, also the node itself."""
    name, namespace = labels(obj).get(CLUSTER_NAME_LABEL), obj["metadata"].get("namespace") or ""
    own = [("node", namespace, obj["metadata"]["name"])] if obj["kind"] in ("Machine", "NodeRepair") else []
    return [("cluster", namespace, name), *own] if name else own


def _workloads(services: Services) -> Workloads[NodeView]:
    async def read_kubeconfig(cluster: ClusterKey) -> bytes | None:
        found = await services.client.get(Ref("v1", "Secret", cluster[0], f"{cluster[1]}-kubeconfig"))
        return base64.b64decode(found["data"]["value"]) if found else None

    def changed(cluster: ClusterKey, _: frozenset[str] | None) -> None:
        services.add(("cluster", *cluster))

    return Workloads(read_kubeconfig, node_view, changed, services.clock)


class _Nodes:
    """The workload clusters as repairs see them."""

    def __init__(self, workloads: Workloads[NodeView]) -> None:
        self._workloads = workloads
        self.follow, self.forget, self.nodes, self.look = (
            workloads.follow,
            workloads.forget,
            workloads.nodes,
            workloads.look,
        )

    def sight(self, cluster: ClusterKey) -> Sight | None:
        """Whether a cluster can be seen; None until that was tried."""
        found = self._workloads.sight(cluster)
        return Sight(found.clear, found.since, found.problem) if found.asked else None


def _reconciler(
    services: Services, workloads: Workloads[NodeView], nova: Nova, settings: FleetSettings, parsed: Parsed
) -> RepairReconciler:
    """Everything put together."""
    index, client, clock = services.index, services.client, services.clock
    ward, metrics, nodes = Ward(settings), RepairMetrics(services.metrics.registry), _Nodes(workloads)
    hands = Hands(nodes, _acts(services, workloads, nova), partial(give_back, workloads), ward.is_sick)
    carrier = Carrier(ward, CarrierOffice(index, client, services.events, clock, ticket.send), hands, metrics)
    office = Office(index, client, clock, metrics, services.add, parsed)
    eyes = Eyes(nodes, nova, partial(revive, client))
    return RepairReconciler(ward, office, eyes, carrier, Report(index, client, ward, clock))


def _site(index: Index, parsed: Parsed, name: str) -> Site | None:
    raw = index.get(resources.SITE, None, name)
    return parsed(Site.model_validate, raw) if raw else None


def _acts(services: Services, workloads: Workloads[NodeView], nova: Nova) -> dict[Action, Act]:
    index, client = services.index, services.client
    return {
        Action.WAIT: wait,
        Action.RESTART_DEVICE_PLUGIN: RestartDevicePlugin(workloads),
        Action.DRAIN: Drain(workloads),
        Action.SOFT_REBOOT: Reboot(nova, hard=False),
        Action.HARD_REBOOT: Reboot(nova, hard=True),
        Action.POWER_CYCLE: PowerCycle(nova),
        Action.REBUILD: Rebuild(nova, index, client, workloads),
        Action.REPLACE: Replace(index.get, client),
        Action.QUARANTINE: Quarantine(workloads),
    }


async def wait(task: Task, now: datetime) -> Result:
    """Nothing is done: the planner watches whether the node gets well by itself."""
    return Result(True, "waits")


async def give_back(workloads: Workloads[NodeView], cluster: ClusterKey, node: str) -> None:
    """Undo what a repair did to a Node, and take a request from it that was served."""
    client = await workloads.client(cluster)
    for _ in range(GIVE_BACK_TRIES):
        try:
            await quarantine.release(client, node)
            break
        except Conflict:
            continue
    view = workloads.nodes(cluster).get(node)
    if view is not None and view.request is not None:
        await client.patch(node_ref(node), {"metadata": {"annotations": {ANNOTATION_REPAIR: None}}})
