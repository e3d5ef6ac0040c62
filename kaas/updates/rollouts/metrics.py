"""Figures of Rollouts, for dashboards and alerts: what each does, how its members stand, and how runs ended."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from kaas.api.rollout_status import Counts, RolloutStatus, State

_COUNTED = ("completed", "running", "pending", "failed", "skipped", "to_come")
_ENDS = frozenset({State.COMPLETED, State.STOPPED})


class RolloutMetrics:
    """Every metric of the feature, named `kaas_rollout_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._info = Gauge(
            "kaas_rollout_info",
            "1 for what a Rollout does now, and why",
            ["rollout", "version", "brings", "state", "reason", "stage"],
            registry=registry,
        )
        self._members = Gauge(
            "kaas_rollout_members", "Members of a Rollout's run by state", ["rollout", "state"], registry=registry
        )
        self._runs = Counter("kaas_rollout_runs", "Runs that ended", ["state"], registry=registry)
        self._failures = Counter("kaas_rollout_failures", "Members that failed", ["rollout"], registry=registry)
        self.unreadable = Gauge(
            "kaas_rollout_unreadable",
            "1 for a Rollout that is there and cannot be read: nothing is brought to Clusters that it may be about",
            ["kind", "name"],
            registry=registry,
        )
        self._known: dict[str, tuple[str, ...]] = {}

    def decided(self, name: str, before: RolloutStatus, after: RolloutStatus) -> None:
        """What was decided of a Rollout."""
        brings = after.brings or ""
        what = (after.version or "", brings, str(after.state or ""), after.reason or "", after.stage or "")
        if (known := self._known.get(name)) != what:
            if known is not None:
                self._info.remove(name, *known)
            self._known[name] = what
            self._info.labels(name, *what).set(1)
        counts = after.counts or Counts()
        for state in _COUNTED:
            self._members.labels(name, state).set(getattr(counts, state))
        if after.finished and not before.finished and after.state in _ENDS:
            self._runs.labels(str(after.state)).inc()
        more = counts.failed - (before.counts.failed if before.counts and before.run == after.run else 0)
        if more > 0:
            self._failures.labels(name).inc(more)

    def forget(self, name: str) -> None:
        """The Rollout is gone."""
        if (known := self._known.pop(name, None)) is not None:
            self._info.remove(name, *known)
            self._failures.remove_by_labels({"rollout": name})
            self._members.remove_by_labels({"rollout": name})
