"""What the fleet as a whole is told about repairs, and the limits that hold where nobody says any. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.repair import Limits, Mode
from kaas.api.site import Site

POOL_LIMITS: Final = Limits(max_in_flight=1, max_unhealthy="40%")
CLUSTER_LIMITS: Final = Limits(max_in_flight=3, max_unhealthy="50%")
ZONE_LIMITS: Final = Limits(max_in_flight=5, max_unhealthy="50%")
SITE_LIMITS: Final = Limits(max_in_flight=10, max_unhealthy="30%")
FLEET_LIMITS: Final = Limits(max_in_flight=20, max_unhealthy="30%")


@dataclass(frozen=True)
class FleetSettings:
    """What the options of `kaas controller` say. ticket_url: where Sites without one of their own send tickets."""

    mode: Mode = Mode.AUTOMATIC
    limits: Limits = FLEET_LIMITS
    ticket_url: str | None = None


def filled(said: Limits, otherwise: Limits) -> Limits:
    """Limits with what is left out taken from others."""
    return otherwise.model_copy(update=said.model_dump(exclude_none=True))


def limits_of_cluster(cluster: Cluster) -> Limits:
    """What holds repairs of a Cluster back."""
    return filled(cluster.spec.repair.limits, CLUSTER_LIMITS)


def limits_of_site(site: Site) -> Limits:
    """What holds repairs of a Site back."""
    return filled(site.spec.repair.limits, SITE_LIMITS)


def zone_limits_of_site(site: Site) -> Limits:
    """What holds repairs of each zone of a Site back."""
    return filled(site.spec.repair.zone_limits, ZONE_LIMITS)
