"""A played examiner: what it finds is what befell the Cluster. What it remembers dies with the controller."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from kaas.api.update_status import Availability, Baseline
from kaas.kube.ports import Times
from kaas.updates.run import Case, ClusterKey, Finding, Report, Severity, Verdict
from tests.unit.updates.simulation.member import Member


class Doctor:
    """Examines the Clusters of a world. settles: how long it looks before it says anything."""

    def __init__(self, members: Mapping[ClusterKey, Member], clock: Times, settles: timedelta) -> None:
        self._members, self._clock, self._settles = members, clock, settles
        self._since: dict[tuple[ClusterKey, str], datetime] = {}
        self.watched: dict[ClusterKey, datetime] = {}

    async def preflight(self, case: Case, now: datetime) -> Report:
        trouble = self._members[case.key].trouble
        away = Finding("Unreachable", Severity.BLOCK, "its API server does not answer: look at its load balancer")
        return Report(now, (*trouble.findings, *([away] if trouble.away else [])))

    async def baseline(self, case: Case, now: datetime) -> Baseline | None:
        if self._members[case.key].trouble.away or not self._has_looked(case.key, "", now):
            return None
        return Baseline(taken=now)

    async def verify(self, case: Case, step: str, now: datetime) -> Verdict:
        trouble = self._members[case.key].trouble
        if trouble.away:
            return Verdict(None, "its API server does not answer")
        if not self._has_looked(case.key, step, now):
            return Verdict(None, "nodes and Pods are counted")
        if step in trouble.fails:
            return Verdict(False, "DaemonSet kube-system/kube-proxy has 1 Pod that does not work", ("SystemPods",))
        return Verdict(True, "all is well")

    def _has_looked(self, key: ClusterKey, step: str, now: datetime) -> bool:
        since = self._since.setdefault((key, step), now)
        if since + self._settles > now:
            return False
        del self._since[(key, step)]
        return True

    def watch(self, key: ClusterKey, before: Availability | None = None) -> None:
        self.watched.setdefault(key, before.since if before else self._clock.now())

    def availability(self, key: ClusterKey) -> Availability | None:
        since = self.watched.get(key)
        return None if since is None else Availability(since=since, probes=1, failed=0, longest_gap_milliseconds=500)

    def forget(self, key: ClusterKey) -> None:
        self.watched.pop(key, None)
