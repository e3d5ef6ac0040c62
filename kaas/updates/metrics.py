"""Figures of updates, for dashboards and alerts: how many Clusters wait, why and until when, and what was begun."""

from __future__ import annotations

from collections import Counter as Count
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kaas.updates.facts import Decision
from kaas.updates.planner import STOPPED
from kaas.updates.unread import UNKNOWN

Key = tuple[str, str]


class UpdateMetrics:
    """Every metric of the feature, named `kaas_update_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._states = Gauge(
            "kaas_update_clusters",
            "Clusters by what is done about their version: Current, Waiting, Updating, Stopped",
            ["state"],
            registry=registry,
        )
        self._waiting = Gauge(
            "kaas_update_waiting", "Clusters for which an update waits, by why", ["reason"], registry=registry
        )
        self._next = Gauge(
            "kaas_update_next_timestamp_seconds",
            "When the next update of a Cluster begins, as far as is known",
            ["namespace", "cluster"],
            registry=registry,
        )
        self._begun = Counter("kaas_update_begun", "Updates that were begun", ["change"], registry=registry)
        self._ended = Counter(
            "kaas_update_ended", "Updates that ended, by how: Done, CalledOff", ["how"], registry=registry
        )
        self._stops = Counter(
            "kaas_update_stops", "Times that an update stopped, by why", ["reason"], registry=registry
        )
        self._rollbacks = Counter(
            "kaas_update_rollbacks",
            "Times that something was rolled back when an update stopped",
            ["what"],
            registry=registry,
        )
        self._gaps = Histogram(
            "kaas_update_api_gap_seconds",
            "Longest time between two good answers of an API server during an update",
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 300),
            registry=registry,
        )
        self._at_site = Gauge(
            "kaas_update_site_clusters",
            "Clusters of a Site that have a step of an update under way: those that count for its maxConcurrent",
            ["site"],
            registry=registry,
        )
        self.unreadable = Gauge(
            "kaas_update_unreadable",
            "1 for a Release or Site that is there and cannot be read: nothing begins that it may be about",
            ["kind", "name"],
            registry=registry,
        )
        self._dated: set[Key] = set()
        self._known: dict[Key, tuple[str, str]] = {}
        self._counts: Count[tuple[str, str]] = Count()

    def decided(self, key: Key, decision: Decision, *, begun: bool) -> None:
        """What was decided of a Cluster."""
        if begun and decision.choice is not None:
            self._begun.labels(str(decision.choice.change)).inc()
        self._set(key, _state_of(decision))
        self._date(key, decision.begins)

    def ended(self, *, done: bool, gap_milliseconds: int | None) -> None:
        """An update is through, or was called off. gap_milliseconds: how long its API server did not answer at most."""
        self._ended.labels("Done" if done else "CalledOff").inc()
        if gap_milliseconds is not None:
            self._gaps.observe(gap_milliseconds / 1000)

    def at_site(self, site: str, busy: int) -> None:
        """How many Clusters of a Site are updated now."""
        self._at_site.labels(site).set(busy)

    def stopped(self, reason: str) -> None:
        """An update has stopped by itself."""
        self._stops.labels(reason).inc()

    def rolled_back(self, what: str) -> None:
        """Something goes back since an update has stopped: Version, Image, ClassRevision, Certificates."""
        self._rollbacks.labels(what).inc()

    def forget(self, key: Key) -> None:
        """The Cluster is gone."""
        self._set(key, None)
        self._date(key, None)

    def _date(self, key: Key, begins: datetime | None) -> None:
        if begins is not None:
            self._dated.add(key)
            self._next.labels(*key).set(begins.timestamp())
        elif key in self._dated:
            self._dated.remove(key)
            self._next.remove(*key)

    def _set(self, key: Key, state: tuple[str, str] | None) -> None:
        before = self._known.get(key)
        if before == state:
            return
        self._known.pop(key, None)
        if state is not None:
            self._known[key] = state
            self._counts[state] += 1
        if before is not None:
            self._counts[before] -= 1
        for changed in (before, state):
            if changed is not None:
                self._show(*changed)

    def _show(self, state: str, reason: str) -> None:
        self._states.labels(state).set(sum(n for (s, _), n in self._counts.items() if s == state))
        if state == "Waiting":
            self._waiting.labels(reason).set(self._counts[state, reason])


def _state_of(decision: Decision) -> tuple[str, str]:
    if decision.target is not None:
        return ("Stopped" if decision.reason == STOPPED else "Updating"), ""
    waits = decision.choice is not None or decision.reason in UNKNOWN
    return ("Waiting", decision.reason) if waits else ("Current", "")
