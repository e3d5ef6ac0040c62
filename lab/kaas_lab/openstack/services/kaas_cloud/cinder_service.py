"""Cinder: the API, the scheduler and the volume service in one process."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any

from .child import in_child
from .place import Place


def application(site: Place) -> Any:
    """Cinder's application."""
    os.environ["OS_CINDER_DISABLE_EVENTLET_PATCHING"] = "true"
    sys.argv[:] = ["cinder", "--config-file", str(site.etc("cinder") / "cinder.conf")]
    from cinder.cmd import volume  # noqa: F401 - registers options
    from cinder.wsgi import wsgi

    if not site.made("cinder").exists():
        in_child(_make)
    app = wsgi.initialize_application()
    threading.Thread(target=_run_services, args=(site,), daemon=True).start()
    return app


def _make() -> None:
    from cinder.db import migration
    from oslo_config import cfg

    cfg.CONF(sys.argv[1:], project="cinder")
    migration.db_sync()


def _run_services(site: Place) -> None:
    try:
        _start_services(site.zones)
    except BaseException:
        logging.getLogger(__name__).exception("cinder's services could not be made")
        os._exit(3)
    site.mark("volumes").touch()


def _start_services(zones: list[str]) -> None:
    from cinder.cmd import volume
    from oslo_config import cfg

    service = _own_identity()
    scheduler = service.create(binary="cinder-scheduler")
    volumes = []
    for zone in zones:
        cfg.CONF.register_opt(volume.host_opt, group=zone)
        volumes.append(
            service.create(binary="cinder-volume", host=f"control@{zone}", service_name=zone, coordination=True)
        )
    # The scheduler's start sleeps for a periodic_interval: beside the others.
    waiting = threading.Thread(target=_start, args=([scheduler],), daemon=True)
    waiting.start()
    _start(volumes)
    waiting.join()


def _start(services: list[Any]) -> None:
    try:
        for service in services:
            service.start()
            service.report_state()
    except BaseException:
        logging.getLogger(__name__).exception("cinder's services did not start")
        os._exit(3)


def _own_identity() -> Any:
    """Cinder's service class, for several in one process: it keeps the id of *the* service with the class."""
    from cinder import service

    lock = threading.Lock()

    class Service(service.Service):
        def report_state(self) -> None:
            with lock:
                service.Service.service_id = self.origin_service_id
                super().report_state()

    return Service
