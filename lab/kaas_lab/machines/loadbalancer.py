"""Octavia's data plane, played: a TCP forwarder for each listener of a load balancer that has a floating IP.

Which addresses it listens at and to whom it forwards is what Octavia and Neutron say, nothing else: an end point works
exactly as long as their objects are right. A floating IP on a server's own port forwards to that server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOG = logging.getLogger(__name__)
CONNECT_SECONDS = 2.0
CHUNK = 1 << 16
BACKLOG = 256
SERVER_PORTS = (6443,)  # what a floating IP on a server's own port forwards

Listen = tuple[str, int]


@dataclass(frozen=True)
class Port:
    """A machine's port in a tenant's network, and the loopback address that stands for it."""

    id: str
    network: str
    fixed_ip: str
    address: str


@dataclass(frozen=True)
class Route:
    """One address to listen at: whose it is, and where connections go."""

    name: str
    targets: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Objects:
    """What Octavia and Neutron say, as they say it; `members` by the id of their pool."""

    balancers: list[dict[str, Any]] = field(default_factory=list)
    listeners: list[dict[str, Any]] = field(default_factory=list)
    pools: list[dict[str, Any]] = field(default_factory=list)
    members: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    floating: list[dict[str, Any]] = field(default_factory=list)


def routes(objects: Objects, ports: Iterable[Port]) -> dict[Listen, Route]:
    """Everything to listen at. Pure."""
    ports = list(ports)
    floating = {f["port_id"]: f["floating_ip_address"] for f in objects.floating if f.get("port_id")}
    found: dict[Listen, Route] = {}
    for balancer in objects.balancers:
        if address := floating.get(balancer.get("vip_port_id")):
            for listener in _children(balancer, objects.listeners):
                targets = _targets(balancer, listener, objects, ports)
                found[address, int(listener["protocol_port"])] = Route(balancer["name"], targets)
    for port in ports:
        if address := floating.get(port.id):
            for number in SERVER_PORTS:
                found.setdefault((address, number), Route(port.fixed_ip, ((port.address, number),)))
    return found


def _children(balancer: Mapping[str, Any], listed: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    mine = [x for x in listed if {"id": balancer["id"]} in x.get("loadbalancers", [])]
    return [x for x in mine if x.get("admin_state_up", True) and balancer.get("admin_state_up", True)]


def _targets(
    balancer: Mapping[str, Any], listener: Mapping[str, Any], objects: Objects, ports: Iterable[Port]
) -> tuple[tuple[str, int], ...]:
    machines = {p.fixed_ip: p.address for p in ports if p.network == balancer.get("vip_network_id")}
    members = objects.members.get(listener.get("default_pool_id") or "", [])
    usable = [m for m in members if m.get("admin_state_up", True) and m["address"] in machines]
    return tuple((machines[m["address"]], int(m["protocol_port"])) for m in usable)


class Forwarder:
    """Listens at one address. `gate` closed makes it a black hole: nothing passes, nothing is refused."""

    def __init__(self, listen: Listen, route: Route) -> None:
        self.listen, self.route = listen, route
        self.gate = asyncio.Event()
        self.gate.set()
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start to listen. Raises OSError when the address is not to be had."""
        host, port = self.listen
        self._server = await asyncio.start_server(self._accept, host, port, backlog=BACKLOG)

    async def close(self) -> None:
        """Stop to listen and cut every connection."""
        if self._server:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            await self.gate.wait()
            backend = await self._backend()
            if backend:
                await join(reader, writer, *backend, self.gate)
        except asyncio.CancelledError:
            pass  # closing: the streams are cut below, and nobody waits for this task's result
        finally:
            writer.close()

    async def _backend(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The next member in turn that accepts."""
        targets = self.route.targets
        self._turn += 1
        for offset in range(len(targets)):
            host, port = targets[(self._turn + offset) % len(targets)]
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(host, port)
            except (OSError, TimeoutError):
                continue
        return None


async def join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
    gate: asyncio.Event,
) -> None:
    """Pass bytes both ways until both sides have closed or one breaks."""
    try:
        await asyncio.gather(_pump(reader, far_writer, gate), _pump(far_reader, writer, gate))
    finally:
        far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
    try:
        while chunk := await reader.read(CHUNK):
            await gate.wait()
            writer.write(chunk)
            await writer.drain()
    except OSError:
        writer.close()
        return
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


class Balancer:
    """All forwarders of a site."""

    def __init__(self) -> None:
        self._forwarders: dict[Listen, Forwarder] = {}

    async def settle(self, wanted: Mapping[Listen, Route], hanging: set[str], refusing: set[str]) -> None:
        """Listen at what is wanted and nothing else; `hanging` and `refusing` hold names of broken routes."""
        kept = {listen: route for listen, route in wanted.items() if route.name not in refusing}
        for listen in [x for x in self._forwarders if x not in kept]:
            LOG.info("no longer listening at %s:%d", *listen)
            await self._forwarders.pop(listen).close()
        for listen, route in kept.items():
            await self._serve(listen, route, hanging)

    async def _serve(self, listen: Listen, route: Route, hanging: set[str]) -> None:
        if listen not in self._forwarders:
            forwarder = Forwarder(listen, route)
            try:
                await forwarder.open()
            except OSError as error:
                LOG.warning("cannot listen at %s:%d for %s: %s", *listen, route.name, error)
                return
            LOG.info("listening at %s:%d for %s", *listen, route.name)
            self._forwarders[listen] = forwarder
        forwarder = self._forwarders[listen]
        forwarder.route = route
        if route.name in hanging:
            forwarder.gate.clear()
        else:
            forwarder.gate.set()

    async def close(self) -> None:
        """Stop everything."""
        await self.settle({}, set(), set())
