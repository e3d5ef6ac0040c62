"""Figures of add-ons, for dashboards and alerts."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Collection, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from kaas.api.addon_status import InstalledAddOn

Key = tuple[str, str]


class AddonMetrics:
    """Every metric of the feature, named `kaas_addon_*`: an Addon has a line for each state that it is in somewhere."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._clusters = Gauge(
            "kaas_addon_clusters",
            "Clusters by what is done about an add-on: Waiting, Applying, Starting, Ready, Failed, Removing",
            ["addon", "state"],
            registry=registry,
        )
        self._failures = Counter(
            "kaas_addon_failures", "Times that an add-on began to fail in a Cluster", ["addon"], registry=registry
        )
        self._failed: set[str] = set()
        self._known: dict[Key, frozenset[tuple[str, str]]] = {}
        self._counts: Count[tuple[str, str]] = Count()

    def told(self, key: Key, entries: Iterable[InstalledAddOn]) -> None:
        """What is said of all add-ons of a Cluster; nothing when it is gone."""
        before, after = self._known.pop(key, frozenset()), frozenset((e.name, e.state) for e in entries)
        if after:
            self._known[key] = after
        self._counts.update(after - before)
        self._counts.subtract(before - after)
        for pair in before ^ after:
            if self._counts[pair] > 0:
                self._clusters.labels(*pair).set(self._counts[pair])
            else:
                del self._counts[pair]
                self._clusters.remove(*pair)

    def failed(self, addon: str) -> None:
        """It begins to fail in a Cluster."""
        self._failures.labels(addon).inc()
        self._failed.add(addon)

    def keep(self, addons: Collection[str]) -> None:
        """Those that are none of these Addons and in no Cluster are forgotten."""
        for name in self._failed - {*addons, *(name for name, _ in self._counts)}:
            self._failed.remove(name)
            self._failures.remove(name)
