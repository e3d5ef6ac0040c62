"""`python -m kaas_lab.machines`: the agent of one site, as `start` runs it."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from kaas_lab.layout import Layout

from .agent import Settings, serve


def main() -> None:
    """Read the arguments and run until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m kaas_lab.machines", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="directory of the lab")
    parser.add_argument("--base-port", type=int, required=True, help="first port of the lab")
    parser.add_argument("--site", required=True, help="name of the site")
    parser.add_argument("--index", type=int, required=True, help="number of the site, from 0")
    parser.add_argument("--boot-seconds", type=float, default=1.0, help="from power-on to cloud-init")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = Settings(
        layout=Layout(given.state, given.base_port),
        site=given.site,
        index=given.index,
        boot_seconds=given.boot_seconds,
    )
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
