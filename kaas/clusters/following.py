"""How far a Cluster follows what its updates say beside the version: class revision, node image, certificates. Pure.

Anything else is kept as it is: neither a newer kaas, nor another Site, nor a new Release replaces a machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.update_status import EXPIRED, THROUGH, UpdateSummary
from kaas.api.updates import Channel
from kaas.clusters.snapshot import Live
from kaas.kube.times import at, stamp

_LAST: Final = "Finished"
_NOTHING: Final = UpdateSummary()


def updates_of(cluster: Cluster) -> UpdateSummary:
    """What its updates say."""
    return (cluster.status.update if cluster.status else None) or _NOTHING


def is_under_way(said: UpdateSummary) -> bool:
    """Whether an update has begun and is not through: what its owner says meanwhile counts for the next."""
    return bool(said.steps) and not any(s.name == _LAST and s.state in THROUGH for s in said.steps)


def class_to(cluster: Cluster, version: str, current: str | None, there: Collection[str], newest: str) -> str:
    """The class revision that a Cluster of a version goes to. there: names of those that exist.

    current: what it has; a Cluster that has none gets the newest.
    """
    said = updates_of(cluster)
    wanted = said.class_revision
    known = wanted is not None and (wanted == newest or wanted in there)
    if current is None or wanted is None or not known or said.target != version:
        return current or newest
    if said.is_taken_back("ClassRevision"):
        return current
    return wanted if _may(said, cluster.spec.updates.class_channel) else current


def image_to(cluster: Cluster, version: str, pinned: str | None, known: Iterable[str]) -> str | None:
    """The image that the machines of a version go to; None to leave it to others. pinned: what they have."""
    said = updates_of(cluster)
    if said.image is None or said.target != version or said.image not in known:
        return pinned
    if pinned is not None and said.is_taken_back("Image"):
        return pinned
    return said.image if pinned is None or _may(said, cluster.spec.updates.image_channel) else pinned


def certificates_to(cluster: Cluster, live: Live) -> str | None:
    """Machines of the control plane that were made before this time are replaced; None when none ever were."""
    said = updates_of(cluster)
    wanted = None if said.is_taken_back("Certificates") else said.certificates
    before: str | None = ((live.topology.get("controlPlane") or {}).get("rollout") or {}).get("after")
    times = [t for t in (wanted, at(before) if before else None) if t is not None]
    latest: datetime | None = max(times, default=None)
    return stamp(latest.astimezone(UTC)) if latest else None


def _may(said: UpdateSummary, channel: Channel) -> bool:
    return channel is not Channel.NONE or said.reason == EXPIRED or is_under_way(said)
