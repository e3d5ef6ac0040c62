"""Octavia: the API alone. Its provider settles everything by itself."""

from __future__ import annotations

import threading
from typing import Any

from . import sqlite
from .child import in_child
from .place import Place


def application(site: Place) -> Any:
    """Octavia's API."""
    argv = ["octavia", "--config-file", str(site.etc("octavia") / "octavia.conf")]
    _sort_types_by_name()
    from octavia.api import app

    from . import octavia_driver

    _begin_writers_early()
    if not site.made("octavia").exists():
        in_child(_make, argv)
    octavia_driver.use()
    threading.Thread(target=octavia_driver.settle_forever, daemon=True).start()
    return app.setup_app(argv=argv)


def _begin_writers_early() -> None:
    """Octavia makes its sessions past oslo.db's readers and writers: here all of them write but those of a GET.

    A write that another one comes before is refused for good otherwise: its API answers 500, or 400 for a listener.
    """
    from octavia.db import api

    make = api.get_session

    def get_session() -> Any:
        session = make()
        if not _reads():
            session.bind = sqlite.writing(session.bind)
        return session

    api.get_session = get_session


def _reads() -> bool:
    """Whether the request of this thread only reads; a thread that has none writes."""
    import pecan

    try:
        return pecan.request.method in ("GET", "HEAD")
    except AttributeError:
        return False


def _sort_types_by_name() -> None:
    """WSME parses the source of every class to sort its attributes as they are written: half of Octavia's start."""
    from wsme import types

    types.sort_attributes = lambda _class, attributes: attributes.sort(key=lambda attribute: attribute.key)


def _make(argv: list[str]) -> None:
    """Tables from the models, for the migrations are for MySQL, and the rows that the migrations would have made."""
    from octavia.common import service
    from octavia.db import api, base_models

    service.prepare_service(argv)
    base_models.BASE.metadata.create_all(api.get_engine())
    session = api.get_session()
    with session.begin():
        _add_names(session)
        _add_placeholders(session)


def _add_names(session: Any) -> None:
    from octavia.common import constants as k
    from octavia.db import models as m

    for names, model in (
        (k.SUPPORTED_PROVISIONING_STATUSES, m.ProvisioningStatus),
        (k.SUPPORTED_HEALTH_MONITOR_TYPES, m.HealthMonitorType),
        (k.SUPPORTED_LB_ALGORITHMS, m.Algorithm),
        (k.SUPPORTED_PROTOCOLS, m.Protocol),
        (k.SUPPORTED_OPERATING_STATUSES, m.OperatingStatus),
        (k.SUPPORTED_SP_TYPES, m.SessionPersistenceType),
        (k.SUPPORTED_AMPHORA_ROLES, m.AmphoraRoles),
        (k.SUPPORTED_LB_TOPOLOGIES, m.LBTopology),
        (k.SUPPORTED_VRRP_AUTH, m.VRRPAuthMethod),
        (k.SUPPORTED_L7RULE_TYPES, m.L7RuleType),
        (k.SUPPORTED_L7RULE_COMPARE_TYPES, m.L7RuleCompareType),
        (k.SUPPORTED_L7POLICY_ACTIONS, m.L7PolicyAction),
        (k.SUPPORTED_CLIENT_AUTH_MODES, m.ClientAuthenticationMode),
    ):
        session.add_all([model(name=name) for name in names])


def _add_placeholders(session: Any) -> None:
    from octavia.common.constants import DELETED, NIL_UUID
    from octavia.db import models as m

    name = "DELETED-PLACEHOLDER"
    session.add(m.FlavorProfile(id=NIL_UUID, name=name, provider_name=DELETED, flavor_data="{}"))
    session.flush()
    session.add(m.Flavor(id=NIL_UUID, flavor_profile_id=NIL_UUID, enabled=False, name=name, description="-"))
    session.add(m.AvailabilityZoneProfile(id=NIL_UUID, name=name, provider_name=DELETED, availability_zone_data="{}"))
    session.flush()
    session.add(
        m.AvailabilityZone(availability_zone_profile_id=NIL_UUID, name=NIL_UUID, enabled=False, description="-")
    )
