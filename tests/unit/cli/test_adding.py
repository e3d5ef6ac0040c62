"""How the features of add-ons are put together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from kaas.api.parsed import Parsed
from kaas.cli.adding import add_ons
from kaas.cli.connections import Connections
from kaas.kube.objects import Object
from kaas.runtime.controller import Services
from kaas.runtime.index import Index
from kaas.runtime.metrics import Metrics
from kaas.runtime.watches import Feed, Subscription
from tests.unit.addons.world import raw_addon, raw_cluster


class Fed:
    """Both features behind one feed: which of their keys were added, by their names."""

    def __init__(self) -> None:
        self.index = Index()
        self.added: dict[str, set[Any]] = {}
        given = SimpleNamespace(index=self.index, client=None, clock=None, events=None, metrics=Metrics())
        subscriptions = []
        for feature in add_ons(Connections(), Parsed()):
            feature.reconciler(cast(Services, given))
            keys = self.added[feature.name] = set()
            subscriptions += [Subscription(watch, keys.add) for watch in feature.watches(cast(Services, given))]
        self.feed = Feed(self.index, subscriptions)
        self.revision = 0

    def says(self, obj: Object) -> dict[str, set[Any]]:
        """What an event adds."""
        for keys in self.added.values():
            keys.clear()
        self.revision += 1
        meta = {**obj["metadata"], "resourceVersion": str(self.revision)}
        resource = next(r for r in self.feed.resources if r.kind == obj["kind"])
        self.feed.event(resource, "MODIFIED", {**obj, "metadata": meta})
        return {name: set(keys) for name, keys in self.added.items()}


def test_who_is_looked_at_for_what() -> None:
    fed, team = Fed(), ("tenants", "team")
    addon = raw_addon("exporter", "1.0.0")
    assert fed.says(raw_cluster()) == {"add-ons": {team}, "addon-versions": set()}
    assert fed.says(addon) == {"add-ons": {team}, "addon-versions": {"exporter"}}
    found = {**addon, "status": {"versions": [{"version": "1.0.0", "digest": "d"}]}}
    assert fed.says(found) == {"add-ons": {team}, "addon-versions": set()}
    counted = {**found, "status": {**found["status"], "clusters": {"selected": 1}}}
    assert fed.says(counted) == {"add-ons": set(), "addon-versions": set()}
    ready = raw_cluster(addOns=[{"name": "exporter", "version": "1.0.0", "state": "Ready"}])
    assert fed.says(ready) == {"add-ons": {team}, "addon-versions": {"exporter"}}
    said = raw_cluster(addOns=[{"name": "exporter", "version": "1.0.0", "state": "Ready"}], conditions=[])
    assert fed.says(said) == {"add-ons": set(), "addon-versions": set()}
