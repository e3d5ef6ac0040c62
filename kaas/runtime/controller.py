"""The controller: watches fill the index, keys go through queues, one leader reconciles."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kaas.kube.client import KubeClient
from kaas.kube.events import Events
from kaas.runtime import garbage
from kaas.runtime.clock import Clock, SystemClock
from kaas.runtime.index import Index, SecretFilter
from kaas.runtime.kopf_adapter import KopfWatches
from kaas.runtime.leader import Election, Leader
from kaas.runtime.metrics import Endpoint, Metrics
from kaas.runtime.queue import Queue
from kaas.runtime.turns import Turns
from kaas.runtime.watches import Feed, Subscription, Watch

log = logging.getLogger(__name__)

Key = Hashable
LAG_EVERY = 0.25  # seconds between two measurements of the event loop's lag
STUCK = 30.0  # seconds of lag after which the process is better restarted


class Reconciler(Protocol):
    """One feature's work on one key."""

    async def reconcile(self, key: Any) -> float | None:
        """Bring the key's objects where they should be; returns seconds until it wants to look again, None: on events.

        An exception is logged and the key repeated with growing pauses.
        """


@dataclass(frozen=True)
class Services:
    """What a feature gets to work with."""

    client: KubeClient
    index: Index
    clock: Clock
    events: Events
    metrics: Metrics
    add: Callable[[Key], None]
    add_after: Callable[[Key, float], None]


@dataclass(frozen=True)
class Feature:
    """One feature: what it watches, and how its reconciler is made. `workers` keys are reconciled at once.

    Both are made once, before anything is watched; the index that they are given is still empty then.
    """

    name: str
    watches: Callable[[Services], Sequence[Watch]]
    reconciler: Callable[[Services], Reconciler]
    workers: int = 8


@dataclass(frozen=True)
class ControllerSettings:
    """How the controller runs.

    namespaces: those to watch, none means all. leader_election: off only for a single controller, as in a laboratory.
    metrics_port: on 127.0.0.1; 0 takes any free port, None serves nothing.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    leader_election: bool = True
    election: Election = field(default_factory=Election)
    metrics_port: int | None = 8080
    metrics_host: str = "127.0.0.1"
    keep_secret_keys: SecretFilter = lambda _: ()
    stop_patience: float = 5.0


async def run_controller(
    settings: ControllerSettings,
    features: Iterable[Feature],
    *,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
) -> None:
    """Run until SIGTERM, SIGINT or `stop`; LeaseLost when another leads now.

    Signals are taken only in the main thread and only when no `stop` is given.
    """
    metrics = Metrics()
    async with await KubeClient.connect(settings.kubeconfig, settings.context, hook=metrics.request) as client:
        controller = Controller(settings, features, client, metrics, clock or SystemClock())
        await controller.run(stop or _stop_on_signals())


class Controller:
    """One controller process, put together."""

    def __init__(
        self,
        settings: ControllerSettings,
        features: Iterable[Feature],
        client: KubeClient,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self.index = Index(settings.keep_secret_keys)
        self._lag = 0.0
        self._queues: list[Queue[Key]] = []
        self._turns = Turns()
        subscriptions = [s for feature in features for s in self._subscribe(feature, client)]
        self._feed = Feed(self.index, subscriptions)
        self._watches = KopfWatches(client, self._feed, namespaces=settings.namespaces, clock=clock)
        self._leader = Leader(client, settings.election, clock)
        metrics.objects.set_function(self.index.count)
        metrics.leading.set_function(self._leader.leading.is_set)

    def _subscribe(self, feature: Feature, client: KubeClient) -> list[Subscription]:
        """Make the feature's queue, and its reconciler, which may add keys to it; returns its watches."""
        made: list[Reconciler] = []

        async def reconcile(key: Key) -> float | None:
            return await made[0].reconcile(key)

        observe = self._metrics.outcome(feature.name)
        queue: Queue[Key] = Queue(
            reconcile, workers=feature.workers, clock=self._clock, turns=self._turns, observe=observe
        )
        events = Events(client, self._clock)
        services = Services(client, self.index, self._clock, events, self._metrics, queue.add, queue.add_after)
        made.append(feature.reconciler(services))
        self._metrics.watch_queue(feature.name, queue)
        self._queues.append(queue)
        return [Subscription(watch, queue.add, queue.hurry) for watch in feature.watches(services)]

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then end in order: reconciles, Lease, watches."""
        endpoint = Endpoint(self._metrics, self._unhealthy, self._unready)
        if self._settings.metrics_port is not None:
            port = await endpoint.start(self._settings.metrics_port, self._settings.metrics_host)
            log.info("metrics at http://%s:%d/metrics", self._settings.metrics_host, port)
        watching = asyncio.create_task(self._watches.run(), name="watches")
        leader = asyncio.create_task(self._lead(), name="leader")
        tasks = [
            watching,
            leader,
            asyncio.create_task(self._measure_lag(), name="lag"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._shut_down(watching, leader, tasks)
            await endpoint.stop()
        _raise_failure(tasks)

    async def _shut_down(
        self, watching: asyncio.Task[None], leader: asyncio.Task[None], tasks: list[asyncio.Task[Any]]
    ) -> None:
        patience = self._settings.stop_patience
        await asyncio.gather(*(queue.stop(patience) for queue in self._queues))
        await self._watches.stop()
        ending = [watching, leader] if self._leader.leading.is_set() else [watching]
        await asyncio.wait(ending, timeout=patience)  # a leader ends with its queues, and then releases its Lease
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _lead(self) -> None:
        """Reconcile once everything is in the index and we are the one to do it: a standby's index is warm."""
        await garbage.freeze_until(self._watches.synced.is_set)
        log.info("%d objects in the index", self.index.count())
        if self._settings.leader_election:
            await self._leader.run(self._reconcile)
        else:
            self._leader.leading.set()
            await self._reconcile()

    async def _reconcile(self) -> None:
        """Until the queues are told to stop."""
        async with asyncio.TaskGroup() as group:
            cleaning = group.create_task(self._clean())
            await asyncio.wait([group.create_task(queue.run()) for queue in self._queues])
            cleaning.cancel()

    async def _clean(self) -> None:
        """Keep Python's garbage collector from holding up what is to be done."""
        await garbage.freeze_until(self._is_at_rest)
        await garbage.tidy(self._is_at_rest)

    def _is_at_rest(self) -> bool:
        return all(queue.idle for queue in self._queues)

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            planned = loop.time() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self._lag = max(0.0, loop.time() - planned)
            self._metrics.lag.observe(self._lag)

    def _unhealthy(self) -> str:
        return f"the event loop lags {self._lag:.0f} s" if self._lag > STUCK else ""

    def _unready(self) -> str:
        """A standby is ready: it could lead."""
        if self._watches.synced.is_set():
            return ""
        return "not yet in the index: " + (", ".join(self._feed.unsynced()) or "the kinds are being looked for")


def _raise_failure(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        if not task.cancelled() and (failure := task.exception()):
            raise failure


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(RuntimeError, ValueError):  # not in the main thread
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
