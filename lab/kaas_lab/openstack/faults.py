"""Break a cloud on demand, and heal it.

What the services have to do differently stands in the site's `faults.json`, which they read with each request. What is
done to them from outside, or through their own API, is noted there too, so that `heal` can take everything back.
"""

from __future__ import annotations

import json
import os
import signal
from enum import StrEnum
from pathlib import Path
from typing import Any

from kaas_lab.layout import Layout
from kaas_lab.openstack import quotas
from kaas_lab.openstack.cloud import running, start_service, stop_service
from kaas_lab.openstack.connection import connect, identity
from kaas_lab.openstack.site import FAULTS_FILE, PASSWORD, USER, Site, load, service_named

SERVICE_UNAVAILABLE = 503


class How(StrEnum):
    """What is wrong with a service."""

    DOWN = "down"  # its process has ended: connections are refused
    HANG = "hang"  # it is stopped: connections are taken and nothing is answered
    SLOW = "slow"  # each answer takes so many seconds more
    REFUSE = "refuse"  # each answer is 503


class Action(StrEnum):
    """What fails when it is asked of a server."""

    CREATE = "create"  # the scheduler: "No valid host was found. ..."
    SPAWN = "spawn"  # the host, after scheduling: "Build of instance ... aborted: ..."
    START = "start"
    REBOOT = "reboot"  # the server is left in ERROR, power state crashed
    SOFT_REBOOT = "soft-reboot"  # the server runs on and stays ACTIVE
    HARD_REBOOT = "hard-reboot"  # the same
    DELETE = "delete"  # the server is left in ERROR


class Login(StrEnum):
    """What is wrong with the tenant's user."""

    PASSWORD = "password"  # noqa: S105 - it was changed: passwords and tokens are refused, application credentials work
    DISABLED = "disabled"  # application credentials are refused too


REASONS = {
    Action.CREATE: "There are not enough hosts available.",
    Action.SPAWN: "broken on purpose",
    Action.START: "broken on purpose",
    Action.REBOOT: "broken on purpose",
    Action.SOFT_REBOOT: "broken on purpose",
    Action.HARD_REBOOT: "broken on purpose",
    Action.DELETE: "broken on purpose",
}
LOAD_BALANCERS = "load-balancers"
HOST = "host"
Faults = dict[str, dict[str, Any]]


def in_force(layout: Layout, site: str) -> Faults:
    """What is broken: kind of fault to what it is about. Empty when the cloud is well."""
    return _read(load(layout, site))


def _read(site: Site) -> Faults:
    if not site.faults_file.exists():
        return {}
    faults: Faults = json.loads(site.faults_file.read_text())
    return faults


def _write(site: Site, faults: Faults) -> None:
    part = site.faults_file.with_suffix(".part")
    part.write_text(json.dumps({kind: about for kind, about in faults.items() if about}, indent=1))
    part.replace(site.faults_file)


def _note(site: Site, kind: str, about: str, value: object) -> None:
    faults = _read(site)
    faults.setdefault(kind, {})[about] = value
    _write(site, faults)


def break_service(layout: Layout, site: str, service: str, how: How, seconds: float = 5.0) -> None:
    """Break an OpenStack service; `seconds` is for `slow`. Raises ValueError for a service that there is not."""
    cloud, broken = load(layout, site), service_named(service)
    value: float = {How.SLOW: seconds, How.REFUSE: SERVICE_UNAVAILABLE}.get(how, 1)
    _note(cloud, how.value, service, value)
    if how is How.DOWN:
        stop_service(cloud, broken)
    elif how is How.HANG and (pid := running(cloud).get(service)):
        os.kill(pid, signal.SIGSTOP)


def break_servers(layout: Layout, site: str, action: Action, reason: str | None = None) -> None:
    """From now on this action fails on every server; `reason` becomes part of Nova's fault text."""
    _note(load(layout, site), "servers", action.value, reason if reason is not None else REASONS[action])


def break_load_balancers(layout: Layout, site: str) -> None:
    """From now on a load balancer that is made or changed ends in ERROR."""
    _note(load(layout, site), "servers", LOAD_BALANCERS, "broken on purpose")


def break_host(layout: Layout, site: str, host: str) -> None:
    """Take the power of a compute host: Nova calls its service down, its machines are off. Raises ValueError."""
    cloud = load(layout, site)
    known = [h.name for h in cloud.hosts]
    if host not in known:
        raise ValueError(f"no compute host {host!r}: use one of {', '.join(known)}")
    _note(cloud, HOST, host, 1)
    _force_down(cloud, host, down=True)


def _force_down(site: Site, host: str, *, down: bool) -> None:
    nova = connect(site).compute
    for service in nova.services(host=host, binary="nova-compute"):
        nova.update_service_forced_down(service.id, host, "nova-compute", down)


def dark_hosts(site_state: Path) -> frozenset[str]:
    """Compute hosts of the site in that directory that have no power."""
    try:
        return frozenset(json.loads((site_state / FAULTS_FILE).read_text()).get(HOST, {}))
    except FileNotFoundError:
        return frozenset()


def break_login(layout: Layout, site: str, how: Login = Login.PASSWORD) -> None:
    """Make the credential of the tenant wrong."""
    cloud = load(layout, site)
    _note(cloud, "login", how.value, 1)
    keystone = identity(connect(cloud))
    user = keystone.find_user(USER, ignore_missing=False)
    if how is Login.PASSWORD:
        keystone.update_user(user, password=f"{PASSWORD}-changed")
    else:
        keystone.update_user(user, is_enabled=False)


def exhaust_quota(layout: Layout, site: str, resource: str = "instances") -> None:
    """Leave nothing of a resource to the tenant project; `quotas.RESOURCES` has their names. Raises ValueError."""
    cloud = load(layout, site)
    quotas.exhaust(connect(cloud), resource)
    _note(cloud, "quota", resource, 0)


def heal(layout: Layout, site: str) -> Faults:
    """Take back everything that is broken, and return what that was. Waits until the services answer again."""
    cloud = load(layout, site)
    faults = _read(cloud)
    alive = running(cloud)
    for service in faults.get(How.HANG, {}):
        if service in alive:
            os.kill(alive[service], signal.SIGCONT)
    _write(cloud, {kind: about for kind, about in faults.items() if kind in ("login", "quota", HOST, How.DOWN)})
    for service in faults.get(How.DOWN, {}):
        start_service(cloud, service_named(service))
    if faults.get("login"):
        keystone = identity(connect(cloud))
        user = keystone.find_user(USER, ignore_missing=False)
        keystone.update_user(user, password=PASSWORD, is_enabled=True)
    if limits := faults.get("quota"):
        quotas.restore(connect(cloud), limits)
    for host in faults.get(HOST, {}):
        _force_down(cloud, host, down=False)
    cloud.faults_file.unlink(missing_ok=True)
    return faults
