"""One API server as many workload clusters: `https://127.0.0.1:PORT/<cluster>` shows the Nodes of that cluster alone.

A real kube-apiserver answers; nothing is done here but to ask it for Nodes with the cluster's label, so that a thousand
clusters need one server and not a thousand.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

LABEL: Final = "bench/cluster"
_DROPPED: Final = frozenset({"host", "transfer-encoding", "content-length", "connection", "content-encoding"})


class Front:
    """Passes requests on. upstream: the API server's address; tls: for its administrator."""

    def __init__(self, upstream: str, tls: ssl.SSLContext) -> None:
        self._upstream, self._tls = upstream, tls
        self._session: aiohttp.ClientSession | None = None

    async def session(self, _: web.Application) -> None:
        """Open what requests go through."""
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer as the API server does, as it comes."""
        assert self._session is not None
        path, query = request.match_info["path"], dict(request.query)
        if path == "api/v1/nodes":
            query["labelSelector"] = f"{LABEL}={request.match_info['cluster']}"
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _DROPPED}
        url = f"{self._upstream}/{path}"
        async with self._session.request(
            request.method, url, params=query, headers=headers, data=await request.read()
        ) as found:
            kept = {k: v for k, v in found.headers.items() if k.lower() not in _DROPPED}
            answer = web.StreamResponse(status=found.status, headers=kept)
            await answer.prepare(request)
            async for part in found.content.iter_any():
                await answer.write(part)
        return answer


async def _run(port: int, upstream: str, certificates: Path) -> None:
    client = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    client.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    front, app = Front(upstream, client), web.Application()
    app.on_startup.append(front.session)
    app.router.add_route("*", "/{cluster}/{path:.*}", front.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=server, backlog=2048).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--certificates", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(_run(options.port, options.upstream, options.certificates))


if __name__ == "__main__":
    main()
