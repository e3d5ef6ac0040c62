"""One machine: boots, sets itself up once, then keeps a kubelet and static Pods until it is switched off."""

from __future__ import annotations

import asyncio
import logging

from . import cloudinit, cloudprovider, deviceplugin, faults
from .api import ApiError, open_kubeconfig
from .disk import Disk, Record
from .host import Host, Surroundings
from .installation import FAILURES, install
from .kubelet import Kubelet
from .nova import Server

LOG = logging.getLogger(__name__)
FAULT_SECONDS = 0.2
SUPERVISE_SECONDS = 2.0
CLOUD_SECONDS = 1.0


class Machine:
    """A server that exists. `start` and `stop` are its power switch."""

    def __init__(self, around: Surroundings, disk: Disk, record: Record, server: Server) -> None:
        self._around = around
        self._host = Host(around, disk, record, server)
        self._task: asyncio.Task[None] | None = None
        self._running = False

    @property
    def record(self) -> Record:
        """What is known of it now."""
        return self._host.record

    def start(self, *, running: bool = False) -> None:
        """Switch on; `running` when it is on already and only the agent is new."""
        self._running = running
        self._task = asyncio.create_task(self._live(), name=f"machine {self._host.server.name}")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Switch off, hard."""
        await self.detach()
        await asyncio.to_thread(self._around.supervisor.kill_all, self._host.server.id)

    async def detach(self) -> None:
        """Let go without switching off: the agent ends, its machines run on."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._host.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            LOG.error("%s: the machine crashed", self._host.server.name, exc_info=error)

    async def _live(self) -> None:
        host = self._host
        if not self._running:
            await asyncio.sleep(self._around.boot_seconds)
            flavor, image = host.server.flavor.name, host.record.image or "unknown"
            host.say(f"Linux boots on {host.server.name} ({flavor}), image {image}")
        if not host.record.joined and not host.record.failure:
            await self._first_boot()
        if host.record.joined:
            await self._run_kubelet()

    async def _first_boot(self) -> None:
        """cloud-init's one chance. An earlier attempt that the agent's end cut short is undone first."""
        host = self._host
        if faults.blocks_join(self._around.faults, host.server.name):
            self._fail("cloud-init: the network is unreachable (a fault asked for it)")
            return
        await asyncio.to_thread(self._around.supervisor.kill_all, host.server.id)
        host.disk.format(host.record)
        try:
            await install(host)
        except FAILURES as error:
            part = "cloud-init" if isinstance(error, cloudinit.UserDataError) else "kubeadm"
            self._fail(f"{part}: {error}")
            return
        host.update(joined=True)

    def _fail(self, reason: str) -> None:
        self._host.say(f"FAILED {reason}")
        self._host.update(failure=reason)

    async def _run_kubelet(self) -> None:
        """Keep a kubelet while no fault says that it is dead; static Pods run on without it."""
        host = self._host
        if host.record.control_plane:
            await host.start_egress()
            host.start_components()
        host.prepare_kwok()
        while True:
            if host.faults().kubelet_dead:
                await asyncio.to_thread(self._around.supervisor.kill, host.server.id, "kubelet")
                await asyncio.sleep(FAULT_SECONDS)
            else:
                await self._kubelet_life()

    async def _kubelet_life(self) -> None:
        """Until a fault kills it. Raises what the kubelet itself did not expect."""
        kubelet = self._host.kubelet(starting=not self._running)
        tasks = [
            asyncio.create_task(kubelet.run()),
            asyncio.create_task(self._supervise(kubelet)),
            asyncio.create_task(self._await_death()),
            *([asyncio.create_task(self._operate_gpus(kubelet))] if self._host.server.flavor.gpus else []),
        ]
        cloud = asyncio.create_task(self._await_cloud(kubelet))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, cloud):
                task.cancel()
            await asyncio.gather(*tasks, cloud, return_exceptions=True)
        self._running = False

    async def _operate_gpus(self, kubelet: Kubelet) -> None:
        """Ends when the machine has booted again, by itself, for a layout of its GPUs."""
        host = self._host
        manager = host.operate_gpus(kubelet)
        await kubelet.registered.wait()
        await manager.run()
        await asyncio.to_thread(self._around.supervisor.kill_all, host.server.id)
        host.update(own_boots=host.record.own_boots + 1)
        host.say("mig-manager: reboots the machine")
        await asyncio.sleep(self._around.boot_seconds)

    async def _await_death(self) -> None:
        while not self._host.faults().kubelet_dead:  # noqa: ASYNC110 - faults come from files, nobody sets an event
            await asyncio.sleep(FAULT_SECONDS)
        self._host.say("kubelet: killed (a fault asked for it)")

    async def _supervise(self, kubelet: Kubelet) -> None:
        """Static Pods and kwok are started again when they end, as a kubelet and systemd would."""
        while True:
            self._host.start_components()
            if kubelet.registered.is_set():
                self._host.start_kwok()
            await asyncio.sleep(SUPERVISE_SECONDS)

    async def _await_cloud(self, kubelet: Kubelet) -> None:
        """Be the cloud controller manager for this Node, once, with whatever control plane of its cluster runs."""
        await kubelet.registered.wait()
        while not await self._initialise():  # noqa: ASYNC110 - each turn asks an API server
            await asyncio.sleep(CLOUD_SECONDS)

    async def _initialise(self) -> bool:
        host = self._host
        if (administrator := self._around.administrator(host.record.authority)) is None:
            return False
        try:
            async with open_kubeconfig(administrator) as api:
                if await cloudprovider.initialise(api, host.record.node, host.server, self._around.region):
                    host.say("cloud-controller-manager: initialised this node")
                if host.server.flavor.gpus:
                    await deviceplugin.install(api)
            return True
        except ApiError as error:
            LOG.debug("%s: cloud controller manager: %s", host.server.name, error)
            return False
