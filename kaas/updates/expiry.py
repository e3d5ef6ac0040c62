"""What is announced before a version ends, and from when on it is left against the owner's wish. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, state_of
from kaas.api.versions import KubernetesVersion
from kaas.updates.releases import by_version

STAGES: Final = (30, 7, 1)
"""Days before the end at which it is announced."""
NOTICE: Final = timedelta(days=STAGES[0])


@dataclass(frozen=True, slots=True)
class Announced:
    """What was announced of the end of a version: when for the first time, and at how many days before it last."""

    version: KubernetesVersion
    first: datetime
    days: int


@dataclass(frozen=True, slots=True)
class Notice:
    """How far the end of the running version is announced.

    announced: what is to be remembered. is_new: a stage has been reached that was not announced yet. due: from then on
    the version is left against the owner's wish. again: when the next stage is reached, or the end; None after it.
    """

    announced: Announced | None
    is_new: bool
    due: datetime
    again: datetime | None


def expires(version: KubernetesVersion | None, releases: Iterable[Release], now: datetime) -> datetime | None:
    """When a version expires; None when it does not, or there is no Release of it. The last of several counts."""
    of_it = by_version(releases).get(version) if version else None
    ends = [r.spec.expires for r in of_it.releases if not _is_preview(r, now)] if of_it else []
    known = [e for e in ends if e is not None]
    return max(known).astimezone(UTC) if known and len(known) == len(ends) else None


def _is_preview(release: Release, now: datetime) -> bool:
    return state_of(release, now) is ReleaseState.PREVIEW


def notice(
    running: KubernetesVersion | None, end: datetime | None, before: Announced | None, now: datetime
) -> Notice | None:
    """What there is to announce. None when what runs does not expire.

    before: what was announced. Nobody is moved who was not told 30 days ago: a date that was set late, or passed
    before the first announcement, counts from that.
    """
    if running is None or end is None:
        return None
    if now < end - NOTICE:
        return _too_early(end)
    known = before if before and before.version == running else None
    first = known.first if known else now
    due = max(end, first + NOTICE)
    days = min((s for s in STAGES if due - now <= timedelta(days=s)), default=STAGES[0])
    ahead = (*(due - timedelta(days=s) for s in STAGES), end, due)
    again = min((t for t in ahead if t > now), default=None)
    return Notice(Announced(running, first, days), known is None or days < known.days, due, again)


@lru_cache(maxsize=1024)
def _too_early(end: datetime) -> Notice:
    """Before anything is announced: the same for all that runs the version."""
    return Notice(None, False, end, end - NOTICE)


def announcement(notice: Notice, now: datetime) -> str:
    """It in words."""
    if notice.announced is None:
        return ""
    days = max(0, -((now - notice.due) // timedelta(days=1)))
    when = f"in {days} day{'' if days == 1 else 's'}, on {notice.due:%Y-%m-%d}" if days else f"since {notice.due:%F}"
    return (
        f"{notice.announced.version} expires: the Cluster is updated {when}, also against its spec; "
        "set a newer spec.version, or spec.updates.channel, to choose the time"
    )
