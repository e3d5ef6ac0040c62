"""The process: serves until it is told to stop, and then without losing a request."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from kaas.credentials.secrets.policy import DEFAULT, Policy
from kaas.credentials.server import access
from kaas.credentials.server.api import Api
from kaas.credentials.server.app import State, application, observation
from kaas.credentials.server.certificates import Lives
from kaas.credentials.server.keeper import POLL, Keeper, Keeping
from kaas.credentials.server.lookups import Lookups
from kaas.credentials.server.metrics import Metrics
from kaas.credentials.server.reviews import webhooks
from kaas.credentials.server.tls import Tls

log = logging.getLogger(__name__)

NAMESPACE = "kaas-credentials"
SERVICES = ("kaas-credentials", "kaas-credentials-a", "kaas-credentials-b")
"""Of all replicas, and of each half of them."""
ANSWERING = 6.0  # seconds that a stop waits for answers under way: more than any review takes


@dataclass(frozen=True)
class Options:
    """How the webhook runs.

    kubeconfig: None for the account of the Pod we run in. names: that API servers call it by; none means its Services.
    metrics_port: None serves no metrics. drain: seconds between SIGTERM and the end of listening, in which the cluster
    learns that this replica is leaving; it serves all along.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    host: str = "0.0.0.0"  # noqa: S104 - a Pod's address is not known before it runs
    port: int = 8443
    metrics_port: int | None = 8080
    namespace: str = ""
    names: tuple[str, ...] = ()
    drain: float = 5.0
    policy: Policy = DEFAULT
    poll: float = POLL
    lives: Lives = field(default_factory=Lives)

    def keeping(self) -> Keeping:
        """Whose certificates are kept."""
        namespace = self.namespace or access.own_namespace(NAMESPACE)
        names = self.names or tuple(f"{service}.{namespace}.svc" for service in SERVICES)
        return Keeping(namespace, names, self.lives, self.poll)


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises AccessError, and OSError when a port is taken."""
    asyncio.run(_until_signal(options))


async def _until_signal(options: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(options, stop)


async def serve(options: Options, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then `drain` seconds more, then until every answer under way is given."""
    tls, metrics = Tls(), Metrics()
    state = State(lambda: tls.expires is not None)
    metrics.certificate(lambda: _left(tls))
    async with Api(access.find(options.kubeconfig, options.context)) as api:
        reviews = application(webhooks(Lookups(api), metrics, options.policy), state, metrics)
        async with (
            _keeping(Keeper(api, tls, options.keeping())),
            _listening(observation(state, metrics), options.host, options.metrics_port, None),
            _listening(reviews, options.host, options.port, tls),
        ):
            gc.freeze()  # what is there now stays: nobody need look for garbage in it
            log.info("listening at %s:%s", options.host, options.port)
            await stop.wait()
            state.draining = True
            log.info("stopping in %.0f s", options.drain)
            await asyncio.sleep(options.drain)


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
async def _listening(app: web.Application, host: str, port: int | None, tls: Tls | None) -> AsyncIterator[None]:
    if port is None:
        yield
        return
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=ANSWERING, handle_signals=False)
    await runner.setup()
    try:
        context = tls.context if tls else None
        await web.TCPSite(runner, host, port, ssl_context=context, backlog=1024).start()
        yield
    finally:
        await runner.cleanup()


def _left(tls: Tls, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float:
    return (tls.expires - now()).total_seconds() if tls.expires else float("nan")
