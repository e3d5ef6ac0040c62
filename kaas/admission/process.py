"""The process of a webhook server: serves until it is told to stop, and then without losing a request."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from kaas.admission import access
from kaas.admission.api import Api
from kaas.admission.app import State, Webhook, application, observation
from kaas.admission.keeper import Keeper, Keeping
from kaas.admission.listening import leave, listening
from kaas.admission.metrics import Metrics
from kaas.admission.tls import Tls

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a server listens, and how it reaches its API server.

    kubeconfig: None for the account of the Pod we run in. metrics_port: None serves no metrics. drain: seconds after
    SIGTERM in which the cluster learns that this replica is leaving; it serves all along.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    host: str = "0.0.0.0"  # noqa: S104 - a Pod's address is not known before it runs
    port: int = 8443
    metrics_port: int | None = 8080
    drain: float = 5.0


@dataclass(frozen=True)
class Service:
    """What is served. webhooks: made when there is a client, by path. keeping: whose certificates are kept."""

    webhooks: Callable[[Api], Mapping[str, Webhook]]
    metrics: Metrics
    keeping: Keeping


class Stop:
    """When to stop. asked: without losing a request. hurry: now, since nobody calls any more, or nobody cares."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()

    def ask(self) -> None:
        """Ask for a stop; who asks a second time is in a hurry."""
        (self.hurry if self.asked.is_set() else self.asked).set()


def run(place: Place, service: Service) -> None:
    """Serve until SIGTERM or SIGINT; the second of them cuts the stop short.

    Raises AccessError, and OSError when a port is taken.
    """
    asyncio.run(_until_signal(place, service))


async def _until_signal(place: Place, service: Service) -> None:
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.ask)
    await serve(place, service, stop)


async def serve(place: Place, service: Service, stop: Stop) -> None:
    """Serve until a stop is asked for, then until nobody comes any more: `drain` seconds at least."""
    tls, metrics = Tls(), service.metrics
    state = State(lambda: tls.expires is not None)
    metrics.certificate(lambda: _left(tls))
    async with Api(access.find(place.kubeconfig, place.context)) as api:
        reviews = application(service.webhooks(api), state, metrics)
        async with (
            _keeping(Keeper(api, tls, service.keeping)),
            _observed(observation(state, metrics), place),
            listening(reviews, place.host, place.port, tls) as reached,
        ):
            gc.freeze()  # what is there now stays: nobody need look for garbage in it
            log.info("listening at %s:%s", place.host, place.port)
            await stop.asked.wait()
            state.draining = True
            log.info("stopping in %.0f s, when nobody is connected any more", place.drain)
            await leave(reached, place.drain, stop.hurry)


@asynccontextmanager
async def _keeping(keeper: Keeper) -> AsyncIterator[None]:
    task = asyncio.create_task(keeper.run(asyncio.sleep), name="certificates")
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _ended(task: asyncio.Task[None]) -> None:
    """A keeper that ends by an error of its own must not go unseen: without it the certificate runs out in weeks."""
    if not task.cancelled() and (error := task.exception()):
        log.critical("certificates are kept no more: %s", type(error).__name__, exc_info=error)
        signal.raise_signal(signal.SIGTERM)


@asynccontextmanager
async def _observed(app: web.Application, place: Place) -> AsyncIterator[None]:
    if place.metrics_port is None:
        yield
        return
    async with listening(app, place.host, place.metrics_port):
        yield


def _left(tls: Tls, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float:
    return (tls.expires - now()).total_seconds() if tls.expires else float("nan")
