"""The cloud is asked for what Cluster API's provider and the machines' agent ask of it."""

from __future__ import annotations

import base64
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kaas_lab import openstack
from kaas_lab.openstack import seeds
from kaas_lab.openstack.connection import identity
from kaas_lab.openstack.site import ZONES, Site, service_named
from openstack.connection import Connection
from openstack.exceptions import SDKException

from tests.e2e.openstack.tenancy import USER_DATA, Servers, eventually, wait_for_balancer, wait_for_volume

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

AT_ONCE = 8
"""Load balancers, each from a thread of its own."""


def test_every_service_runs_and_says_where(site: Site) -> None:
    services = openstack.status(site.layout, site.name)
    assert {s["state"] for s in services.values()} == {"running"}
    assert all(s["pid"] and s["rss"] > 0 and s["url"].startswith("http://127.") for s in services.values())


def test_a_floating_ip_is_a_loopback_address_that_can_be_bound(site: Site, tenant: Connection, subnet: Any) -> None:
    external = tenant.network.find_network(seeds.EXTERNAL_NETWORK, ignore_missing=False)
    router = tenant.network.create_router(name="r", external_gateway_info={"network_id": external.id})
    tenant.network.add_interface_to_router(router, subnet=subnet)
    port = tenant.network.create_port(network_id=subnet.network_id)
    address = tenant.network.create_ip(floating_network_id=external.id, port_id=port.id)
    try:
        assert tenant.network.get_ip(address).status == "ACTIVE"
        assert address.floating_ip_address.startswith(f"{site.floating_network}.")
        with socket.socket() as listener:
            listener.bind((address.floating_ip_address, 0))
    finally:
        tenant.network.delete_ip(address)
        tenant.network.delete_port(port)
        tenant.network.remove_interface_from_router(router, subnet=subnet)
        tenant.network.delete_router(router)


def test_images_and_flavors_are_there(tenant: Connection) -> None:
    images = {image.name: image for image in tenant.image.images()}
    assert set(images) == {seeds.image_name(version) for version in seeds.KUBERNETES_VERSIONS}
    node = images[seeds.image_name("v1.36.3")]
    assert (node.properties["kube_version"], node.os_distro, node.visibility) == ("v1.36.3", "ubuntu", "public")
    assert {f.name for f in tenant.compute.flavors()} == {f.name for f in seeds.FLAVORS}


@pytest.mark.parametrize("zone", ZONES)
def test_a_server_lands_in_its_zone(site: Site, admin: Connection, servers: Servers, zone: str) -> None:
    server = admin.compute.get_server(servers.active(availability_zone=zone))
    assert server.availability_zone == zone
    assert server.compute_host in {host.name for host in site.hosts if host.zone == zone}


def test_two_dgx_servers_fill_the_cloud(admin: Connection, servers: Servers) -> None:
    hosts = {admin.compute.get_server(servers.active("g1.a100x8")).compute_host for _ in range(2)}
    assert hosts == {"gpu-0", "gpu-1"}
    assert "No valid host was found" in servers.failed("g1.a100x8")
    assert "No valid host was found" in servers.failed("g1.a100x1")


def test_the_administrator_reads_every_projects_user_data(admin: Connection, servers: Servers) -> None:
    server = servers.active()
    seen = {s.id: s for s in admin.compute.servers(all_projects=True)}
    assert base64.b64decode(seen[server.id].user_data).decode() == USER_DATA


def test_the_console_shows_what_the_machine_wrote(site: Site, tenant: Connection, servers: Servers) -> None:
    server = servers.active()
    assert tenant.compute.get_server_console_output(server)["output"] == ""
    (site.consoles / f"{server.id}.log").write_text("one\ntwo\n")
    assert tenant.compute.get_server_console_output(server)["output"] == "one\ntwo\n"


def actions(admin: Connection, server: Any) -> list[str]:
    """What was done to a server and has ended, the oldest first."""
    found = admin.compute.get(f"/servers/{server.id}/os-instance-actions", microversion="2.58").json()
    return [a["action"] for a in reversed(found["instanceActions"])]


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
def test_a_reboot_is_an_instance_action(admin: Connection, tenant: Connection, servers: Servers, kind: str) -> None:
    server = servers.active()
    tenant.compute.reboot_server(server, kind)
    eventually(lambda: actions(admin, server) == ["create", "reboot"])
    servers.wait(server, "ACTIVE")


