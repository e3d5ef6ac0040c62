"""Neutron without agents: ports are bound at once, floating IPs become ACTIVE."""

from __future__ import annotations

from typing import Any, ClassVar

from neutron.services.l3_router import l3_router_plugin
from neutron.services.trunk.drivers import base as trunk_base
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class InstantMechanismDriver(api.MechanismDriver):
    """Binds any port on any host to its first segment, status ACTIVE."""

    vif_type = portbindings.VIF_TYPE_OVS
    vif_details: ClassVar[dict[str, Any]] = {
        portbindings.CAP_PORT_FILTER: True,
        portbindings.VIF_DETAILS_CONNECTIVITY: portbindings.CONNECTIVITY_L2,
    }

    def initialize(self) -> None:
        """Claim trunks too: the trunk plugin refuses to load without a driver that does."""
        self.trunk = InstantTrunkDriver("kaas_lab", (self.vif_type,), (constants.TYPE_VLAN,), can_trunk_bound_port=True)

    @property
    def connectivity(self) -> str:
        """How its ports are connected."""
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        """Bind to the first segment there is."""
        for segment in context.segments_to_bind:
            context.set_binding(
                segment[api.ID], self.vif_type, dict(self.vif_details), status=constants.PORT_STATUS_ACTIVE
            )
            return


class InstantTrunkDriver(trunk_base.DriverBase):
    """A trunk driver that is there."""

    @property
    def is_loaded(self) -> bool:
        """Whether the mechanism driver that it belongs to is in use."""
        return True


class InstantL3Plugin(l3_router_plugin.L3RouterPlugin):
    """Routers without agents: floating IPs with a port turn ACTIVE, those without DOWN."""

    def create_floatingip(self, context: Any, floatingip: Any) -> Any:
        """As Neutron, and then settle its status."""
        return self._settle(context, super().create_floatingip(context, floatingip))

    def update_floatingip(self, context: Any, id: str, floatingip: Any) -> Any:  # noqa: A002 - Neutron's name
        """As Neutron, and then settle its status."""
        return self._settle(context, super().update_floatingip(context, id, floatingip))

    def _settle(self, context: Any, address: Any) -> Any:
        active = address.get("port_id")
        wanted = constants.FLOATINGIP_STATUS_ACTIVE if active else constants.FLOATINGIP_STATUS_DOWN
        if address["status"] != wanted:
            self.update_floatingip_status(context.elevated(), address["id"], wanted)
            address["status"] = wanted
        return address
