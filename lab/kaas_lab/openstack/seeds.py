"""What a cloud holds before anybody uses it: users, a catalogue, the external network, images, flavors, zones."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kaas_lab.openstack.configuration import GPU_ALIAS
from kaas_lab.openstack.connection import connect, identity
from kaas_lab.openstack.site import PASSWORD, PROJECT, SERVICES, ZONES, Site

if TYPE_CHECKING:
    from openstack.connection import Connection

EXTERNAL_NETWORK = "public"
GPU_TRAIT = "CUSTOM_DGX_A100"
KUBERNETES_VERSIONS = ("v1.35.6", "v1.36.1", "v1.36.2", "v1.36.3")
IMAGE_DATA = b"\0" * 65536
LOAD_BALANCER_ROLE = "load-balancer_member"  # Octavia's default policy, "advanced RBAC"


@dataclass(frozen=True)
class Flavor:
    """A flavor: memory and disk in GiB."""

    name: str
    vcpus: int
    memory: int
    disk: int
    specs: Mapping[str, str] = field(default_factory=dict)


def _plain(name: str, vcpus: int, memory: int, disk: int) -> Flavor:
    return Flavor(name, vcpus, memory, disk, {f"trait:{GPU_TRAIT}": "forbidden"})


def _dgx(name: str, size: tuple[int, int, int], gpus: int) -> Flavor:
    specs = {"pci_passthrough:alias": f"{GPU_ALIAS}:{gpus}", f"trait:{GPU_TRAIT}": "required"}
    return Flavor(name, *size, specs)


FLAVORS = (
    _plain("m1.small", 2, 4, 20),
    _plain("m1.medium", 4, 8, 40),
    _plain("m1.large", 8, 16, 80),
    _dgx("g1.a100x1", (16, 128, 200), 1),
    _dgx("g1.a100x8", (128, 1024, 1000), 8),
)


def image_name(version: str) -> str:
    """Name of the node image of a Kubernetes version such as `v1.36.3`."""
    return f"ubuntu-2404-kube-{version}"


def seed_identity(site: Site) -> None:
    """Users, projects, roles and the catalogue. Needs Keystone only; the other services need it to start."""
    keystone = identity(connect(site))
    roles = {role.name: role.id for role in keystone.roles()}
    roles[LOAD_BALANCER_ROLE] = keystone.create_role(name=LOAD_BALANCER_ROLE).id
    for name, wanted in (("service", ("admin", "service")), (PROJECT, ("member", LOAD_BALANCER_ROLE))):
        project = keystone.create_project(name=name, domain_id="default")
        user = keystone.create_user(name=name, password=PASSWORD, domain_id="default", default_project_id=project.id)
        for role in wanted:
            keystone.assign_project_role_to_user(project.id, user.id, roles[role])
    for service in SERVICES[1:]:
        made = keystone.create_service(name=service.name, type=service.type)
        keystone.create_endpoint(service_id=made.id, interface="public", url=site.url(service), region_id=site.region)


def seed(site: Site) -> None:
    """Everything else. Needs every service, and the compute hosts registered."""
    cloud = connect(site)
    cloud.placement.put(f"/traits/{GPU_TRAIT}", microversion="1.6")
    with ThreadPoolExecutor(3) as pool:
        parts = [
            pool.submit(_seed_network, cloud, site),
            pool.submit(_seed_images, cloud),
            pool.submit(_seed_compute, cloud, site),
        ]
    for part in parts:
        part.result()


def _seed_network(cloud: Connection, site: Site) -> None:
    network = cloud.network.create_network(
        name=EXTERNAL_NETWORK,
        is_router_external=True,
        is_shared=False,
        provider_network_type="flat",
        provider_physical_network="external",
    )
    prefix = site.floating_network
    cloud.network.create_subnet(
        network_id=network.id,
        name=f"{EXTERNAL_NETWORK}-v4",
        ip_version=4,
        cidr=f"{prefix}.0.0/16",
        gateway_ip=f"{prefix}.0.1",
        allocation_pools=[{"start": f"{prefix}.1.0", "end": f"{prefix}.255.254"}],
        is_dhcp_enabled=False,  # Neutron serves no DHCP on loopback networks, and refuses to try
    )


def _seed_images(cloud: Connection) -> None:
    for version in KUBERNETES_VERSIONS:
        cloud.image.create_image(
            name=image_name(version),
            disk_format="raw",
            container_format="bare",
            visibility="public",
            data=IMAGE_DATA,
            wait=True,
            properties={"os_distro": "ubuntu", "os_version": "24.04", "kube_version": version},
        )


def _seed_compute(cloud: Connection, site: Site) -> None:
    for flavor in FLAVORS:
        made = cloud.compute.create_flavor(
            name=flavor.name, vcpus=flavor.vcpus, ram=flavor.memory * 1024, disk=flavor.disk
        )
        cloud.compute.create_flavor_extra_specs(made, dict(flavor.specs))
    for zone in ZONES:
        hosts = [host.name for host in site.hosts if host.zone == zone]
        if hosts:
            aggregate = cloud.compute.create_aggregate(name=zone, availability_zone=zone)
            for host in hosts:
                cloud.compute.add_host_to_aggregate(aggregate, host)
