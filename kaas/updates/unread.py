"""Releases that cannot be read: they count as absent, and what they might have said is not taken for no. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from kaas.api.cluster import Cluster
from kaas.api.parsed import Unreadable
from kaas.api.update_status import VERSION_CHANGED
from kaas.api.updates import KubernetesUpdates
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.updates.facts import Change, Choice, Turn
from kaas.updates.targets import EXPIRED_ALONE, Refusal

RELEASE_UNREADABLE: Final = "ReleaseUnreadable"
"""Reason while a Release cannot be read that may be about what a Cluster runs, or is to be brought to."""
ROLLOUT_UNREADABLE: Final = "RolloutUnreadable"
"""Reason of a turn when a Rollout that may have a say in a Cluster cannot be read."""
SITE_UNREADABLE: Final = "SiteUnreadable"
"""Reason while the Site of a Cluster cannot be read."""
SITE_MISSING: Final = "SiteMissing"
"""Reason while there is no Site of the name that a Cluster says."""
UNKNOWN: Final = frozenset({RELEASE_UNREADABLE, SITE_UNREADABLE, SITE_MISSING})
"""Reasons for which nobody knows whether there is something to come."""
_NOT_SURE: Final = frozenset({"UpToDate", "NotInChannel", "ReleaseUnfit", EXPIRED_ALONE, VERSION_CHANGED})
"""Answers that one Release more could make others."""
BY_RELEASES: Final = frozenset({Change.PATCH, Change.MINOR, Change.IMAGE})


@dataclass(frozen=True, slots=True)
class UnreadRelease:
    """One of them. version: what it is of, as far as that can be read. message: what is wrong, with the way out."""

    name: str
    version: KubernetesVersion | None
    message: str

    @classmethod
    def of(cls, unreadable: Unreadable) -> Self:
        """What can be read of it nevertheless."""
        spec = unreadable.obj.get("spec")
        said = spec.get("version") if isinstance(spec, dict) else None
        return cls(unreadable.name, KubernetesVersion.known(said if isinstance(said, str) else None), str(unreadable))

    def concerns(self, cluster: Cluster, running: KubernetesVersion, turn: Turn | None) -> bool:
        """Whether it may be about what the Cluster runs or could be brought to next, to a version or an image."""
        if self.version is None or self.version == running:
            return True
        if turn is not None and turn.version is not None:
            return self.version == turn.version
        asked = minor_of(cluster.spec.version) > running.minor
        minors = 1 if asked or cluster.spec.updates.kubernetes is KubernetesUpdates.MINOR else 0
        return self.version > running and self.version.minor - running.minor <= minors


def unread_releases(found: Iterable[Unreadable]) -> list[UnreadRelease]:
    """The Releases among what cannot be read."""
    return [UnreadRelease.of(each) for each in found if each.kind == "Release"]


def doubt(
    unread: Iterable[UnreadRelease], cluster: Cluster, running: KubernetesVersion | None, turn: Turn | None
) -> str:
    """Why it is not known what a Cluster may be brought to; empty when all that concerns it could be read."""
    if running is None or not unread:
        return ""
    found = next((u for u in unread if u.concerns(cluster, running, turn)), None)
    return f"no version or node image is brought while it is not known what there is: {found.message}" if found else ""


def doubted(chosen: Choice | Refusal, words: str) -> Choice | Refusal:
    """What was chosen, unless it says that there is nothing, which nobody knows."""
    if words and isinstance(chosen, Refusal) and chosen.reason in _NOT_SURE:
        return Refusal(RELEASE_UNREADABLE, words, chosen.until)
    return chosen
