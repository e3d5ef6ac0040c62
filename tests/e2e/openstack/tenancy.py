"""What the tests do as a tenant."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from kaas_lab.openstack import seeds
from openstack.connection import Connection
from openstack.exceptions import ResourceFailure

LIMIT = 60.0  # seconds that a condition may take on a busy machine
USER_DATA = "#cloud-config\nhostname: nobody\n"
Got = TypeVar("Got")


def eventually(look: Callable[[], Got | None]) -> Got:
    """What `look` gives once it gives something that holds."""
    end = time.monotonic() + LIMIT
    while not (found := look()):
        assert time.monotonic() < end, "the condition did not come about"
        time.sleep(0.1)
    return found


def wait_for_balancer(tenant: Connection, balancer: Any) -> Any:
    """The load balancer once nothing about it is pending; it must not be in ERROR."""

    def look() -> Any:
        now = tenant.load_balancer.get_load_balancer(balancer.id)
        assert now.provisioning_status != "ERROR"
        return now if now.provisioning_status == "ACTIVE" else None

    return eventually(look)


def wait_for_volume(tenant: Connection, volume: Any) -> Any:
    """The volume once it is available."""

    def look() -> Any:
        now = tenant.block_storage.get_volume(volume.id)
        return now if now.status == "available" else None

    return eventually(look)


class Servers:
    """Makes servers of the tenant, and deletes them in the end."""

    def __init__(self, tenant: Connection, subnet: Any) -> None:
        self.tenant = tenant
        self.subnet = subnet
        self.image = tenant.image.find_image(seeds.image_name("v1.36.3"), ignore_missing=False)
        self.made: list[str] = []

    def create(self, flavor: str = "m1.small", **options: Any) -> Any:
        found = self.tenant.compute.find_flavor(flavor, ignore_missing=False)
        server = self.tenant.compute.create_server(
            name="node",
            image_id=self.image.id,
            flavor_id=found.id,
            networks=[{"uuid": self.subnet.network_id}],
            user_data=base64.b64encode(USER_DATA.encode()).decode(),
            **options,
        )
        self.made.append(server.id)
        return server

    def active(self, flavor: str = "m1.small", **options: Any) -> Any:
        return self.wait(self.create(flavor, **options), "ACTIVE")

    def wait(self, server: Any, status: str) -> Any:
        return self.tenant.compute.wait_for_server(server, status=status, interval=0.1, wait=int(LIMIT))

    def failed(self, flavor: str = "m1.small", **options: Any) -> str:
        server = self.create(flavor, **options)
        with pytest.raises(ResourceFailure):
            self.wait(server, "ACTIVE")
        return str(self.tenant.compute.get_server(server).fault["message"])

    def _is_gone(self, server: str) -> bool:
        return self.tenant.compute.find_server(server) is None

    def delete_all(self) -> None:
        for server in self.made:
            self.tenant.compute.delete_server(server, ignore_missing=True)
        eventually(lambda: all(map(self._is_gone, self.made)))
        self.made.clear()
