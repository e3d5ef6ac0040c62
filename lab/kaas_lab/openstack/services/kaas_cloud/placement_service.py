"""Placement."""

from __future__ import annotations

import os
from typing import Any

from .place import Place


def application(site: Place) -> Any:
    """Placement's application; it makes its database itself."""
    os.environ["OS_PLACEMENT_CONFIG_DIR"] = str(site.etc("placement"))
    from placement import wsgi

    return wsgi.init_application()
