"""Neutron."""

from __future__ import annotations

import os
from typing import Any

from .place import Place


def application(site: Place) -> Any:
    """Neutron's application."""
    os.environ["OS_NEUTRON_CONFIG_DIR"] = str(site.etc("neutron"))
    os.environ["OS_NEUTRON_CONFIG_FILES"] = "neutron.conf"
    if not site.made("neutron").exists():
        _make(site)
    from neutron.wsgi import api

    return api.application


def _make(site: Place) -> None:
    """Tables from the models: Neutron's migrations are for MySQL only, the models are not."""
    import sqlalchemy
    from neutron.db.migration.models import head

    engine = sqlalchemy.create_engine(site.database("neutron"))
    head.get_metadata().create_all(engine)
    engine.dispose()
