"""Nova: the API, the scheduler, the conductor and every nova-compute in one process."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import Any

from .child import in_child
from .place import Place

CELL1 = "c1c1c1c1-0000-4000-8000-000000000001"


def application(site: Place) -> Any:
    """Nova's compute API."""
    os.environ["OS_NOVA_CONFIG_DIR"] = str(site.etc("nova"))
    os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"
    sys.argv[:] = ["nova"]
    from nova import monkey_patch

    monkey_patch.patch(backend="threading")
    from nova.api.openstack import wsgi_app  # noqa: F401 - before the fork, so that it is imported once

    from . import nova_driver, nova_faults

    nova_driver.use(site)
    nova_faults.prepare()
    if not site.made("nova").exists():
        in_child(_make, site)
    from nova.wsgi import osapi_compute

    threading.Thread(target=_run_services, args=(site,), daemon=True).start()
    return osapi_compute.application


def _make(site: Place) -> None:
    from nova import config, context, objects
    from nova.db import migration

    config.parse_args(["nova", "--config-file", str(site.etc("nova") / "nova.conf")])
    objects.register_all()
    admin = context.get_admin_context()
    migration.db_sync(database="api")
    cells = (
        ("cell0", objects.CellMapping.CELL0_UUID, "none:///", "nova_cell0"),
        ("cell1", CELL1, "fake://", "nova"),
    )
    for name, uuid, transport, database in cells:
        mapping = objects.CellMapping(
            admin, uuid=uuid, name=name, transport_url=transport, database_connection=site.database(database)
        )
        mapping.create()
        with context.target_cell(admin, mapping) as cell:
            migration.db_sync(context=cell)


def _run_services(site: Place) -> None:
    try:
        kept = _start_services(site)
    except BaseException:
        logging.getLogger(__name__).exception("nova's services did not start")
        os._exit(3)
    site.mark("computes").touch()
    threading.Event().wait()
    del kept


def _start_services(site: Place) -> list[Any]:
    import os_vif
    from nova import context
    from nova.compute import rpcapi as compute
    from nova.conductor import rpcapi as conductor
    from nova.objects import host_mapping
    from nova.scheduler import rpcapi as scheduler

    os_vif.initialize()
    # All of them talk to Placement while they start, and so to Keystone's catalogue.
    while not site.mark("catalog").exists():
        time.sleep(0.05)
    kept = [
        _start("conductor", conductor.RPC_TOPIC, "control"),
        _start("scheduler", scheduler.RPC_TOPIC, "control"),
    ]
    kept.extend(_start("compute", compute.RPC_TOPIC, host, topic_alt=compute.RPC_TOPIC_ALT) for host in site.hosts)
    host_mapping.discover_hosts(context.get_admin_context())
    return kept


def _start(binary: str, topic: str, host: str, **options: Any) -> Any:
    from nova import service

    started = service.Service.create(binary=f"nova-{binary}", topic=topic, host=host, **options)
    started.start()
    # A service read from an old snapshot counts as down, and gets no servers, till its first report a
    # report_interval later: report now.
    started.service_ref.report_count += 1
    started.service_ref.save()
    return started
