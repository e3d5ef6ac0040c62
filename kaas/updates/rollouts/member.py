"""What a Rollout sees of a Cluster: what its user says, and what its status says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.update_status import THROUGH, Maintenance, Stopped
from kaas.api.updates import Updates
from kaas.api.versions import KubernetesVersion
from kaas.updates.run import FINISHED
from kaas.updates.standing import NOTHING, Obstacle, obstacle_of

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A Cluster.

    zones: those that its spec names. asked: its spec.version. running: oldest version of its control plane. oldest: of
    control plane and pools. as_asked: its machines are as its spec says, and no step of its update is to come.
    ready: None when that is not known. target: what it is brought to now. waits: what its status says of its update,
    unless it only quotes the Rollout.
    """

    key: Key
    uid: str
    labels: Mapping[str, str]
    site: str
    zones: tuple[str, ...]
    asked: str
    updates: Updates
    running: KubernetesVersion | None
    oldest: KubernetesVersion | None
    as_asked: bool
    ready: bool | None
    unready: str
    target: KubernetesVersion | None
    began: datetime | None
    stopped: Stopped | None
    window: Maintenance | None
    obstacle: Obstacle | None
    waits: str

    @classmethod
    def of(cls, cluster: Cluster) -> Self:
        """From a Cluster."""
        meta, spec, status = cluster.metadata, cluster.spec, cluster.status or ClusterStatus()
        said = status.update or NOTHING
        ready = next((c for c in status.conditions if c.type == "Ready"), None)
        running = KubernetesVersion.known(status.version)
        pools = (KubernetesVersion.known(p.version) for p in status.node_pools)
        return cls(
            key=(meta.namespace or "", meta.name),
            uid=meta.uid or "",
            labels=meta.labels,
            site=spec.site,
            zones=_zones(cluster),
            asked=spec.version,
            updates=spec.updates,
            running=running,
            oldest=min((v for v in (running, *pools) if v), default=None),
            as_asked=_as_asked(status),
            ready={"True": True, "False": False}.get(ready.status) if ready else None,
            unready=ready.message if ready else "",
            target=KubernetesVersion.known(said.target),
            began=said.began,
            stopped=said.stopped,
            window=said.next_maintenance,
            obstacle=obstacle_of(cluster),
            waits="" if (said.reason or "").startswith("Rollout") else said.message or "",
        )

    @property
    def name(self) -> str:
        """Namespace and name, for people."""
        return "/".join(self.key)

    def has(self, version: KubernetesVersion) -> bool:
        """Whether all of it runs a version or a newer one, and nothing is to come."""
        return self.oldest is not None and self.oldest >= version and self.as_asked

    def is_through(self, version: KubernetesVersion) -> bool:
        """The same, and whether it is Ready."""
        return self.has(version) and self.ready is True

    def is_under_way(self, version: KubernetesVersion) -> bool:
        """Whether it is being brought to a version."""
        return self.target == version and not self.is_through(version)


def _zones(cluster: Cluster) -> tuple[str, ...]:
    pools = (zone for pool in cluster.spec.node_pools for zone in pool.zones)
    return tuple(sorted({*cluster.spec.control_plane.zones, *pools}))


def _as_asked(status: ClusterStatus) -> bool:
    said, control_plane = status.update or NOTHING, status.control_plane
    if said.waiting or any(s.name == FINISHED and s.state not in THROUGH for s in said.steps):
        return False
    if control_plane is not None and control_plane.up_to_date < control_plane.replicas:
        return False
    return all(pool.up_to_date >= pool.replicas for pool in status.node_pools)
