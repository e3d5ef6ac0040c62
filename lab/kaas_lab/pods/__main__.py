"""`python -m kaas_lab.pods`: every node of a lab and its CSI driver in one process, as `start` runs it."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from kaas_lab.layout import Layout

from .agent import serve


def main() -> None:
    """Read the arguments and run until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m kaas_lab.pods", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="directory of the lab")
    parser.add_argument("--base-port", type=int, required=True, help="first port of the lab")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(Layout(given.state, given.base_port)))


if __name__ == "__main__":
    main()
