"""An update that is not through when its maintenance window closes: no further pool is begun until the next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from kaas.api.cluster import Cluster
from kaas.api.update_status import EXPIRED, Hold
from kaas.api.versions import KubernetesVersion
from kaas.updates.facts import Change, Opening
from kaas.updates.planner import LEAST_LEFT, Subject, moment, next_opening


def hold(subject: Subject, target: KubernetesVersion | None, reason: str, now: datetime) -> Hold | None:
    """That pools which have not begun wait, and until when; None when none has to.

    target: what the Cluster is brought to, or was. What has begun is finished: the control plane, and a pool of which
    one machine is new. An update that nobody may put off, since what runs has expired, waits for nothing.
    """
    waiting = behind(subject.cluster, target)
    if target is None or not waiting or EXPIRED in (reason, subject.standing.reason):
        return None
    opening = _opening(subject, waiting, target, now)
    if opening is not None and opening.start <= now:
        return None
    update = subject.cluster.status.update if subject.cluster.status else None
    since = update.hold.since if update and update.hold else now
    until = f"until {moment(opening.start)}" if opening else "for no window is in sight"
    names = ", ".join(waiting)
    words = f"the maintenance window closed before the update to {target} was through: pool {names} waits {until}"
    return Hold(since=since, until=opening.start if opening else None, message=words[:1024])


def again(subject: Subject, target: KubernetesVersion | None, now: datetime) -> datetime | None:
    """When the next window opens or the open one closes for an update under way; None when none is under way."""
    waiting = behind(subject.cluster, target)
    opening = _opening(subject, waiting, target, now) if target is not None and waiting else None
    if opening is None:
        return None
    return opening.start if opening.start > now else opening.end - LEAST_LEFT


def behind(cluster: Cluster, target: KubernetesVersion | None) -> Mapping[str, KubernetesVersion]:
    """Versions of the pools that are older than what the Cluster is brought to, by pool."""
    pools = cluster.status.node_pools if cluster.status else ()
    found = ((p.name, KubernetesVersion.known(p.version)) for p in pools)
    return {name: version for name, version in found if version and target and version < target}


def _opening(
    subject: Subject, waiting: Mapping[str, KubernetesVersion], target: KubernetesVersion, now: datetime
) -> Opening | None:
    """The time in which the pools that wait may be updated: the one that is open, else the next."""
    oldest = min(waiting.values())
    change = Change.PATCH if oldest.minor == target.minor else Change.MINOR
    return next_opening(subject.calendar, change, now)
