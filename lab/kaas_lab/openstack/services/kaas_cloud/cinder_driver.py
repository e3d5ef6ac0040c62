"""Cinder volume driver: volumes that are only rows."""

from __future__ import annotations

from typing import Any

from cinder.volume import driver


def _nothing(self: Any, *_args: Any, **_kwargs: Any) -> None:
    """Every operation on data: there is none."""


class RowsOnlyDriver(driver.VolumeDriver):
    """Says yes to everything, and has room for everything."""

    VERSION = "1"
    CI_WIKI_NAME = "none"

    do_setup = check_for_setup_error = _nothing
    create_volume = delete_volume = extend_volume = _nothing
    create_snapshot = delete_snapshot = _nothing
    create_volume_from_snapshot = create_cloned_volume = _nothing
    ensure_export = create_export = remove_export = _nothing
    copy_image_to_volume = copy_volume_to_image = _nothing
    terminate_connection = _nothing

    def get_volume_stats(self, refresh: bool = False) -> dict[str, Any]:
        """What the scheduler goes by."""
        self._stats = {
            "volume_backend_name": self.configuration.config_group,
            "vendor_name": "kaas-lab",
            "driver_version": self.VERSION,
            "storage_protocol": "iSCSI",
            "total_capacity_gb": "infinite",
            "free_capacity_gb": "infinite",
            "reserved_percentage": 0,
            "QoS_support": False,
            "multiattach": True,
            "thin_provisioning_support": True,
        }
        return self._stats

    def clone_image(self, *_args: Any) -> tuple[dict[str, Any], bool]:
        """A volume from an image, without a copy."""
        return {}, True

    def initialize_connection(self, volume: Any, connector: Any, **_kwargs: Any) -> dict[str, Any]:
        """A target that looks like one; nobody connects to it."""
        data = {
            "volume_id": volume["id"],
            "target_portal": "127.0.0.1:3260",
            "target_iqn": "iqn.2010-10.org.example:" + volume["id"],
            "target_lun": 1,
            "target_discovered": False,
            "access_mode": "rw",
            "discard": False,
        }
        return {"driver_volume_type": "iscsi", "data": data}