def test_stop_start_and_rebuild(admin: Connection, tenant: Connection, servers: Servers) -> None:
    server = servers.active()
    other = tenant.image.find_image(seeds.image_name("v1.36.1"), ignore_missing=False)
    tenant.compute.stop_server(server)
    servers.wait(server, "SHUTOFF")
    tenant.compute.start_server(server)
    servers.wait(server, "ACTIVE")
    tenant.compute.rebuild_server(server, image=other.id)
    eventually(lambda: tenant.compute.get_server(server).image.id == other.id)
    servers.wait(server, "ACTIVE")
    assert actions(admin, server) == ["create", "stop", "start", "rebuild"]


@pytest.mark.parametrize("provider", ["amphora", "ovn"])
def test_a_load_balancer_becomes_active(tenant: Connection, subnet: Any, provider: str) -> None:
    balancing = tenant.load_balancer
    balancer = _whole_balancer(tenant, subnet, "api", provider)
    assert wait_for_balancer(tenant, balancer).operating_status == "ONLINE"
    assert tenant.network.find_port(balancer.vip_port_id) is not None
    balancing.delete_load_balancer(balancer, cascade=True)
    eventually(lambda: balancing.find_load_balancer(balancer.id) is None)


def test_load_balancers_that_are_made_and_deleted_at_once_do_not_refuse_each_other(site: Site, subnet: Any) -> None:
    def life(name: str) -> None:
        tenant = openstack.connect(site, "kaas")
        balancer = _whole_balancer(tenant, subnet, name, "amphora")
        tenant.load_balancer.delete_load_balancer(balancer, cascade=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(life, (f"one-of-many-{n}" for n in range(AT_ONCE)))) == [None] * AT_ONCE


def _whole_balancer(tenant: Connection, subnet: Any, name: str, provider: str) -> Any:
    """A load balancer with a listener, a pool and a member, as soon as nothing about it is pending."""
    balancing = tenant.load_balancer
    balancer = balancing.create_load_balancer(name=name, vip_subnet_id=subnet.id, provider=provider)
    wait_for_balancer(tenant, balancer)
    listener = balancing.create_listener(name=name, protocol="TCP", protocol_port=6443, load_balancer_id=balancer.id)
    wait_for_balancer(tenant, balancer)
    pool = balancing.create_pool(name=name, protocol="TCP", lb_algorithm="ROUND_ROBIN", listener_id=listener.id)
    wait_for_balancer(tenant, balancer)
    balancing.create_member(pool, address="10.6.0.9", protocol_port=6443, subnet_id=subnet.id)
    return wait_for_balancer(tenant, balancer)


@pytest.mark.parametrize("zone", ZONES)
def test_a_server_boots_from_a_volume_of_its_zone(tenant: Connection, servers: Servers, zone: str) -> None:
    storage = tenant.block_storage
    volume = storage.create_volume(size=20, name="root", image_id=servers.image.id, availability_zone=zone)
    volume = wait_for_volume(tenant, volume)
    assert volume.availability_zone == zone
    root = {"boot_index": 0, "uuid": volume.id, "source_type": "volume", "destination_type": "volume"}
    servers.active(availability_zone=zone, block_device_mapping=[root | {"delete_on_termination": True}])
    servers.delete_all()
    eventually(lambda: storage.find_volume(volume.id) is None)


def credential_login(site: Site, credential: Any) -> Connection:
    return Connection(
        auth_type="v3applicationcredential",
        auth={
            "auth_url": site.url(service_named("keystone")),
            "application_credential_id": credential.id,
            "application_credential_secret": credential.secret,
        },
        region_name=site.region,
    )


def test_an_application_credential_logs_in_until_it_is_revoked(site: Site) -> None:
    tenant = openstack.connect(site, "kaas")
    keystone = identity(tenant)
    user = str(tenant.current_user_id)
    credential = keystone.create_application_credential(user=user, name="capo")
    assert list(credential_login(site, credential).load_balancer.load_balancers()) == []
    keystone.delete_application_credential(user, credential)
    with pytest.raises(SDKException):
        credential_login(site, credential).authorize()


def test_clouds_yaml_has_both_users(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(site.clouds_file))
    for name in ("admin", "kaas"):
        assert Connection(cloud=name).authorize()
