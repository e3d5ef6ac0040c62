"""An update that is not through when its maintenance window closes: no further pool is begun until the next. Pure."""

from __future__ import annotations

from datetime import datetime

from kaas.api.cluster import Cluster
from kaas.api.update_status import EXPIRED, Hold
from kaas.api.versions import InvalidVersion, KubernetesVersion
from kaas.updates.facts import Change
from kaas.updates.planner import LEAST_LEFT, Subject, next_opening


def hold(subject: Subject, target: KubernetesVersion | None, reason: str, now: datetime) -> Hold | None:
    """That pools which have not begun wait, and until when; None when none has to.

    target: what the Cluster is brought to, or was. What has begun is finished: the control plane, and a pool of which
    one machine is new. An update that nobody may put off, since what runs has expired, waits for nothing.
    """
    waiting = behind(subject.cluster, target)
    if target is None or not waiting or EXPIRED in (reason, subject.standing.reason):
        return None
    change = _change(min(version for _, version in waiting), target)
    opening = next_opening(subject.calendar, change, now)
    if opening is not None and opening.start <= now:
        return None
    said = subject.cluster.status.update.hold if subject.cluster.status and subject.cluster.status.update else None
    names = ", ".join(name for name, _ in waiting)
    until = f"until {opening.start:%Y-%m-%d %H:%M} UTC" if opening else "for no window is in sight"
    words = f"the maintenance window closed before the update to {target} was through: pool {names} waits {until}"
    return Hold(since=said.since if said else now, until=opening.start if opening else None, message=words[:1024])


def again(subject: Subject, target: KubernetesVersion | None, now: datetime) -> datetime | None:
    """When the next window opens or the open one closes for an update under way; None when none is under way."""
    waiting = behind(subject.cluster, target)
    if target is None or not waiting:
        return None
    opening = next_opening(subject.calendar, _change(min(version for _, version in waiting), target), now)
    if opening is None:
        return None
    return opening.start if opening.start > now else opening.end - LEAST_LEFT


def behind(cluster: Cluster, target: KubernetesVersion | None) -> list[tuple[str, KubernetesVersion]]:
    """Pools that are older than what the Cluster is brought to, with their versions."""
    pools = cluster.status.node_pools if cluster.status else ()
    found = ((p.name, _parsed(p.version)) for p in pools)
    return [(name, version) for name, version in found if version and target and version < target]


def _change(version: KubernetesVersion, target: KubernetesVersion) -> Change:
    return Change.PATCH if version.minor == target.minor else Change.MINOR


def _parsed(version: str | None) -> KubernetesVersion | None:
    try:
        return KubernetesVersion.parse(version or "")
    except InvalidVersion:
        return None
