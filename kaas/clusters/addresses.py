"""An API server's floating IP that CAPO made twice, and which of the two may go. Pure.

CAPO that looks at an OpenStackCluster as it was before its own last write makes a second floating IP, writes that into
the status, and is refused for ever after: the load balancer has the first (Neutron: FloatingIPPortAlreadyAssociated).
CAPO deletes only the one that the load balancer has, so the second would outlive the Cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kaas.kube.objects import Object, Ref, is_deleting, name_of, ref_of
from kaas.openstack.floating_ip import FloatingIP

DESCRIPTION = "Created by cluster-api-provider-openstack cluster {}-{}"  # CAPO's, with namespace and name of a Cluster


@dataclass(frozen=True)
class Twice:
    """used: the address in an OpenStackCluster's endpoint. other: the one in its status."""

    used: str
    other: str


@dataclass(frozen=True)
class Surplus:
    """A floating IP that goes, if it has an id, and the one that the status of an OpenStackCluster is to name."""

    goes: FloatingIP
    stays: str
    of: Ref

    @property
    def patch(self) -> Object:
        """The merge patch of the status."""
        return {"status": {"apiServerLoadBalancer": {"ip": self.stays}}}


def twice(infrastructure: Object | None) -> Twice | None:
    """The two addresses of an API server, when an OpenStackCluster names two. Ones that a person chose are theirs."""
    if infrastructure is None or is_deleting(infrastructure):
        return None
    spec, status = infrastructure.get("spec") or {}, infrastructure.get("status") or {}
    used = (spec.get("controlPlaneEndpoint") or {}).get("host")
    other = (status.get("apiServerLoadBalancer") or {}).get("ip")
    if not used or not other or used == other or spec.get("apiServerFloatingIP"):
        return None
    return Twice(used, other)


def surplus(infrastructure: Object, cluster: Object, found: Twice, cloud: Mapping[str, FloatingIP]) -> Surplus | None:
    """What may go; None when the cloud does not bear out that it is surplus.

    cluster: the Cluster API Cluster. cloud: what Neutron has of the two, by address: the one in use must have a port,
    the other none, and CAPO's words about this very Cluster. Of one that is gone the status is still to be put right.
    """
    used, other = cloud.get(found.used), cloud.get(found.other)
    if used is None or not used.port:
        return None
    if other and (other.port or other.description != DESCRIPTION.format(*name_of(cluster))):
        return None
    return Surplus(other or FloatingIP("", found.other), found.used, ref_of(infrastructure))
