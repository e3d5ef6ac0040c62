"""Floating IPs. These functions block, and raise whatever the SDK raises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openstack.connection import Connection
from openstack.exceptions import NotFoundException

from kaas.openstack.floating_ip import FloatingIP


def named(cloud: Connection, project: str, addresses: Iterable[str]) -> Mapping[str, FloatingIP]:
    """Those of the project's floating IPs that have one of the addresses, by address."""
    found = (ip for a in addresses for ip in cloud.network.ips(project_id=project, floating_ip_address=a))
    return {
        ip.floating_ip_address: FloatingIP(ip.id, ip.floating_ip_address, ip.port_id or "", ip.description or "")
        for ip in found
    }


def release(cloud: Connection, floating_ip: str) -> bool:
    """Give a floating IP back, unless it has come to lead anywhere since it was seen; whether it is gone."""
    try:
        if cloud.network.get_ip(floating_ip).port_id:
            return False
    except NotFoundException:
        return True
    cloud.network.delete_ip(floating_ip)  # one that has gone meanwhile is no error
    return True
