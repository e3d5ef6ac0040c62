"""One look at one Cluster: asked only when something is to be done there, and not for long."""

from __future__ import annotations

from typing import Final, Protocol

from kaas.addons.hand import CALL, Hand, Server, is_unreachable
from kaas.kube.errors import KubeError
from kaas.kube.nodewatch import in_time
from kaas.kube.ports import Times

LENGTH: Final = 5.0
"""Seconds after which no further call is made: what is left comes at the next look, after those of other Clusters."""

Key = tuple[str, str]


class Workloads(Protocol):
    """The way to Clusters."""

    async def client(self, cluster: Key) -> Server:
        """Client for a Cluster's API server; KubeError when there is no way to it now."""


class Ticking(Protocol):
    """A clock that never goes back."""

    def monotonic(self) -> float:
        """Seconds since some moment."""


class Clock(Times, Ticking, Protocol):
    """The time of day, and one that never goes back."""


class Visit:
    """away: why the Cluster is not asked, empty while it answers. changed: whether another version was put there."""

    def __init__(self, workloads: Workloads, clock: Ticking, key: Key, away: str = "") -> None:
        self._workloads, self._clock, self._key = workloads, clock, key
        self._end = clock.monotonic() + LENGTH
        self.server: Server | None = None
        self.away = away
        self.changed = False
        self.asked = False

    @property
    def now(self) -> float:
        """Seconds since some moment."""
        return self._clock.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether no further call is to be made."""
        return bool(self.away) or self.now >= self._end

    async def hand(self) -> Hand | None:
        """The Cluster's API server; None when there is no way to it, and `away` says why."""
        if self.server is None and not self.away:
            what = f"connect to {'/'.join(self._key)}"
            self.asked = True
            try:
                self.server = await in_time(CALL, what, self._workloads.client(self._key))
            except KubeError as failure:
                self.lost(failure)
        return Hand(self.server) if self.server and not self.away else None

    def lost(self, failure: KubeError) -> None:
        """The Cluster does not answer."""
        self.away = f"the Cluster cannot be reached: {failure}"[:900]

    def is_lost(self, failure: KubeError) -> bool:
        """Whether a failure says that the Cluster does not answer; it is then not asked any more."""
        if not is_unreachable(failure):
            return False
        self.lost(failure)
        return True
