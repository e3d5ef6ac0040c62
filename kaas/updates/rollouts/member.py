"""What a Rollout sees of a Cluster: what its user says, and what its status says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.model import Condition
from kaas.api.update_status import THROUGH, Maintenance, Stopped, UpdateSummary
from kaas.api.updates import Updates
from kaas.api.versions import KubernetesVersion
from kaas.updates.run import FINISHED
from kaas.updates.standing import NOTHING, Obstacle, obstacle_of

Key = tuple[str, str]
_WORKS: Final = ("Accepted", "InfrastructureReady", "ControlPlaneReady", "WorkersReady")
"""Conditions of a Cluster that hold while it is updated."""
NOT_READY: Final = "MachinesNotReady"
"""Reason of the condition UpToDate when no machine is on its way, and yet too few work."""
WELL: Final = frozenset({"Ready", "UpToDate", *_WORKS})
"""All conditions of a Cluster that are looked at."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one Cluster is brought to; None for what is not brought to it."""

    version: KubernetesVersion | None = None
    image: str | None = None
    class_revision: str | None = None

    def __bool__(self) -> bool:
        """Whether anything is."""
        return not (self.version is None and self.image is None and self.class_revision is None)

    @property
    def words(self) -> str:
        """It, for people."""
        image = f"node image {self.image}" if self.image else ""
        return joined(self.version, image, f"ClusterClass {self.class_revision}" if self.class_revision else "")


NO_TARGET: Final = Target()


def joined(*parts: object) -> str:
    """Parts for people, without those that are nothing."""
    return ", ".join(str(part) for part in parts if part)


@dataclass(frozen=True, slots=True)
class Member:
    """A Cluster.

    zones: those that its spec names. asked: its spec.version. running: oldest version of its control plane. oldest: of
    control plane and pools. as_asked: its machines are as its spec says, and no step of its update is to come.
    ready: None when that is not known. moves: whether it works, and is not Ready only since its machines are on their
    way to what they should be. target: what it is brought to now. image, class_revision: what its machines are made of;
    newest_revision: what it could be moved to, since newest_since. coming: what the update that is under way brings
    beside the version; nothing while none is. waits: what its status says of its update, unless it only quotes the
    Rollout.
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
    moves: bool
    unready: str
    target: KubernetesVersion | None
    began: datetime | None
    stopped: Stopped | None
    window: Maintenance | None
    obstacle: Obstacle | None
    waits: str
    image: str | None = None
    class_revision: str | None = None
    newest_revision: str | None = None
    newest_since: datetime | None = None
    coming: Target = NO_TARGET

    @classmethod
    def of(cls, cluster: Cluster) -> Self:
        """From a Cluster."""
        meta, spec, status = cluster.metadata, cluster.spec, cluster.status or ClusterStatus()
        said = status.update or NOTHING
        ready = next((c for c in status.conditions if c.type == "Ready"), None)
        running, newest = KubernetesVersion.known(status.version), status.newest_class_revision
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
            moves=_moves(status.conditions),
            unready=ready.message if ready else "",
            target=KubernetesVersion.known(said.target),
            began=said.began,
            stopped=said.stopped,
            window=said.next_maintenance,
            obstacle=obstacle_of(cluster),
            image=status.image,
            class_revision=status.class_revision,
            newest_revision=newest.name if newest else None,
            newest_since=newest.since if newest else None,
            coming=Target(None, said.image, said.class_revision) if _is_updated(said) else NO_TARGET,
            waits="" if (said.reason or "").startswith("Rollout") else said.message or "",
        )

    @property
    def name(self) -> str:
        """Namespace and name, for people."""
        return "/".join(self.key)

    def has(self, target: Target) -> bool:
        """Whether all of it is made of what it is to be brought to, or runs a newer version, and nothing is to come."""
        runs = target.version is None or (self.oldest is not None and self.oldest >= target.version)
        return runs and self.is_made_of(target) and self.as_asked

    def is_made_of(self, target: Target) -> bool:
        """Whether image and class revision are those of a target, as far as it has any."""
        wanted = ((target.image, self.image), (target.class_revision, self.class_revision))
        return all(want in (None, has) for want, has in wanted)

    def part_of(self, target: Target) -> Target:
        """Of a target, the version, and what else it has of it."""
        image = target.image if target.image == self.image else None
        revision = target.class_revision if target.class_revision == self.class_revision else None
        return Target(target.version, image, revision)

    def is_through(self, target: Target) -> bool:
        """Whether it has all of it, and is Ready."""
        return self.has(target) and self.ready is True

    def is_under_way(self, target: Target) -> bool:
        """Whether it is being brought to a target, or to a part of it."""
        if self.is_through(target):
            return False
        is_coming = target.image is not None and target.image == self.coming.image
        is_moving = target.class_revision is not None and target.class_revision == self.coming.class_revision
        return is_coming or is_moving or self.is_going_to(target.version)

    def is_going_to(self, version: KubernetesVersion | None) -> bool:
        """Whether it is being brought to a version, and is not all there, or not Ready."""
        if version is None or self.target != version:
            return False
        return not self.is_through(Target(version))


def _zones(cluster: Cluster) -> tuple[str, ...]:
    pools = (zone for pool in cluster.spec.node_pools for zone in pool.zones)
    return tuple(sorted({*cluster.spec.control_plane.zones, *pools}))


def _moves(conditions: Iterable[Condition]) -> bool:
    """Whether it works, and its machines are on their way: a pool waits for the next window, or takes long."""
    found = {c.type: c for c in conditions}
    at, wrong = found.get("UpToDate"), [n for n in _WORKS if n in found and found[n].status == "False"]
    return at is not None and at.status != "True" and at.reason != NOT_READY and not wrong


def _is_updated(said: UpdateSummary) -> bool:
    """Whether an update is under way."""
    return said.target is not None and any(s.name == FINISHED and s.state not in THROUGH for s in said.steps)


def _as_asked(status: ClusterStatus) -> bool:
    said, control_plane = status.update or NOTHING, status.control_plane
    if said.waiting or any(s.name == FINISHED and s.state not in THROUGH for s in said.steps):
        return False
    if control_plane is not None and control_plane.up_to_date < control_plane.replicas:
        return False
    return all(pool.up_to_date >= pool.replicas for pool in status.node_pools)
