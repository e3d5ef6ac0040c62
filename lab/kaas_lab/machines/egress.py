"""How an API server reaches its nodes: an HTTP CONNECT proxy that knows which machine owns an address of the network.

Fixed IPs of a tenant's network exist in Neutron only, and two tenants may use the same. Each control-plane machine
therefore has a proxy of its own, at a socket in its directory, that turns the fixed IPs of its network into loopback
addresses of machines. The API server's standard egress selector is told to use it for everything inside the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from .controlplane import EGRESS_SOCKET
from .loadbalancer import join

LOG = logging.getLogger(__name__)
HEADER_SECONDS = 10.0
CONNECT_SECONDS = 5.0

Resolve = Callable[[str], str | None]


class Egress:
    """One proxy; `resolve` gives the loopback address of the machine that owns an address, None when nobody does."""

    def __init__(self, directory: Path, resolve: Resolve) -> None:
        self._directory, self._resolve = directory, resolve
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()

    async def start(self) -> None:
        """Listen. The path may be longer than a socket's address can be, so go through the directory's descriptor."""
        (self._directory / EGRESS_SOCKET).unlink(missing_ok=True)
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(f"/proc/self/fd/{descriptor}/{EGRESS_SOCKET}")
        finally:
            os.close(descriptor)
        listener.setblocking(False)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener)

    def stop(self) -> None:
        """Stop to listen; connections end with the API server that made them."""
        if self._server:
            self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
            await self._connect(request.split(b" ")[1].decode(), reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError) as error:
            LOG.debug("egress: %s", error)
        finally:
            writer.close()

    async def _connect(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = target.rpartition(":")
        address = self._resolve(host.strip("[]"))
        far = None
        if address:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    far = await asyncio.open_connection(address, int(port))
        if far is None:
            writer.write(b"HTTP/1.1 502 no machine of this network answers there\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await join(reader, writer, *far, self._open)
