"""The features that keep add-ons in Clusters, put together for the controller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kaas.addons.examining import AddonReconciler, Desk
from kaas.addons.library import Library
from kaas.addons.metrics import AddonMetrics
from kaas.addons.reconciler import AddOnReconciler, Office
from kaas.addons.visit import Key
from kaas.addons.watched import concern, concern_of_addon, counted, said_of_addon
from kaas.api.parsed import Parsed
from kaas.cli.connections import Connections
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, name_of
from kaas.runtime.controller import Feature, Services
from kaas.runtime.watches import Watch

WORKERS = 8  # of which fewer than half ask Clusters that did not answer the last time
READERS = 2


def add_ons(connections: Connections, parsed: Parsed) -> tuple[Feature, Feature]:
    """The feature that puts add-ons into Clusters, and the one that says which of their versions can be used.

    parsed: shared with other features.
    """
    shelf = _Shelf()

    def reconciler(services: Services) -> AddOnReconciler:
        metrics, library = AddonMetrics(services.metrics.registry), shelf.library(services.client)
        index, client, clock = services.index, services.client, services.clock
        return AddOnReconciler(Office(index, client, clock, services.events, connections, library, metrics, parsed))

    def reader(services: Services) -> AddonReconciler:
        library = shelf.library(services.client)
        return AddonReconciler(Desk(services.index, services.client, services.clock, library, parsed))

    return (
        Feature("add-ons", _of_clusters, reconciler, WORKERS),
        Feature("addon-versions", _of_addons, reader, READERS),
    )


class _Shelf:
    """One library for both."""

    def __init__(self) -> None:
        self._library: Library | None = None

    def library(self, client: KubeClient) -> Library:
        """The one there is."""
        self._library = self._library or Library(client)
        return self._library


def _of_clusters(services: Services) -> Sequence[Watch]:
    """What decides which add-ons a Cluster has."""

    def every(_: Object) -> Iterable[Key]:
        return [name_of(c) for c in services.index.list(resources.CLUSTER)]

    return [
        Watch(resources.CLUSTER, lambda o: [name_of(o)], concern=concern),
        Watch(resources.ADDON, every, concern=concern_of_addon),
    ]


def _of_addons(services: Services) -> Sequence[Watch]:
    """What is said of Addons, and who has them."""

    def every(_: Object) -> Iterable[str]:
        return [a["metadata"]["name"] for a in services.index.list(resources.ADDON)]

    return [
        Watch(resources.ADDON, lambda o: [o["metadata"]["name"]], concern=said_of_addon),
        Watch(resources.CLUSTER, every, concern=counted),
    ]
