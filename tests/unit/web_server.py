"""A web server on loopback, for tests that play one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
ANY = "/{path:.*}"


@asynccontextmanager
async def serving(answer: Answer, path: str = ANY) -> AsyncIterator[str]:
    """Has requests for a path answered, for all paths unless told otherwise; gives its address. None outlives it."""
    app = web.Application()
    app.router.add_route("*", path, answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def refusal(code: int, reason: str) -> web.Response:
    """An answer of an API server that refuses."""
    return web.json_response({"kind": "Status", "code": code, "reason": reason, "message": reason}, status=code)
