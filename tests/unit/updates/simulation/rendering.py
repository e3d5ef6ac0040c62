"""What the clusters feature hands to Cluster API, by its own target and holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from kaas.api.cluster import Cluster, NodePool
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.versions import KubernetesVersion
from kaas.clusters.classes import ClassRevision
from kaas.clusters.holding import holds
from kaas.clusters.pools import Deployment, deployments
from kaas.clusters.snapshot import Live, Snapshot
from kaas.clusters.target import target
from kaas.kube.objects import Object
from kaas.kube.times import at
from tests.unit.updates.simulation import manifests
from tests.unit.updates.simulation.machines import Machines, Topology
from tests.unit.updates.simulation.member import Key, Member

CLASS = "class-1"


def rendered(
    member: Member,
    cluster: Cluster,
    site: Site,
    releases: Sequence[Release],
    classes: Mapping[str, Object],
    now: datetime,
) -> Topology:
    """The topology as it is to be. Raises ReleaseMissingError."""
    live, newest = _live(member.key, member.machines, now), _revision(list(classes)[-1])
    snapshot = Snapshot(cluster, site, releases, newest, classes=classes, live=live, now=now)
    found = target(snapshot, site, newest)
    held = holds(cluster, found, live, _parts(cluster.spec.node_pools, site))
    return Topology(
        version=KubernetesVersion.parse(found.version),
        images=found.images,
        revision=found.class_name,
        deferred=held.deferred,
        on_delete=held.on_delete,
        kept=held.images,
        made_after=at(found.certificates) if found.certificates else None,
    )


def cluster_class(name: str) -> Object:
    """A ClusterClass that takes no variables."""
    return {"metadata": {"name": name}, "spec": {}}


def _revision(name: str) -> ClassRevision:
    return ClassRevision(name, "dev", (cluster_class(name),))


def _live(key: Key, machines: Machines, now: datetime) -> Live:
    pools = machines.pools.values()
    return Live(
        cluster=manifests.capi_cluster(key, machines),
        control_plane=manifests.control_plane(key, machines.control_plane, now),
        deployments=[manifests.deployment(key, p, now) for p in pools],
        machines=[manifests.machine(key, g, m, now) for g in machines.groups() for m in g.machines],
    )


def _parts(pools: Sequence[NodePool], site: Site) -> tuple[Deployment, ...]:
    return deployments(pools, site)
