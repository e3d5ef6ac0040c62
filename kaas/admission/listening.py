"""A port that is served, and that is left without losing a request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from kaas.admission.tls import Tls

log = logging.getLogger(__name__)

ANSWERING = 6.0  # seconds that a stop waits for answers under way: more than any review takes
KEPT = 95.0
"""Seconds that an unused connection is left to who holds it. API servers close theirs after 90: client-go takes
IdleConnTimeout of Go's http.DefaultTransport."""
LOOK = 0.1  # seconds between two looks at who is connected
QUIET = 10  # looks with nobody and no request in between; one is not enough: a handshake under way is not seen


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int, tls: Tls | None = None) -> AsyncIterator[web.AppRunner]:
    """Serve at a port, 0 for any. Afterwards answers under way are given, and unused connections closed."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=ANSWERING, handle_signals=False)
    await runner.setup()
    try:
        context = tls.context if tls else None
        await web.TCPSite(runner, host, port, ssl_context=context, backlog=1024).start()
        yield runner
    finally:
        await runner.cleanup()


async def leave(runner: web.AppRunner, drain: float, hurry: asyncio.Event) -> None:
    """Return when nobody comes here any more: after `drain` seconds, once nobody has been connected for a second.

    All are served meanwhile, and each answer has to say that its connection is to be used no more. HTTP/1.1 has no
    other word for that: a connection that is closed unused may carry a request at that very moment. An API server does
    not repeat it, since it is a POST, and refuses the object. So unused connections are left to the API server.

    It returns all the same `KEPT` seconds after `drain`. hurry: returns at once when it is set.
    """
    if await _is_set(hurry, drain):
        return
    if left := _connections(runner):
        log.info("%d connections are left to who holds them", left)
    now = asyncio.get_running_loop().time
    end, quiet, seen = now() + KEPT, 0, 0
    while quiet < QUIET and now() < end:
        if await _is_set(hurry, LOOK):
            return
        before, seen = seen, _requests(runner)
        quiet = 0 if _connections(runner) or seen > before else quiet + 1
    if left := _connections(runner):
        log.warning("%d unused connections are closed, after %.0f s", left, drain + KEPT)


def _connections(runner: web.AppRunner) -> int:
    return len(runner.server.connections) if runner.server else 0


def _requests(runner: web.AppRunner) -> int:
    return runner.server.requests_count if runner.server else 0


async def _is_set(event: asyncio.Event, within: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), within)
    except TimeoutError:
        return False
    return True
