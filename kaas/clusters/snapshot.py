"""What a plan is made from: one Cluster and everything about it, at one moment. Data only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.clusters.addresses import Surplus
from kaas.clusters.classes import ClassRevision

Object = dict[str, Any]


@dataclass(frozen=True)
class Live:
    """What Cluster API and its providers have of one Cluster. Empty for a Cluster that was never applied."""

    cluster: Object | None = None
    control_plane: Object | None = None
    deployments: Sequence[Object] = ()
    machines: Sequence[Object] = ()
    infrastructure: Object | None = None
    infrastructure_machines: Sequence[Object] = ()
    servers: Sequence[Object] = ()

    @property
    def topology(self) -> Mapping[str, Any]:
        """The topology as Cluster API has it; empty when there is none."""
        found: Mapping[str, Any] = (self.cluster or {}).get("spec", {}).get("topology", {})
        return found

    @property
    def variables(self) -> dict[str, Any]:
        """Values of the topology's variables."""
        return {v["name"]: v["value"] for v in self.topology.get("variables") or ()}

    @property
    def leftovers(self) -> list[Object]:
        """Everything of the Cluster that is still there, the Cluster API Cluster aside."""
        own = (self.control_plane, self.infrastructure)
        several = (*self.deployments, *self.machines, *self.infrastructure_machines, *self.servers)
        return [o for o in (*own, *several) if o is not None]


@dataclass(frozen=True)
class Cloud:
    """What the Site's cloud has of what this Cluster wants, or why nobody knows.

    problem: None, or (reason, message) when the cloud could not be asked.
    images: name to status. flavors: name to (vcpus, ram in MiB). free: quota left by resource; absent means no limit.
    """

    problem: tuple[str, str] | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    flavors: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    external_networks: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    free: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """One Cluster at one moment.

    revision: the newest class revision of the Site's provider; a Cluster that has one keeps its own.
    classes: ClusterClasses that exist in the system namespace, by name.
    identity: the Site's OpenStackClusterIdentity, when there is one.
    site_shared, class_shared: whether another Cluster uses the same Site, the same class revision.
    unused_classes: older class revisions of the provider, by name, that no Cluster is on, or goes to.
    name_taken: whether Cluster API has a Cluster of this name that someone else made; then `live` is empty.
    cloud: None when the cloud was not asked, since nothing new is wanted of it.
    faults: what Nova says of the Cluster's servers that are in ERROR, by id, as far as it was asked.
    surplus: a floating IP that CAPO made twice, as the cloud bears out; asked only when the OpenStackCluster names two.
    now: when that was; None where the dates of Releases are to be left out of account.
    """

    cluster: Cluster
    site: Site | None = None
    releases: Sequence[Release] = ()
    revision: ClassRevision | None = None
    classes: Mapping[str, Object] = field(default_factory=dict)
    identity: Object | None = None
    live: Live = Live()
    site_shared: bool = False
    class_shared: bool = False
    unused_classes: tuple[str, ...] = ()
    name_taken: bool = False
    cloud: Cloud | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    surplus: Surplus | None = None
    now: datetime | None = None

    @property
    def deleting(self) -> bool:
        """Whether the Cluster is on its way out."""
        return self.cluster.metadata.deletion_timestamp is not None
