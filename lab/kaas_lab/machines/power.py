"""What an operator of the cloud does to one server of the lab, by Nova's own API."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from kaas_lab.layout import Layout
from kaas_lab.openstack import connect, load

if TYPE_CHECKING:
    from openstack.compute.v2.server import Server
    from openstack.connection import Connection


class What(StrEnum):
    """What becomes of a server."""

    ERROR = "error"  # Nova's status is ERROR; the machine runs on, as behind a status that was set
    STOP = "stop"  # switched off


def break_server(layout: Layout, site: str, name: str, what: What) -> None:
    """Raises ValueError when there is no server of that name or id."""
    cloud = connect(load(layout, site))
    server = _find(cloud, name)
    if what is What.ERROR:
        cloud.compute.reset_server_state(server, "error")
    else:
        cloud.compute.stop_server(server)


def heal_server(layout: Layout, site: str, name: str) -> str:
    """Set a server in ERROR to ACTIVE, and switch on one that is off; returns the status that it had."""
    cloud = connect(load(layout, site))
    server = _find(cloud, name)
    if server.status == "ERROR":
        cloud.compute.reset_server_state(server, "active")
    elif server.status == "SHUTOFF":
        cloud.compute.start_server(server)
    return str(server.status)


def _find(cloud: Connection, name: str) -> Server:
    for server in cloud.compute.servers(all_projects=True):
        if name in (server.name, server.id):
            return server
    raise ValueError(f"no server {name!r} in this cloud")
