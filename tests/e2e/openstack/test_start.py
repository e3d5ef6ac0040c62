"""Starting again, and starting from a snapshot."""

from __future__ import annotations

from pathlib import Path

import pytest
from kaas_lab import openstack, processes
from kaas_lab.layout import Layout
from kaas_lab.openstack import seeds, snapshots
from kaas_lab.openstack.connection import identity
from kaas_lab.openstack.site import Site, service_named
from kaas_lab.slots import free_slot
from openstack.connection import Connection

SITE = "lab"
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_up_again_changes_nothing(site: Site) -> None:
    before = openstack.status(site.layout, site.name)
    openstack.up(site.layout, site.name, 0, say=print)
    assert {s: v["pid"] for s, v in openstack.status(site.layout, site.name).items()} == {
        s: v["pid"] for s, v in before.items()
    }


def test_another_lab_starts_from_the_snapshot_with_ports_and_networks_of_its_own(
    site: Site, tenant: Connection, tmp_path: Path
) -> None:
    assert snapshots.snapshot_path(site).exists()
    with free_slot(tmp_path) as layout:
        try:
            check_second_site(layout, site, tenant)
        finally:
            processes.stop_all(tmp_path)


def check_second_site(layout: Layout, first: Site, tenant: Connection) -> None:
    said: list[str] = []
    openstack.up(layout, SITE, 0, say=said.append)
    assert any("from a snapshot" in line for line in said)
    second = openstack.load(layout, SITE)
    cloud = openstack.connect(second)
    (subnet,) = cloud.network.subnets()
    assert subnet.cidr == f"{layout.floating_network(0)}.0.0/16" != f"{first.floating_network}.0.0/16"
    assert subnet.gateway_ip == f"{layout.floating_network(0)}.0.1"
    (external,) = cloud.network.networks(is_router_external=True)
    address = cloud.network.create_ip(floating_network_id=external.id)
    assert address.floating_ip_address.startswith(f"{layout.floating_network(0)}.")
    urls = [str(endpoint.url) for endpoint in identity(cloud).endpoints()]
    assert all(f":{layout.site_port(0, 0) // 100}" in url for url in urls)
    image = cloud.image.find_image(seeds.image_name("v1.36.3"), ignore_missing=False)
    assert (
        cloud.session.get(f"{second.url(service_named('glance'))}/v2/images/{image.id}/file").content
        == seeds.IMAGE_DATA
    )
    other = tenant.session.get_token()
    refused = cloud.session.get(
        f"{second.url(service_named('nova'))}/servers",
        authenticated=False,
        headers={"X-Auth-Token": other},
        raise_exc=False,
    )
    assert refused.status_code == 401
