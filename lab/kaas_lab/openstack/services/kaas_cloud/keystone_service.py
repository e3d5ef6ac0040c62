"""Keystone."""

from __future__ import annotations

import os
from typing import Any

from .child import in_child
from .place import Place


def application(site: Place) -> Any:
    """Keystone's public application."""
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(site.etc("keystone"))
    from keystone.server import wsgi

    if not site.made("keystone").exists():
        in_child(_make, site)
    return wsgi.initialize_public_application()


def _make(site: Place) -> None:
    import keystone.conf
    import keystone.server
    from keystone.common import fernet_utils
    from keystone.common.sql import upgrades

    keystone.server.configure(config_files=[str(site.etc("keystone") / "keystone.conf")])
    upgrades.offline_sync_database_to_version()
    for group in ("fernet_tokens", "fernet_receipts", "credential"):
        options = getattr(keystone.conf.CONF, group)
        keys = fernet_utils.FernetUtils(options.key_repository, getattr(options, "max_active_keys", 3), group)
        keys.create_key_directory()
        keys.initialize_key_repository()
    _bootstrap(site)


def _bootstrap(site: Place) -> None:
    from keystone.cmd import bootstrap

    boot = bootstrap.Bootstrapper()
    boot.admin_username = boot.project_name = boot.admin_role_name = "admin"
    boot.admin_password = site.password
    boot.service_name = "keystone"
    boot.region_id = site.region
    # keystonemiddleware looks for the internal endpoint of Keystone only
    boot.public_url = boot.internal_url = f"http://{site.address}:{site.port('keystone')}/v3"
    boot.bootstrap()
