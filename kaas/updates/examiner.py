"""Who examines Clusters for the ledger of an update: the checks before it, those after each step, and the probe."""

from __future__ import annotations

from datetime import datetime

from kaas.api.update_status import Availability, Baseline
from kaas.updates.preflight.gather import Preflight
from kaas.updates.run import Case, ClusterKey, Report, Verdict
from kaas.updates.verify.probe import Probe
from kaas.updates.verify.verifier import Verifier


class ClusterExaminer:
    """Preflight, verification and probe in one."""

    def __init__(self, preflight: Preflight, verifier: Verifier, probe: Probe) -> None:
        self._preflight = preflight
        self._verifier = verifier
        self._probe = probe

    async def preflight(self, case: Case, now: datetime) -> Report:
        """All checks at once."""
        return await self._preflight.report(case, now)

    async def verify(self, case: Case, step: str, now: datetime) -> Verdict:
        """Whether the Cluster is well after a step."""
        return await self._verifier.verify(case, step, now)

    async def baseline(self, case: Case, now: datetime) -> Baseline | None:
        """How it is before an update; None while it is still looked at."""
        return await self._verifier.baseline(case, now)

    def watch(self, key: ClusterKey, before: Availability | None = None) -> None:
        """Begin to ask its API server again and again."""
        self._probe.watch(key, before)

    def availability(self, key: ClusterKey) -> Availability | None:
        """How it has answered since; None when it is not asked."""
        return self._probe.availability(key)

    def forget(self, key: ClusterKey) -> None:
        """Ask no longer, and look at it no longer."""
        self._probe.forget(key)
        self._verifier.forget(key)
