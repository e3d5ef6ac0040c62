"""One OpenStack cloud a module, and what its tests need to ask it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kaas_lab import openstack, processes
from kaas_lab.openstack import faults
from kaas_lab.openstack.site import Site
from kaas_lab.slots import free_slot
from openstack.connection import Connection

from tests.e2e.openstack.tenancy import Servers

SITE = "lab"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    state = tmp_path_factory.mktemp("openstack")
    with free_slot(state) as layout:
        try:
            openstack.up(layout, SITE, 0, say=print)
            yield openstack.load(layout, SITE)
        finally:
            processes.stop_all(state)


@pytest.fixture(scope="module")
def admin(site: Site) -> Connection:
    return openstack.connect(site)


@pytest.fixture(scope="module")
def tenant(site: Site) -> Connection:
    return openstack.connect(site, "kaas")


@pytest.fixture(autouse=True)
def _healed(site: Site) -> Iterator[None]:
    yield
    faults.heal(site.layout, site.name)


@pytest.fixture(scope="module")
def subnet(tenant: Connection) -> Any:
    network = tenant.network.create_network(name="nodes")
    return tenant.network.create_subnet(network_id=network.id, name="nodes", ip_version=4, cidr="10.6.0.0/20")


@pytest.fixture
def servers(tenant: Connection, subnet: Any, site: Site) -> Iterator[Servers]:
    made = Servers(tenant, subnet)
    yield made
    faults.heal(site.layout, site.name)
    made.delete_all()
