"""The feature that keeps Clusters current, put together for the controller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kaas.api.parsed import Parsed
from kaas.kube import resources
from kaas.kube.listing import clusters_of_site
from kaas.kube.objects import Object, name_of
from kaas.runtime.controller import Feature, Services
from kaas.runtime.watches import Watch
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.reconciler import Key, Office, UpdateReconciler
from kaas.updates.watched import concern, lean_namespace

WORKERS = 4  # a decision is a millisecond of work and one write at most


def updates(parsed: Parsed) -> Feature:
    """The feature that decides which version a Cluster is brought to, and when. parsed: shared with other features."""

    def reconciler(services: Services) -> UpdateReconciler:
        metrics = UpdateMetrics(services.metrics.registry)
        return UpdateReconciler(
            Office(services.index, services.client, services.clock, services.events, metrics, parsed)
        )

    return Feature("updates", _watches, reconciler, WORKERS)


def _watches(services: Services) -> Sequence[Watch]:
    """What is decided from."""

    def every(_: Object) -> Iterable[Key]:
        return [name_of(c) for c in services.index.list(resources.CLUSTER)]

    def of_site(site: Object) -> Iterable[Key]:
        return clusters_of_site(services.index, site["metadata"]["name"])

    def of_namespace(namespace: Object) -> Iterable[Key]:
        return [name_of(c) for c in services.index.list(resources.CLUSTER, namespace["metadata"]["name"])]

    return [
        Watch(resources.CLUSTER, lambda o: [name_of(o)], concern=concern),
        Watch(resources.SITE, of_site),
        Watch(resources.RELEASE, every),
        Watch(resources.NAMESPACE, of_namespace, transform=lean_namespace),
    ]
