"""Limits of the tenant project: which service holds which, set to nothing and back to the default."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kaas_lab.openstack.connection import identity
from kaas_lab.openstack.site import PROJECT

if TYPE_CHECKING:
    from openstack.connection import Connection

COMPUTE = ("instances", "cores", "ram")
NETWORK = ("networks", "subnets", "ports", "routers", "floating_ips", "security_groups", "security_group_rules")
VOLUME = ("volumes", "gigabytes")
LOAD_BALANCER = ("load_balancers", "listeners", "pools", "members")
RESOURCES = (*COMPUTE, *NETWORK, *VOLUME, *LOAD_BALANCER)


def project_id(cloud: Connection) -> str:
    """Id of the tenant project; `cloud` is the administrator's."""
    return str(identity(cloud).find_project(PROJECT, ignore_missing=False).id)


def exhaust(cloud: Connection, resource: str) -> None:
    """Leave nothing of a resource; what is in use stays. Raises ValueError for a resource that has no limit."""
    if resource not in RESOURCES:
        raise ValueError(f"no quota {resource!r}: use one of {', '.join(RESOURCES)}")
    project = project_id(cloud)
    nothing: dict[str, Any] = {resource: 0}
    if resource in COMPUTE:
        cloud.compute.update_quota_set(project, force=True, **nothing)
    elif resource in NETWORK:
        cloud.network.update_quota(project, **nothing)
    elif resource in VOLUME:
        cloud.block_storage.update_quota_set(project, **nothing)
    else:
        cloud.load_balancer.update_quota(project, **nothing)


def restore(cloud: Connection, resources: Iterable[str]) -> None:
    """Back to the defaults, which are generous; for every limit of the services that hold these."""
    project, wanted = project_id(cloud), set(resources)
    if wanted & set(COMPUTE):
        cloud.compute.revert_quota_set(project)
    if wanted & set(NETWORK):
        cloud.network.delete_quota(project)
    if wanted & set(VOLUME):
        cloud.block_storage.revert_quota_set(project)
    if wanted & set(LOAD_BALANCER):
        cloud.load_balancer.delete_quota(project)
