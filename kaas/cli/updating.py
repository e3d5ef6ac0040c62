"""The feature that keeps Clusters current, put together for the controller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

from kaas.api.cluster import Cluster
from kaas.api.parsed import Parsed
from kaas.api.rollout import Rollout
from kaas.cli.connections import Connections
from kaas.cli.rolling import secrets, waking
from kaas.kube import resources
from kaas.kube.listing import clusters_of_site
from kaas.kube.objects import Object, name_of
from kaas.kube.ports import Source
from kaas.openstack.clouds import CloudDirectory
from kaas.runtime.controller import Feature, Services
from kaas.runtime.watches import Watch
from kaas.updates.examiner import ClusterExaminer
from kaas.updates.facts import Ruling
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.preflight.gather import Preflight
from kaas.updates.reconciler import Key, Office, UpdateReconciler
from kaas.updates.rollouts.turns import Turns, unread_rollouts
from kaas.updates.verify.probe import Probe
from kaas.updates.verify.verifier import Verifier
from kaas.updates.watched import concern, concern_of_addon, lean_namespace

WORKERS = 16  # a look before or after a step of an update waits for a Cluster or cloud, which may not answer


def updates(clouds: CloudDirectory, connections: Connections, parsed: Parsed, ending: AsyncExitStack) -> Feature:
    """The feature that decides what a Cluster is brought to, and when, and takes it there step by step.

    parsed: shared with other features. ending: closes what it opens, at the end.
    """

    def reconciler(services: Services) -> UpdateReconciler:
        metrics = UpdateMetrics(services.metrics.registry)
        index, client, clock = services.index, services.client, services.clock
        examiner = _examiner(services, clouds, connections, ending)
        turns = CurrentTurns(index, parsed)
        return UpdateReconciler(
            Office(index, client, clock, services.events, metrics, parsed, examiner=examiner, ruling=turns.of)
        )

    return Feature("updates", _watches, reconciler, WORKERS)


class CurrentTurns:
    """What the Rollouts that there are say of Clusters; read anew only when one of them is another."""

    def __init__(self, store: Source, parsed: Parsed) -> None:
        self._store, self._parsed = store, parsed
        self._read: list[str] = []
        self._turns = Turns(())

    def of(self, cluster: Cluster, now: datetime) -> Ruling:
        """What they say of one Cluster."""
        found = self._store.list(resources.ROLLOUT)
        versions = [f"{r['metadata']['name']}/{r['metadata'].get('resourceVersion')}" for r in found]
        if versions != self._read:
            rollouts, others = self._parsed.all_sound(Rollout, found)
            self._read, self._turns = versions, Turns(rollouts, unread_rollouts(others))
        return self._turns.of(cluster, now)


def _examiner(
    services: Services, clouds: CloudDirectory, connections: Connections, ending: AsyncExitStack
) -> ClusterExaminer:
    probe = Probe(connections, services.clock)
    ending.push_async_callback(probe.close)
    preflight = Preflight(connections.client, services.index, services.client, clouds)
    return ClusterExaminer(preflight, Verifier(connections, services.index, secrets(services), services.clock), probe)


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
        Watch(resources.ADDON, every, concern=concern_of_addon),
        waking(services),
        Watch(resources.NAMESPACE, of_namespace, transform=lean_namespace),
    ]
