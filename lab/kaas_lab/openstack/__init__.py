"""Real OpenStack as processes of one site: Keystone, Placement, Glance, Neutron, Nova, Octavia, Cinder."""

from kaas_lab.openstack.cloud import status, up
from kaas_lab.openstack.connection import connect
from kaas_lab.openstack.environment import EnvironmentFailed, ensure_environment
from kaas_lab.openstack.site import Host, Site, load, spread_hosts

__all__ = [
    "EnvironmentFailed",
    "Host",
    "Site",
    "connect",
    "ensure_environment",
    "load",
    "spread_hosts",
    "status",
    "up",
]
