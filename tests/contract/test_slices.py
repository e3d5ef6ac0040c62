"""Boxes whose GPUs the lab plays, on a real kube-apiserver, as updates and repairs see them.

A box is as a kubelet, a device plugin and MIG manager write it: nothing here says for kaas what a Node looks like.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from kaas_lab.machines import migmanager
from kaas_lab.machines.api import Api, open_kubeconfig
from kaas_lab.machines.faults import MigFault, NodeFaults
from kaas_lab.machines.gpus import Gpus
from kaas_lab.machines.kubelet import Kubelet
from kaas_lab.machines.migmanager import MigManager
from kaas_lab.machines.nodeobject import NodeFacts
from kaas_lab.machines.nova import Flavor
from kaas_lab.management import Management

from kaas.api.constants import CONDITION_DRAIN, LABEL_POOL
from kaas.gpu.layouts import CONFIG, STATE, STRATEGY
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, Ref, condition, labels
from kaas.repairs.devices import lacking
from kaas.repairs.nodeview import node_view
from kaas.updates.verify import looking
from kaas.updates.verify.checks import nodes_ready
from kaas.updates.verify.facts import Facts, MachineFacts
from tests.unit.updates.drains.clusters import POOL, World

VERSION = "v1.36.3"
LAYOUT = "all-1g.5gb"
DGX = Flavor("g1.a100x8", 128, 1048576, 1000, gpus=8)
PATIENCE = 120.0


@dataclass
class Box:
    """One machine with GPUs that runs. fault: what becomes of its layout."""

    name: str
    strategy: str
    disk: Path
    fault: MigFault = field(default_factory=MigFault)
    boots: int = 0

    @asynccontextmanager
    async def running(self, api: Api) -> AsyncIterator[None]:
        """From one boot to the next."""
        self.boots += 1
        boot = f"boot-{self.boots}"
        said = {LABEL_POOL: POOL, CONFIG: LAYOUT, STRATEGY: self.strategy}
        facts = NodeFacts(self.name, self.name, "10.0.0.1", VERSION, boot, DGX, said)
        kubelet = Kubelet(
            api, facts, faults=NodeFaults, components=self._no_static_pods, annotations={}, say=print, starting=False
        )
        file = self.disk / f"{self.name}.json"
        gpus = Gpus(DGX.gpus, boot, migmanager.kept(file), asyncio.get_running_loop().time)
        kubelet.devices = gpus.devices
        manager = MigManager(api, self.name, gpus, file, lambda: self.fault, print)
        tasks = [asyncio.create_task(kubelet.run()), asyncio.create_task(self._operate(kubelet, manager))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _operate(self, kubelet: Kubelet, manager: MigManager) -> None:
        await kubelet.registered.wait()
        await manager.run()

    async def _no_static_pods(self) -> dict[str, bool]:
        return {}


class School(World):
    """A management cluster in memory, whose workload cluster is a real API server."""

    connected: KubeClient

    async def client(self, cluster: tuple[str, str]) -> KubeClient:
        return self.connected

    def why(self, name: str) -> str:
        """Words of a Machine's condition."""
        return str((condition(self.machine(name), CONDITION_DRAIN) or {}).get("message"))


async def until(what: str, check: Callable[[], Awaitable[object]]) -> None:
    """Return once it holds; what was seen last is told otherwise."""
    last: object = None
    try:
        async with asyncio.timeout(PATIENCE):
            while not (last := await check()):  # noqa: ASYNC110 - what is awaited sets no event
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{what}: not after {PATIENCE} s; last {last!r}") from None


class Ward:
    """What kaas sees of Nodes."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def node(self, name: str) -> Object:
        return await self._client.get(Ref("v1", "Node", None, name)) or {}

    async def verified(self, name: str) -> str:
        """What the check after an update says against a box; "" when nothing."""
        machine = MachineFacts("m", POOL, DGX.gpus, name, VERSION, LAYOUT, "A100-SXM4-40GB")
        nodes = await looking.nodes(self._client, ())
        found = nodes_ready(Facts(VERSION, (machine,), nodes, {}, (), None, None))
        return "" if found.holds else found.message

    async def lost(self, name: str) -> int:
        """GPUs that a repair finds missing."""
        return lacking(node_view(await self.node(name)), DGX.gpus)[0]

    async def is_whole(self, name: str) -> bool:
        return not await self.verified(name)

    async def remove(self, name: str) -> None:
        await self._client.delete(Ref("v1", "Node", None, name))


@pytest.fixture(params=["mixed", "single"])
def strategy(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


async def test_the_next_box_goes_when_every_slice_of_the_last_one_is_back(
    client: KubeClient, management: Management, tmp_path: Path, strategy: str
) -> None:
    first, second, new = (Box(f"{n}-{uuid.uuid4().hex[:8]}", strategy, tmp_path) for n in ("first", "second", "new"))
    school, ward = School(update={"drainTimeoutSeconds": 60}), Ward(client)
    school.connected = client

    async def said(reason: str) -> bool:
        await school.look(second.name)
        return school.said(second.name) == reason

    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(open_kubeconfig(management.kubeconfig))
        for box in (first, second):
            stack.push_async_callback(ward.remove, box.name)
            await stack.enter_async_context(box.running(api))
            school.box(box.name)
        for box in (first, second):
            await until("all slices are there", partial(ward.is_whole, box.name))
        for box in (first, second):
            school.delete(box.name)
        await school.look(first.name)
        assert (school.is_held(first.name), school.is_held(second.name)) == (False, True)
        school.index.remove(school.machine(first.name))

        stack.push_async_callback(ward.remove, new.name)
        new.fault = MigFault("hangs")
        school.box(new.name, conditions=[])
        async with new.running(api):
            await until("it is being laid out", lambda: said("LayoutMissing"))
            await until("that is told", lambda: _tells(school, second.name, said, "(pending)"))
            assert f"not laid out as {LAYOUT} (pending)" in await ward.verified(new.name)
            new.fault = MigFault("fails")
            await until("it has failed", lambda: said("LayoutFailed"))
            assert f"{new.name} has GPUs that are not laid out as {LAYOUT} (failed)" in school.why(second.name)
            assert f"not laid out as {LAYOUT} (failed)" in await ward.verified(new.name)
        assert school.is_held(second.name)
        new.fault = MigFault()
        async with new.running(api):
            await until("it is laid out after a boot", lambda: said("PodsDone"))
            assert labels(await ward.node(new.name))[STATE] == "success"
            assert (await ward.verified(new.name), await ward.lost(new.name)) == ("", 0)
            assert not school.is_held(second.name)


async def _tells(school: School, name: str, said: Callable[[str], Awaitable[bool]], words: str) -> bool:
    return await said("LayoutMissing") and words in school.why(name)


async def test_after_a_boot_slices_are_missed_although_the_label_says_success(
    client: KubeClient, management: Management, tmp_path: Path, strategy: str
) -> None:
    box, ward = Box(f"box-{uuid.uuid4().hex[:8]}", strategy, tmp_path), Ward(client)
    async with open_kubeconfig(management.kubeconfig) as api, AsyncExitStack() as stack:
        stack.push_async_callback(ward.remove, box.name)
        async with box.running(api):
            await until("all slices are there", lambda: ward.is_whole(box.name))

        async def lost_all() -> bool:
            return labels(await ward.node(box.name))[STATE] == "success" and await ward.lost(box.name) == DGX.gpus

        async with box.running(api):
            await until("none can be had", lost_all)
            assert "offers 0 of 56" in await ward.verified(box.name)
            await until("all are there again", lambda: ward.is_whole(box.name))
            assert await ward.lost(box.name) == 0
