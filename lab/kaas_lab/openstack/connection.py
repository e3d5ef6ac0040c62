"""A connection of openstacksdk to a site of the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kaas_lab.openstack.site import PASSWORD, Site, service_named

if TYPE_CHECKING:
    from openstack.connection import Connection
    from openstack.identity.v3._proxy import Proxy as Identity


def connect(site: Site, user: str = "admin", *, password: str = PASSWORD) -> Connection:
    """Log in as `admin` or `kaas`, each to the project of its own name. Reads neither files nor the environment."""
    import openstack.connection  # noqa: PLC0415 - takes a second, which `--help` need not wait for

    return openstack.connection.Connection(
        auth={
            "auth_url": site.url(service_named("keystone")),
            "username": user,
            "password": password,
            "project_name": user,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        region_name=site.region,
        identity_api_version="3",
        app_name="kaas-lab",
    )


def identity(cloud: Connection) -> Identity:
    """Keystone's side of a connection; openstacksdk's own type leaves open which version it is."""
    return cast("Identity", cloud.identity)
