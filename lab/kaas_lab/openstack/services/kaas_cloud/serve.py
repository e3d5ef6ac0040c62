"""Body of one service process: `python -m kaas_cloud.serve SERVICE STATE`.

The project's own WSGI application behind cheroot, on native threads, without eventlet. Nova's process also holds the
scheduler, the conductor and every nova-compute, so that oslo.messaging's in-process transport is enough and no message
broker is needed; Cinder's likewise.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import faults, place, sqlite

THREADS = 12
SWITCH_INTERVAL = 0.02  # seconds; many threads on one interpreter lock: let each keep it for longer than 5 ms


def application(site: place.Place, service: str) -> Any:
    """The WSGI application of a service; the first time its databases are made as well."""
    body: Callable[[place.Place], Any] = importlib.import_module(f".{service}_service", __package__).application
    app = body(site)
    site.made(service).touch()
    return app


def serve(site: place.Place, service: str) -> None:
    """Start the service and answer requests until the process is ended."""
    from cheroot import wsgi

    sys.setswitchinterval(SWITCH_INTERVAL)
    sys.argv[:] = [service]  # the projects parse it
    sqlite.prepare()
    app = faults.Faulty(application(site, service), service)
    server = wsgi.Server(
        (site.address, site.port(service)), app, numthreads=THREADS, request_queue_size=128, timeout=60
    )
    server.prepare()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    site.mark(f"{service}.up").touch()
    server.serve()


def main() -> None:
    """Entry point."""
    service, state = sys.argv[1:3]
    faults.watch(Path(state) / "faults.json")
    serve(place.read(Path(state)), service)


if __name__ == "__main__":
    main()
