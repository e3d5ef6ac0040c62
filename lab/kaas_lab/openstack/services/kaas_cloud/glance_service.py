"""Glance."""

from __future__ import annotations

import os
from typing import Any

from .place import Place


def application(site: Place) -> Any:
    """Glance's application."""
    os.environ["OS_GLANCE_CONFIG_DIR"] = str(site.etc("glance"))
    from glance.common import wsgi_app

    if not site.made("glance").exists():
        _make(site, wsgi_app.CONF)
    return wsgi_app.init_app()


def _make(site: Place, conf: Any) -> None:
    from glance.cmd import manage
    from glance.common import config

    file = str(site.etc("glance") / "glance-api.conf")
    conf([], project="glance", prog="glance-api", default_config_files=[file])
    config.set_config_defaults()
    manage.DbCommands().sync()
