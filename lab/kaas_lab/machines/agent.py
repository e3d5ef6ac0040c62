"""The agent of one site: watches the cloud and the faults, and moves machines and load balancers after them."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaas_lab.layout import Layout
from kaas_lab.openstack.faults import dark_hosts
from kaas_lab.programs import binary

from . import decisions, faults, loadbalancer, nodelifecycle
from .decisions import Action
from .disk import Disk, Record
from .host import SUPER_ADMIN, Surroundings
from .loadbalancer import Balancer, Objects
from .machine import Machine
from .nova import Cloud, CloudError, Port, Restart, Server
from .supervisor import Supervisor

LOG = logging.getLogger(__name__)
SERVER_POLL_SECONDS = 1.0
NETWORK_POLL_SECONDS = 1.5
QUIET_NETWORK_POLL_SECONDS = 4.0
QUIET_AFTER_SECONDS = 30.0  # since a server or a load balancer changed
FAULT_POLL_SECONDS = 0.5
ADDRESSES = 250 * 254


@dataclass(frozen=True)
class Settings:
    """Who the agent is. boot_seconds: from power-on to cloud-init."""

    layout: Layout
    site: str
    index: int
    boot_seconds: float = 1.0

    @property
    def state(self) -> Path:
        """Directory of the site."""
        return self.layout.site_state(self.site)


class Agent:
    """Runs until stopped; its machines run on without it."""

    def __init__(self, settings: Settings, cloud: Cloud) -> None:
        self._settings, self._cloud = settings, cloud
        self._servers: dict[str, Server] = {}
        self._seen: dict[str, tuple[str, str, Any]] = {}
        self._retry: dict[str, Mapping[str, Any]] = {}
        self._ports: dict[str, list[Port]] = {}
        self._machines: dict[str, Machine] = {}
        self._records: dict[str, Record] = {}
        self._last_poll: dt.datetime | None = None
        self._dark: frozenset[str] = frozenset()
        self._looked = asyncio.Event()
        self._moved = time.monotonic()
        self._network = NetworkView(cloud)
        self._balancer = Balancer()
        self._around = Surroundings(
            state=settings.state,
            supervisor=Supervisor(settings.layout.state, settings.site),
            binary=binary,
            consoles=settings.state / "consoles",
            boot_seconds=settings.boot_seconds,
            region=cloud.region,
            administrator=self._administrator,
            resolve=self._resolve,
        )

    async def run(self) -> None:
        """Adopt what runs already, then follow the cloud until cancelled."""
        self._load()
        self._around.faults[:] = faults.load(self._settings.state)
        self._dark = dark_hosts(self._settings.state)
        loops = [
            self._repeat("servers", lambda: SERVER_POLL_SECONDS, self._follow_servers),
            self._repeat("network", self._network_seconds, self._follow_network),
            self._repeat("faults", lambda: FAULT_POLL_SECONDS, self._follow_faults),
            self._repeat("nodes", lambda: nodelifecycle.PERIOD_SECONDS, self._follow_nodes),
        ]
        try:
            await asyncio.gather(*loops)
        finally:
            await self._balancer.close()
            await asyncio.gather(*(m.detach() for m in self._machines.values()))

    async def _repeat(self, what: str, period: Callable[[], float], step: Callable[[], Awaitable[None]]) -> None:
        """Do it again and again; a cloud that does not answer is told once and tried again."""
        told = ""
        while True:
            started = time.monotonic()
            try:
                await step()
                told = ""
            except CloudError as error:
                if str(error) != told:
                    told = str(error)
                    LOG.warning("%s: %s", what, error)
            seconds = period()
            await asyncio.sleep(max(seconds - (time.monotonic() - started), seconds / 4))

    # -- servers ---------------------------------------------------------------------------------------------------

    async def _follow_servers(self) -> None:
        now = dt.datetime.now(dt.UTC)
        listed = await asyncio.to_thread(self._cloud.changed_servers, decisions.since(self._last_poll))
        if listed:
            self._moved = time.monotonic()
        for raw in {**self._retry, **{raw["id"]: raw for raw in listed}}.values():
            await self._look_at(raw, now)
        if self._last_poll is None:
            await self._adopt()
            self._looked.set()
        self._last_poll = now
        known = {key: record for key, record in self._records.items() if key not in self._retry}
        for key, action in decisions.decide(self._servers, known, self._dark).items():
            await self._try(action, key)

    async def _look_at(self, raw: Mapping[str, Any], now: dt.datetime) -> None:
        """Take note of a server; one that cannot be asked about now is asked about again with the next poll."""
        key = raw["id"]
        self._retry.pop(key, None)
        if decisions.is_gone(raw):
            self._servers.pop(key, None)
            self._seen.pop(key, None)
        elif decisions.needs_look(raw, self._seen.get(key), now):
            try:
                self._servers[key] = await asyncio.to_thread(self._cloud.server, raw)
                self._seen[key] = decisions.fingerprint(raw)
            except CloudError as error:
                LOG.warning("%s: %s", key, error)
                self._retry[key] = raw

    async def _try(self, action: Action, key: str) -> None:
        """Do it, or leave everything as it is when the cloud does not answer: the next poll decides the same."""
        LOG.info("%s: %s", key, action.value)
        try:
            await self._do(action, key)
        except CloudError as error:
            LOG.warning("%s: %s", key, error)

    async def _do(self, action: Action, key: str) -> None:
        if action is Action.DESTROY:
            await self._destroy(key)
            return
        server = self._servers[key]
        fresh = await self._fresh_record(server) if action is Action.INSTALL else None
        restart = decisions.restarted(server, self._records.get(key))
        if key in self._machines:
            await self._machines.pop(key).stop()
        if action is Action.HALT:
            self._save(key, running=False)
            return
        if fresh:
            self._disk(key).format(fresh)
            self._records[key] = fresh
        self._save(key, running=True, booted=server.booted, own_boots=0)
        self._end_faults(server, restart)
        self._power_on(server)

    def _end_faults(self, server: Server, restart: Restart) -> None:
        """What a restart of this kind heals, is healed before the machine boots."""
        names = (self._records[server.id].node, server.name, server.id)
        ended = faults.end_by(self._settings.state, restart, *names)
        for fault in ended:
            LOG.info("%s: %s heals %s", server.name, restart.name, fault.kind)
        if ended:
            self._around.faults[:] = faults.load(self._settings.state)

    async def _fresh_record(self, server: Server) -> Record:
        """What a server with a new disk starts from; one that is rebuilt keeps its address. Raises CloudError."""
        image = await asyncio.to_thread(self._cloud.image, server)
        self._ports[server.id] = await asyncio.to_thread(self._cloud.ports, server.id)
        before = self._records.get(server.id)
        address = before.address if before else self._next_address()
        return Record(server.id, server.name, address, server.installed, image=image.name, version=image.version)

    def _power_on(self, server: Server, *, running: bool = False) -> None:
        machine = Machine(self._around, self._disk(server.id), self._records[server.id], server)
        self._machines[server.id] = machine
        machine.start(running=running)

    async def _destroy(self, key: str) -> None:
        if key in self._machines:
            await self._machines.pop(key).stop()
        await asyncio.to_thread(self._around.supervisor.kill_all, key)
        await asyncio.to_thread(self._disk(key).erase)
        self._records.pop(key, None)
        self._ports.pop(key, None)

    def _save(self, key: str, **changes: Any) -> None:
        """Change a record on disk; a machine may have written it since, so its file counts."""
        disk = self._disk(key)
        self._records[key] = disk.update(disk.load() or self._records[key], **changes)

    def _load(self) -> None:
        for directory in sorted((self._settings.state / "machines").glob("*/")):
            record = Disk(directory).load()
            if record:
                self._records[record.server] = record

    async def _adopt(self) -> None:
        """Take up machines that ran under an agent before this one and need nothing done to them."""
        pending = decisions.decide(self._servers, self._records, self._dark)
        for key, record in list(self._records.items()):
            if key in self._servers:
                self._ports[key] = await asyncio.to_thread(self._cloud.ports, key)
                if record.running and key not in pending:
                    self._power_on(self._servers[key], running=True)

    def _disk(self, key: str) -> Disk:
        return Disk(self._settings.state / "machines" / key)

    def _next_address(self) -> str:
        """An address that no machine of this site ever had: etcd remembers its peers by it."""
        counter = self._settings.state / "machines" / "next"
        number = int(counter.read_text()) if counter.exists() else 0
        counter.parent.mkdir(parents=True, exist_ok=True)
        counter.write_text(str((number + 1) % ADDRESSES))
        network = self._settings.layout.machine_network(self._settings.index)
        return f"{network}.{number // 254}.{number % 254 + 1}"

    async def _follow_nodes(self) -> None:
        """Take out Nodes whose servers are gone, in every cluster that has a control plane."""
        await self._looked.wait()
        planes = [m.record for m in self._machines.values() if m.record.control_plane and m.record.joined]
        found = [self._administrator(authority) for authority in {record.authority for record in planes}]
        servers = [(s.id, s.name) for s in self._servers.values()]
        await nodelifecycle.follow([administrator for administrator in found if administrator], servers)

    # -- what machines ask for -------------------------------------------------------------------------------------

    def _administrator(self, authority: str) -> Path | None:
        """Kubeconfig of an administrator at some control-plane machine of a cluster that runs."""
        for key, machine in self._machines.items():
            record = machine.record
            if record.control_plane and record.joined and record.authority == authority:
                return self._disk(key).path(SUPER_ADMIN)
        return None

    def _resolve(self, asking: str, address: str) -> str | None:
        """Loopback address of the machine that owns an address in the asking machine's network."""
        networks = {p.network for p in self._ports.get(asking, [])}
        for key, ports in self._ports.items():
            if key in self._records and any(p.network in networks and p.fixed_ip == address for p in ports):
                return self._records[key].address
        return None

    # -- network and faults ----------------------------------------------------------------------------------------

    def _network_seconds(self) -> float:
        """Neutron and Octavia are asked less often while nothing moves: their answers cost them more than us."""
        quiet = time.monotonic() - self._moved > QUIET_AFTER_SECONDS
        return QUIET_NETWORK_POLL_SECONDS if quiet else NETWORK_POLL_SECONDS

    async def _follow_network(self) -> None:
        await self._looked.wait()  # machines of an agent before this one are behind the load balancers again
        if await asyncio.to_thread(self._network.refresh):
            self._moved = time.monotonic()
        await self._settle_network()

    async def _settle_network(self) -> None:
        ports = [
            loadbalancer.Port(p.id, p.network, p.fixed_ip, self._records[key].address)
            for key, listed in self._ports.items()
            if key in self._records
            for p in listed
        ]
        wanted = loadbalancer.routes(self._network.objects, ports)
        await self._balancer.settle(wanted, self._broken(wanted, "hang"), self._broken(wanted, "refuse"))

    def _broken(self, wanted: Mapping[loadbalancer.Listen, loadbalancer.Route], mode: faults.ApiMode) -> set[str]:
        """Names of the routes that lead to a broken cluster's end point."""
        clusters = faults.broken_clusters(self._around.faults, mode)
        endpoints = {
            m.record.endpoint.rpartition(":")[0] for m in self._machines.values() if m.record.cluster in clusters
        }
        return {route.name for (address, _), route in wanted.items() if address in endpoints}

    async def _follow_faults(self) -> None:
        self._dark = dark_hosts(self._settings.state)
        await self._looked.wait()
        found = faults.load(self._settings.state)
        if found == self._around.faults:
            return
        self._around.faults[:] = found
        await self._settle_network()


