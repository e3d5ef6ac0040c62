"""Cinder: the API, the scheduler and the volume service in one process."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any

from .child import in_child
from .place import Place

BACKEND = "rows"


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
        _start_services()
    except BaseException:
        logging.getLogger(__name__).exception("cinder's services did not start")
        os._exit(3)
    site.mark("volumes").touch()


def _start_services() -> None:
    from cinder import service
    from cinder.cmd import volume
    from oslo_config import cfg

    cfg.CONF.register_opt(volume.host_opt, group=BACKEND)
    volumes = service.Service.create(
        binary="cinder-volume", host=f"control@{BACKEND}", service_name=BACKEND, coordination=True
    )
    scheduler = service.Service.create(binary="cinder-scheduler")
    # The scheduler's start sleeps for a periodic_interval.
    for each in (volumes, scheduler):
        threading.Thread(target=_start, args=(each,), daemon=True).start()


def _start(service: Any) -> None:
    service.start()
    service.report_state()
