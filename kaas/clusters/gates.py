"""What a Cluster waits for before anything is made: each a predicate with a message that names the way out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kaas.api.cluster import Cluster
from kaas.api.site import Site
from kaas.clusters.held import Holding
from kaas.clusters.makings import replaced_pools
from kaas.clusters.pools import deployments
from kaas.clusters.render import control_plane_zones
from kaas.clusters.snapshot import Cloud, Live, Object

LOOK_AGAIN_SECONDS = 15.0
SLOW_SECONDS = 5.0  # a cloud that is slow is asked on in the background, and may have answered by then

# What a cluster of its own needs in OpenStack beside its servers: CAPO's managed network with an API load balancer.
NEW_CLUSTER_NEEDS = {
    "networks": 1,
    "routers": 1,
    "security_groups": 2,
    "load_balancers": 1,
    "floating_ips": 1,
}
ACTIVE = "active"


@dataclass(frozen=True)
class Gate:
    """Something that must become true first.

    reason: one CamelCase word for programs. message: names the object, the field and the way out.
    look_again: seconds until it is looked at again; None when a watch tells.
    """

    reason: str
    message: str
    look_again: float | None = None


@dataclass(frozen=True)
class Needs:
    """What a change newly wants from the cloud. Empty when a Cluster only shrinks, or stays as it is.

    servers: number of new servers by flavor.
    """

    servers: Mapping[str, int]
    flavors: frozenset[str]
    images: frozenset[str]
    zones: frozenset[str]
    new_cluster: bool

    def __bool__(self) -> bool:
        return bool(self.new_cluster or self.servers or self.flavors or self.images or self.zones)


def needs(desired: Object, live: Live) -> Needs:
    """The difference between two Cluster API Clusters in servers, flavors, images and zones."""
    want, have = Holding(desired), Holding(live.cluster)
    return Needs(
        servers=want.servers - have.servers,
        flavors=frozenset(want.servers) - frozenset(have.servers),
        images=want.images - have.images,
        zones=want.zones - have.zones,
        new_cluster=live.cluster is None,
    )


def offered(cluster: Cluster, site: Site, live: Live) -> Iterator[Gate]:
    """Flavors and zones that the Cluster newly wants and its Site does not offer. What it has, it keeps."""
    held = Holding(live.cluster)
    flavors = {f.name for f in site.spec.flavors}
    zones = {z.name for z in site.spec.zones}
    known = f"Site {site.metadata.name} offers"
    wanted = [("spec.controlPlane", cluster.spec.control_plane.flavor, cluster.spec.control_plane.zones)]
    wanted += [(f"spec.nodePools[{p.name}]", p.flavor, p.zones) for p in cluster.spec.node_pools]
    for path, flavor, in_zones in wanted:
        if flavor not in flavors | held.servers.keys():
            yield Gate("FlavorNotOffered", f"{path}.flavor: {known} no flavor {flavor!r}; choose {_one_of(flavors)}")
        for zone in in_zones:
            if zone not in zones | held.zones:
                yield Gate("ZoneNotOffered", f"{path}.zones: {known} no zone {zone!r}; choose {_one_of(zones)}")
    yield from _clashes(cluster, site)


def _clashes(cluster: Cluster, site: Site) -> Iterator[Gate]:
    """Pools whose names, joined with a zone, come out alike: `a-b` in zone `c` and `a` in zone `b-c`."""
    names = Counter(d.name for d in deployments(cluster.spec.node_pools, site))
    for name in sorted(n for n, times in names.items() if times > 1):
        yield Gate("PoolNamesClash", f"spec.nodePools: two pools come out as {name!r} with their zones; rename one")


def _one_of(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "another Site: it has none"


def under_repair(cluster: Cluster, desired: Object, live: Live) -> Iterator[Gate]:
    """Pools with a repair in flight whose machines a change would replace: both draw on one budget.

    Nobody waits for ever: a repair ends, by itself or in quarantine, and one that is held back is not in flight.
    """
    if live.cluster is None or cluster.status is None or cluster.status.repair is None:
        return
    replaced = replaced_pools(live.cluster, desired)
    for pool in cluster.status.repair.pools:
        if pool.in_flight and pool.name in replaced:
            what = f"pool {pool.name}" if pool.name else "the control plane"
            words = f"the change replaces machines of {what}, of which {pool.in_flight} under repair: it goes on when"
            yield Gate(
                "RepairUnderWay", f"{words} that has ended; see `kaas repair status -n {cluster.metadata.namespace}`"
            )


def in_cloud(wanted: Needs, cluster: Cluster, site: Site, cloud: Cloud) -> Iterator[Gate]:
    """What the cloud lacks of what a change newly wants."""
    if cloud.problem:
        reason, message = cloud.problem
        yield Gate(reason, message, SLOW_SECONDS if reason == "CloudTimeout" else LOOK_AGAIN_SECONDS)
        return
    yield from _missing(wanted, cluster, site, cloud)
    yield from _over_quota(wanted, site, cloud)


def _missing(wanted: Needs, cluster: Cluster, site: Site, cloud: Cloud) -> Iterator[Gate]:
    where = f"the cloud of Site {site.metadata.name}"
    if wanted.new_cluster and site.spec.external_network:
        network = site.spec.external_network.name or site.spec.external_network.id
        if network not in cloud.external_networks:
            yield _absent(
                "NetworkNotFound",
                f"Site {site.metadata.name} spec.externalNetwork: {where} has no external network {network!r}; "
                "correct the Site, or create the network and mark it external",
            )
    for flavor in sorted(wanted.flavors - cloud.flavors.keys()):
        yield _absent(
            "FlavorNotFound",
            f"{where} has no flavor {flavor!r}, which the Site offers; create it there, or remove it from the Site",
        )
    for image in sorted(wanted.images):
        status = cloud.images.get(image)
        if status != ACTIVE:
            state = f"image {image!r} is {status!r}, not active" if status else f"there is no image {image!r}"
            yield _absent(
                "ImageNotFound" if status is None else "ImageNotActive",
                f"{where}: {state}; upload it, or choose another spec.version",
            )
    named = {z for z in control_plane_zones(cluster, site)} | wanted.zones
    for zone in sorted((wanted.zones & named) - cloud.zones):
        yield _absent("ZoneNotFound", f"{where} has no availability zone {zone!r}; correct Site {site.metadata.name}")


def _absent(reason: str, message: str) -> Gate:
    return Gate(reason, message, LOOK_AGAIN_SECONDS)


def _over_quota(wanted: Needs, site: Site, cloud: Cloud) -> Iterator[Gate]:
    for resource, need in sorted(_quota_needs(wanted, cloud).items()):
        free = cloud.free.get(resource)
        if free is not None and need > free:
            yield Gate(
                "QuotaExceeded",
                f"quota of Site {site.metadata.name}: {resource} has {max(free, 0)} left and {need} more are wanted; "
                "raise the project's quota, free some, or ask for less",
                LOOK_AGAIN_SECONDS,
            )


def _quota_needs(wanted: Needs, cloud: Cloud) -> Mapping[str, int]:
    total: Counter[str] = Counter(NEW_CLUSTER_NEEDS if wanted.new_cluster else {})
    for flavor, number in wanted.servers.items():
        vcpus, ram = cloud.flavors.get(flavor, (0, 0))
        total.update(instances=number, ports=number, cores=number * vcpus, ram_mb=number * ram)
    return +total
