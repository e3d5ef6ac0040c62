"""What is asked of a cloud, one function a question. They block, and raise whatever the SDK raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from keystoneauth1.exceptions import CatalogException
from openstack.connection import Connection
from openstack.exceptions import NotFoundException, ServiceDisabledException

from kaas.openstack.errors import clean
from kaas.openstack.facts import DUPLICATE_IMAGE, FlavorFacts, Quota, ServerFault

# Neutron's name of a quota to ours.
_NETWORK_QUOTAS: Final = {
    "floating_ips": "floating_ips",
    "networks": "networks",
    "routers": "routers",
    "security_groups": "security_groups",
    "ports": "ports",
}


def _limit(value: int | None) -> int | None:
    """-1 is no limit, in every service."""
    return None if value is None or value < 0 else value


def images(cloud: Connection, _project: str) -> Mapping[str, str]:
    """Images that the project can see, by name."""
    found: dict[str, str] = {}
    for image in cloud.image.images():
        if image.name:
            found[image.name] = DUPLICATE_IMAGE if image.name in found else image.status
    return found


def flavors(cloud: Connection, _project: str) -> Mapping[str, FlavorFacts]:
    """Flavors that the project can use, by name."""
    return {f.name: FlavorFacts(f.vcpus, f.ram, f.disk) for f in cloud.compute.flavors(get_extra_specs=False)}


def external_networks(cloud: Connection, _project: str) -> Mapping[str, str]:
    """Networks that floating IPs may come from: id to name."""
    return {network.id: network.name for network in cloud.network.networks(is_router_external=True)}


def zones(cloud: Connection, _project: str) -> frozenset[str]:
    """Nova's availability zones that are available."""
    return frozenset(zone.name for zone in cloud.compute.availability_zones() if zone.state["available"])


def compute_quotas(cloud: Connection, _project: str) -> Mapping[str, Quota]:
    """Instances, cores and memory."""
    limits = cloud.compute.get_limits().absolute
    return {
        "instances": Quota(_limit(limits.instances), limits.instances_used),
        "cores": Quota(_limit(limits.total_cores), limits.total_cores_used),
        "ram_mb": Quota(_limit(limits.total_ram), limits.total_ram_used),
    }


def network_quotas(cloud: Connection, project: str) -> Mapping[str, Quota]:
    """What Neutron counts."""
    quota = cloud.network.get_quota(project, details=True)
    details = {ours: getattr(quota, theirs) for theirs, ours in _NETWORK_QUOTAS.items()}
    return {name: Quota(_limit(d["limit"]), d["used"] + d["reserved"]) for name, d in details.items()}


def load_balancer_quotas(cloud: Connection, project: str) -> Mapping[str, Quota]:
    """Load balancers; Octavia tells the limit, we count."""
    quota = cloud.load_balancer.get_quota(project)
    return {"load_balancers": Quota(_limit(quota.load_balancers), load_balancers(cloud, project))}


def volume_quotas(cloud: Connection, _project: str) -> Mapping[str, Quota]:
    """Volumes."""
    limits = cloud.block_storage.get_limits().absolute
    return {"volumes": Quota(_limit(limits.max_total_volumes), limits.total_volumes_used)}


def server_fault(cloud: Connection, server_id: str) -> ServerFault | None:
    """A server's status and fault; None when there is no such server."""
    try:
        server = cloud.compute.get_server(server_id)
    except NotFoundException:
        return None
    fault = server.fault if isinstance(server.fault, dict) else {}
    return ServerFault(server.status, clean(str(fault["message"])) if fault.get("message") else None)


def _count(found: Iterable[Any]) -> int:
    return sum(1 for _ in found)


def load_balancers(cloud: Connection, project: str) -> int:
    """Load balancers of the project."""
    return _count(cloud.load_balancer.load_balancers(project_id=project))


def _security_groups(cloud: Connection, project: str) -> int:
    return _count(group for group in cloud.network.security_groups(project_id=project) if group.name != "default")


_COUNTED: Final[Mapping[str, Callable[[Connection, str], int]]] = {
    "servers": lambda cloud, _: _count(cloud.compute.servers(details=False)),
    "ports": lambda cloud, project: _count(cloud.network.ports(project_id=project)),
    "networks": lambda cloud, project: _count(cloud.network.networks(project_id=project, is_router_external=False)),
    "routers": lambda cloud, project: _count(cloud.network.routers(project_id=project)),
    "load_balancers": load_balancers,
    "floating_ips": lambda cloud, project: _count(cloud.network.ips(project_id=project)),
    "security_groups": _security_groups,
    "volumes": lambda cloud, _: _count(cloud.block_storage.volumes(details=False)),
}


_OPTIONAL: Final = frozenset({"load_balancers", "volumes"})


def count(cloud: Connection, project: str, what: str) -> int:
    """How many there are in the project; none of those whose service the cloud does not have and need not have."""
    try:
        return _COUNTED[what](cloud, project)
    except (CatalogException, ServiceDisabledException):
        if what not in _OPTIONAL:
            raise
        return 0
