"""Octavia provider driver that does nothing and reports success.

Octavia's own no-op provider leaves everything PENDING. Here a call only notes the time, and a thread of the API's
process settles what is pending a moment later, through the same DriverUpdater that the driver-agent uses.
The fault `load-balancers` of the faults file lets what is pending end in ERROR.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from octavia_lib.api.drivers import provider_base

from .faults import server_fault

LOG = logging.getLogger(__name__)
DELAY = 0.3  # seconds between the last call and the settling: an API that is PENDING for a moment, as real ones are
IDLE = 2.0  # seconds between looks when nothing calls
THINGS = ("loadbalancer", "listener", "pool", "member", "health_monitor", "l7policy", "l7rule")


class _Calls:
    """When the API last asked for something."""

    def __init__(self) -> None:
        self.last = 0.0
        self.wake = threading.Event()

    def note(self, *_args: Any, **_kwargs: Any) -> None:
        self.last = time.monotonic()
        self.wake.set()


_calls = _Calls()


def _noted(_driver: Any, *args: Any, **kwargs: Any) -> None:
    _calls.note()


class InstantProvider(provider_base.ProviderDriver):
    """`create_vip_port` is left out: Octavia then makes the port in Neutron."""

    def validate_flavor(self, flavor_metadata: Any) -> None:
        """Any will do."""

    def validate_availability_zone(self, availability_zone_metadata: Any) -> None:
        """Any will do."""

    member_batch_update = loadbalancer_failover = _noted


for _thing in THINGS:
    for _verb in ("create", "update", "delete"):
        setattr(InstantProvider, f"{_thing}_{_verb}", _noted)


def use() -> None:
    """Let this driver stand behind every enabled provider name; clients ask for `amphora` or `ovn`."""
    from octavia.api.drivers import driver_factory
    from octavia.common import exceptions
    from oslo_config import cfg

    def get_driver(provider: Any) -> InstantProvider:
        settings = cfg.CONF.api_settings
        name = provider if isinstance(provider, str) and provider else settings.default_provider_driver
        if name not in settings.enabled_provider_drivers:
            raise exceptions.ProviderNotEnabled(prov=name)
        driver = InstantProvider()
        driver.name = name
        return driver

    driver_factory.get_driver = get_driver


def settle_forever() -> None:
    """Settle a moment after each call."""
    while True:
        _calls.wake.wait(IDLE)
        wait = _calls.last + DELAY - time.monotonic()
        if wait > 0:
            time.sleep(wait)
            continue
        _calls.wake.clear()
        try:
            if settle():
                _calls.wake.set()
        except Exception:
            LOG.exception("could not settle; trying again")
            time.sleep(1)
            _calls.wake.set()


def settle() -> bool:
    """Bring every pending load balancer to its end state; whether there was one."""
    from octavia.api.drivers.driver_agent import driver_updater
    from octavia.db import api as db_api
    from octavia.db import models

    session = db_api.get_session()
    pending = models.LoadBalancer.provisioning_status.like("PENDING_%")
    with session.begin():
        work = [_outcome(balancer) for balancer in session.query(models.LoadBalancer).filter(pending)]
    session.close()
    for status in work:
        result = driver_updater.DriverUpdater().update_loadbalancer_status(status)
        if result["status_code"] != 200:  # noqa: PLR2004 - octavia-lib's own "ok"
            raise RuntimeError(str(result))
    return bool(work)


def _outcome(balancer: Any) -> dict[str, list[dict[str, str]]]:
    gone = balancer.provisioning_status == "PENDING_DELETE"
    failed = server_fault("load-balancers") is not None
    outcome: dict[str, list[dict[str, str]]] = {}
    for kind, part in _parts(balancer):
        if gone or part.provisioning_status == "PENDING_DELETE":
            entry = {"id": part.id, "provisioning_status": "DELETED"}
        elif failed:
            entry = {"id": part.id, "provisioning_status": "ERROR", "operating_status": "ERROR"}
        else:
            entry = {"id": part.id, "provisioning_status": "ACTIVE", "operating_status": "ONLINE"}
        outcome.setdefault(kind, []).append(entry)
    return outcome


def _parts(balancer: Any) -> Iterator[tuple[str, Any]]:
    """A load balancer and what belongs to it, children before parents."""
    for listener in balancer.listeners:
        for policy in listener.l7policies:
            for rule in policy.l7rules:
                yield "l7rules", rule
            yield "l7policies", policy
    for pool in balancer.pools:
        for member in pool.members:
            yield "members", member
        if pool.health_monitor:
            yield "healthmonitors", pool.health_monitor
        yield "pools", pool
    for listener in balancer.listeners:
        yield "listeners", listener
    yield "loadbalancers", balancer