class NetworkView:
    """Octavia's and Neutron's objects, asked for in full only when a load balancer has changed. Blocking."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._stamp: object = None
        self.objects = Objects()

    def refresh(self) -> bool:
        """Look again; whether a load balancer has changed. Raises CloudError."""
        balancers = self._cloud.balancing("loadbalancers")
        floating = self._cloud.floating_ips()
        stamp = sorted((b["id"], str(b.get("updated_at")), b["provisioning_status"]) for b in balancers)
        if stamp == self._stamp:
            self.objects = Objects(
                balancers, self.objects.listeners, self.objects.pools, self.objects.members, floating
            )
            return False
        listeners, pools = self._cloud.balancing("listeners"), self._cloud.balancing("pools")
        members = {p["id"]: self._cloud.members(p["id"]) for p in pools}
        self.objects = Objects(balancers, listeners, pools, members, floating)
        pending = any(b["provisioning_status"].startswith("PENDING") for b in balancers)
        self._stamp = None if pending else stamp
        return True


async def serve(settings: Settings) -> None:
    """Run an agent until SIGTERM or SIGINT."""
    cloud = await asyncio.to_thread(Cloud, settings.state / "clouds.yaml")
    task = asyncio.create_task(Agent(settings, cloud).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        LOG.info("the agent ends; its machines run on")
