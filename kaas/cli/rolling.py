"""The feature that takes changes through the fleet, put together for the controller."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

from kaas.api.parsed import Parsed
from kaas.api.site import Site, SiteMetrics
from kaas.kube import resources
from kaas.kube.objects import Object, Ref, name_of
from kaas.runtime.controller import Feature, Services
from kaas.runtime.watches import Watch
from kaas.updates.rollouts.metering import Meter
from kaas.updates.rollouts.metrics import RolloutMetrics
from kaas.updates.rollouts.reconciler import Office, RolloutReconciler
from kaas.updates.rollouts.watched import Wakes, concern_of_cluster, concern_of_rollout
from kaas.updates.verify.answers import ReadSecret, answer

WORKERS = 1  # each looks at the whole fleet
QUERY = 10.0  # seconds that one question to the metrics of a Site may take


def rollouts(parsed: Parsed) -> Feature:
    """The feature that says whose turn it is. parsed: shared with other features."""

    def reconciler(services: Services) -> RolloutReconciler:
        metrics, meter = RolloutMetrics(services.metrics.registry), _meter(services, parsed)
        return RolloutReconciler(
            Office(services.index, services.client, services.clock, services.events, meter, metrics, parsed)
        )

    return Feature("rollouts", _watches, reconciler, WORKERS)


def waking(services: Services) -> Watch:
    """For those who decide about Clusters: the watch that wakes the Clusters whose turn a Rollout has changed."""
    wakes = Wakes()

    def woken(rollout: Object) -> Iterable[tuple[str, str]]:
        is_there = services.index.get(resources.ROLLOUT, None, rollout["metadata"]["name"]) is not None
        every = (name_of(c) for c in services.index.list(resources.CLUSTER))
        return wakes.woken(rollout, every, is_there=is_there)

    return Watch(resources.ROLLOUT, woken)


def _watches(services: Services) -> Sequence[Watch]:
    """What is decided from."""

    def every(_: Object) -> Iterable[str]:
        return [r["metadata"]["name"] for r in services.index.list(resources.ROLLOUT)]

    def this_and_others(rollout: Object) -> Iterable[str]:
        return {rollout["metadata"]["name"], *every(rollout)}

    return [
        Watch(resources.ROLLOUT, this_and_others, concern=concern_of_rollout),
        Watch(resources.CLUSTER, every, concern=concern_of_cluster),
        Watch(resources.RELEASE, every),
        Watch(resources.SITE, every),
    ]


def secrets(services: Services) -> ReadSecret:
    """How Secrets of the management cluster are read."""

    async def read_secret(namespace: str, name: str) -> Mapping[str, bytes] | None:
        found = await services.client.get(Ref("v1", "Secret", namespace, name))
        return {k: base64.b64decode(v) for k, v in (found.get("data") or {}).items()} if found else None

    return read_secret


def _meter(services: Services, parsed: Parsed) -> Meter:
    read_secret = secrets(services)

    async def query(metrics: SiteMetrics, expression: str) -> float | None:
        return await answer(metrics, expression, QUERY, read_secret)

    def find_site(name: str) -> Site | None:
        raw = services.index.get(resources.SITE, None, name)
        found, _ = parsed.all_sound(Site, [raw] if raw else [])
        return found[0] if found else None

    return Meter(query, find_site)
