"""The cloud breaks on demand, and heals."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from kaas_lab import openstack
from kaas_lab.openstack import faults, quotas, seeds
from kaas_lab.openstack.site import Site, service_named
from openstack.connection import Connection
from openstack.exceptions import HttpException, SDKException

from tests.e2e.openstack.tenancy import LIMIT, Servers, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.mark.parametrize("resource", ["instances", "ports", "floating_ips", "volumes", "load_balancers"])
def test_a_quota_without_room_refuses_and_heals(
    site: Site, tenant: Connection, subnet: Any, servers: Servers, resource: str
) -> None:
    external = tenant.network.find_network(seeds.EXTERNAL_NETWORK, ignore_missing=False)
    attempts: dict[str, Callable[[], Any]] = {
        "instances": servers.create,
        "ports": lambda: tenant.network.create_port(network_id=subnet.network_id),
        "floating_ips": lambda: tenant.network.create_ip(floating_network_id=external.id),
        "volumes": lambda: tenant.block_storage.create_volume(size=1),
        "load_balancers": lambda: tenant.load_balancer.create_load_balancer(vip_subnet_id=subnet.id),
    }
    faults.exhaust_quota(site.layout, site.name, resource)
    with pytest.raises(HttpException) as refused:
        attempts[resource]()
    assert refused.value.status_code in (403, 409, 413)
    assert faults.heal(site.layout, site.name) == {"quota": {resource: 0}}
    assert attempts[resource]()


def test_a_quota_of_no_such_resource_is_refused(admin: Connection) -> None:
    with pytest.raises(ValueError, match="no quota 'luck'"):
        quotas.exhaust(admin, "luck")


def test_no_host_on_demand(site: Site, servers: Servers) -> None:
    faults.break_servers(site.layout, site.name, faults.Action.CREATE)
    assert servers.failed() == "No valid host was found. There are not enough hosts available."
    faults.heal(site.layout, site.name)
    servers.active()


def test_a_build_fails_on_demand(site: Site, servers: Servers) -> None:
    faults.break_servers(site.layout, site.name, faults.Action.SPAWN, "the disk is on fire")
    assert "the disk is on fire" in servers.failed()


def test_a_failed_reboot_leaves_an_error_that_a_hard_reboot_mends(
    site: Site, tenant: Connection, servers: Servers
) -> None:
    server = servers.active()
    faults.break_servers(site.layout, site.name, faults.Action.REBOOT)
    tenant.compute.reboot_server(server, "HARD")
    eventually(lambda: tenant.compute.get_server(server).status == "ERROR")
    assert "broken on purpose" in tenant.compute.get_server(server).fault["message"]
    faults.heal(site.layout, site.name)
    tenant.compute.reboot_server(server, "HARD")
    eventually(lambda: tenant.compute.get_server(server).status == "ACTIVE")


def test_a_failed_delete_leaves_an_error(site: Site, tenant: Connection, servers: Servers) -> None:
    server = servers.active()
    faults.break_servers(site.layout, site.name, faults.Action.DELETE)
    tenant.compute.delete_server(server)
    eventually(lambda: tenant.compute.get_server(server).status == "ERROR")


def test_a_load_balancer_fails_on_demand(site: Site, tenant: Connection, subnet: Any) -> None:
    faults.break_load_balancers(site.layout, site.name)
    balancing = tenant.load_balancer
    balancer = balancing.create_load_balancer(name="api", vip_subnet_id=subnet.id)
    eventually(lambda: balancing.get_load_balancer(balancer).provisioning_status == "ERROR")
    balancing.delete_load_balancer(balancer, cascade=True)
    eventually(lambda: balancing.find_load_balancer(balancer.id) is None)


@pytest.mark.parametrize("service", ["nova", "neutron"])
def test_a_service_that_was_down_keeps_what_it_held(
    site: Site, tenant: Connection, servers: Servers, service: str
) -> None:
    server = servers.active()
    faults.break_service(site.layout, site.name, service, faults.How.DOWN)
    assert openstack.status(site.layout, site.name)[service]["state"] == "down"
    faults.heal(site.layout, site.name)
    assert openstack.status(site.layout, site.name)[service]["state"] == "running"
    tenant.compute.stop_server(server)
    servers.wait(server, "SHUTOFF")
    tenant.compute.start_server(server)
    servers.wait(server, "ACTIVE")
    assert list(tenant.network.ports(device_id=server.id))


def reach(url: str, timeout: float) -> str:
    """What a client sees: `answered`, `silence` or `refused`."""
    host, port = url.removeprefix("http://").split("/")[0].split(":")
    try:
        with socket.create_connection((host, int(port)), timeout) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(100).decode().splitlines()[0].split()[1]
    except TimeoutError:
        return "silence"
    except ConnectionError:
        return "refused"


@pytest.mark.parametrize(
    ("how", "seen"),
    [
        (faults.How.DOWN, "refused"),
        (faults.How.HANG, "silence"),
        (faults.How.SLOW, "silence"),
        (faults.How.REFUSE, "503"),
    ],
)
def test_a_service_breaks_and_heals(site: Site, how: faults.How, seen: str) -> None:
    url = site.url(service_named("glance"))
    faults.break_service(site.layout, site.name, "glance", how, seconds=3)
    assert reach(url, timeout=1.0) == seen
    faults.heal(site.layout, site.name)
    assert reach(url, timeout=LIMIT) == "300"  # Glance's list of versions


@pytest.mark.parametrize("how", list(faults.Login))
def test_a_wrong_credential(site: Site, how: faults.Login) -> None:
    faults.break_login(site.layout, site.name, how)
    with pytest.raises(SDKException):
        openstack.connect(site, "kaas").authorize()
    faults.heal(site.layout, site.name)
    assert openstack.connect(site, "kaas").authorize()
