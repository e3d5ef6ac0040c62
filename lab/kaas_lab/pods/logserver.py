"""A kubelet's API, as much as the API server asks of it: logs of containers, over TLS with a client's certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from aiohttp import web

from .podlog import Wanted, select
from .times import now
from .worker import Run, Worker

POLL_SECONDS = 0.1
CHUNK = 1 << 20


def context(certificates: Path) -> ssl.SSLContext:
    """TLS of the lab's own authority: clients show a certificate of it."""
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.crt"))
    found.verify_mode = ssl.CERT_REQUIRED
    found.verify_flags &= ~ssl.VERIFY_X509_STRICT
    found.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    return found


def application(workers: Callable[[], Iterable[Worker]]) -> web.Application:
    """The API of the node that has these workers."""

    async def logs(request: web.Request) -> web.StreamResponse:
        worker = _worker(workers(), request.match_info["namespace"], request.match_info["pod"])
        run = _run(worker, request.match_info["container"])
        try:
            wanted = Wanted.parse(request.query)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        file = _file(worker, run, is_previous=request.query.get("previous") == "true")
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        await _write(response, file, wanted, run)
        return response

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    app.router.add_get("/healthz", healthy)
    return app


def _worker(workers: Iterable[Worker], namespace: str, name: str) -> Worker:
    for worker in workers:
        metadata = worker.pod["metadata"]
        if (metadata["namespace"], metadata["name"]) == (namespace, name):
            return worker
    raise web.HTTPNotFound(text=f"pod {namespace}/{name} not found")


def _run(worker: Worker, container: str) -> Run:
    for run in worker.runs():
        if run.status.name == container:
            return run
    raise web.HTTPNotFound(text=f"container {container} not found in pod {worker.pod['metadata']['name']}")


def _file(worker: Worker, run: Run, *, is_previous: bool) -> Path:
    file = worker.log(run, is_previous=is_previous)
    if file is None or not file.exists():
        which = "previous terminated container" if is_previous else "container"
        raise web.HTTPBadRequest(
            text=f'{which} "{run.status.name}" in pod "{worker.pod["metadata"]["name"]}" not found'
        )
    return file


async def _write(response: web.StreamResponse, file: Path, wanted: Wanted, run: Run) -> None:
    with file.open("rb") as stream:
        text = select(stream.read().splitlines(), wanted, now())
        await response.write(text)
        left = wanted.limit - len(text) if wanted.limit else None
        while wanted.follow and (left is None or left > 0):
            is_running = run.process is not None
            lines = stream.read(CHUNK)
            if lines:
                lines += b"" if lines.endswith(b"\n") else stream.readline()
                text = wanted.shown(lines.splitlines())[:left]
                left = None if left is None else left - len(text)
                await response.write(text)
            elif not is_running:
                return
            else:
                await asyncio.sleep(POLL_SECONDS)


async def serve(app: web.Application, port: int, tls: ssl.SSLContext) -> web.AppRunner:
    """Listen at 127.0.0.1."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    return runner
