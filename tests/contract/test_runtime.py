"""Watches, queue and leader election against a real kube-apiserver, and the controller as a process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kaas_lab import processes
from kaas_lab.management import Management

from kaas.kube.client import KubeClient
from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object, Ref, ref_of
from kaas.kube.resources import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, MACHINE, NAMESPACE, Resource
from kaas.runtime import kopf_adapter
from kaas.runtime.index import Index
from kaas.runtime.kopf_adapter import KopfWatches
from kaas.runtime.leader import Election, Leader, LeaseLost
from kaas.runtime.queue import Queue
from kaas.runtime.watches import Feed, Subscription, Watch

T = TypeVar("T")
PATIENCE = 60.0
TOY = Resource("toys.kaas.internal", "v1", "Toy", "toys")


async def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait for a condition; the deadline is for a busy machine."""

    async def answer() -> bool:
        return holds()

    await until_told(what, answer)


async def until_told(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition that somebody has to be asked for."""
    end = time.monotonic() + PATIENCE
    while not await holds():
        assert time.monotonic() < end, f"not in {PATIENCE:.0f} s: {what}"
        await asyncio.sleep(0.02)


def config_map(namespace: str, name: str, **data: str) -> Object:
    meta = {"name": name, "namespace": namespace, "labels": {"watched": namespace}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def own_name(obj: Object) -> list[Hashable]:
    return [obj["metadata"]["name"]]


class Running:
    """Watches of ConfigMaps with one label, a queue behind them, and what was reconciled."""

    def __init__(self, client: KubeClient, namespace: str, *more: Watch, **options: Any) -> None:
        self.index = Index()
        self.seen: list[Hashable] = []
        self.queue: Queue[Hashable] = Queue(self.reconcile)
        watches = [Watch(CONFIG_MAP, own_name, f"watched={namespace}"), *more]
        feed = Feed(self.index, [Subscription(w, self.queue.add) for w in watches])
        self.watches = KopfWatches(client, feed, **options)

    async def reconcile(self, key: Hashable) -> None:
        self.seen.append(key)

    def names(self, resource: Resource = CONFIG_MAP) -> list[str]:
        return [o["metadata"]["name"] for o in self.index.list(resource)]


@asynccontextmanager
async def running(client: KubeClient, namespace: str, *more: Watch, **options: Any) -> AsyncIterator[Running]:
    """Started and synced; stopped and ended afterwards."""
    run = Running(client, namespace, *more, **options)
    tasks = [asyncio.create_task(run.watches.run()), asyncio.create_task(run.queue.run())]
    try:
        async with asyncio.timeout(PATIENCE):
            await run.watches.synced.wait()
        yield run
    finally:
        await run.queue.stop()
        await run.watches.stop()
        await asyncio.gather(*tasks)


async def test_from_watch_to_reconcile(client: KubeClient, namespace: str) -> None:
    for name in ("a", "b"):
        await client.apply(config_map(namespace, name))
    async with running(client, namespace) as run:
        assert run.names() == ["a", "b"]
        await until("both reconciled", lambda: set(run.seen) == {"a", "b"})
        run.seen.clear()
        await client.apply(config_map(namespace, "c", x="1"))
        await until("the new one is reconciled", lambda: run.seen == ["c"])
        await client.apply(config_map(namespace, "a", x="2"))
        await until("the changed one is reconciled", lambda: run.seen == ["c", "a"])
        await client.delete(ref_of(config_map(namespace, "b")))
        await until("the deleted one is reconciled", lambda: run.seen == ["c", "a", "b"])
        assert run.names() == ["a", "c"]
        await client.apply({**config_map(namespace, "other"), "metadata": {"name": "other", "namespace": namespace}})
        await client.apply(config_map(namespace, "last"))
        await until("the last one is reconciled", lambda: "last" in run.seen)
        assert "other" not in run.seen


async def test_watching_writes_nothing(client: KubeClient, namespace: str) -> None:
    before = await client.apply(config_map(namespace, "a"))
    async with running(client, namespace) as run:
        await client.apply(config_map(namespace, "b"))
        await until("both reconciled", lambda: set(run.seen) == {"a", "b"})
        await client.delete(ref_of(config_map(namespace, "b")))
        await until("the deletion is seen", lambda: run.names() == ["a"])
    after = await client.get(ref_of(before))
    assert after == before


async def test_pages_of_a_long_list(client: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kopf_adapter, "PAGE", 3)
    names = [f"n{i:02}" for i in range(10)]
    await asyncio.gather(*(client.apply(config_map(namespace, n)) for n in names))
    async with running(client, namespace) as run:
        assert run.names() == names


async def test_only_the_given_namespaces(client: KubeClient, namespace: str) -> None:
    await client.apply(config_map(namespace, "a"))
    elsewhere = config_map("default", f"elsewhere-{namespace}")
    elsewhere["metadata"]["labels"] = {"watched": namespace}
    await client.apply(elsewhere)
    async with running(client, namespace, Watch(NAMESPACE, lambda _: []), namespaces=[namespace, "kaas-system"]) as run:
        assert run.names() == ["a"]
        assert namespace in run.names(NAMESPACE)
    await client.delete(ref_of(elsewhere))


async def test_a_kind_that_is_not_installed_is_watched_when_it_appears(client: KubeClient, namespace: str) -> None:
    toys = Watch(TOY.at("v9"), own_name)
    machines = Watch(MACHINE, own_name)
    async with running(client, namespace, toys, machines, look_for_missing=0.1) as run:
        crd = await client.apply(toy_crd())
        try:
            await served(client, TOY)
            await client.apply(toy(namespace, "bear"))
            await until("the toy is reconciled, in the version that is served", lambda: "bear" in run.seen)
        finally:
            await client.delete(ref_of(crd))


async def served(client: KubeClient, resource: Resource) -> None:
    async def is_served() -> bool:
        return any(r.kind == resource.kind for r in await client.served(resource.api_version))

    await until_told(f"{resource} is served", is_served)


def toy(namespace: str, name: str) -> Object:
    return {"apiVersion": TOY.api_version, "kind": TOY.kind, "metadata": {"name": name, "namespace": namespace}}


def toy_crd() -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    names = {"kind": TOY.kind, "plural": TOY.plural, "singular": "toy", "listKind": "ToyList"}
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITION.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITION.kind,
        "metadata": {"name": f"{TOY.plural}.{TOY.group}"},
        "spec": {
            "group": TOY.group,
            "names": names,
            "scope": "Namespaced",
            "versions": [{"name": TOY.version, "served": True, "storage": True, "schema": schema}],
        },
    }


async def test_nothing_is_lost_when_the_api_server_dies(
    client: KubeClient, namespace: str, management: Management
) -> None:
    for name in ("stays", "goes"):
        await client.apply(config_map(namespace, name))
    async with running(client, namespace) as run:
        await until("both reconciled", lambda: set(run.seen) == {"stays", "goes"})
        run.seen.clear()
        restart_api_server(management)
        await client.delete(ref_of(config_map(namespace, "goes")))
        await client.apply(config_map(namespace, "comes"))
        await client.apply(config_map(namespace, "stays", changed="1"))
        await until("all three are reconciled", lambda: set(run.seen) == {"stays", "goes", "comes"})
        assert run.names() == ["comes", "stays"]
        await client.apply(config_map(namespace, "later"))
        await until("the watch goes on", lambda: "later" in run.seen)


def restart_api_server(management: Management) -> None:
    """Kill the API server, so that nobody is told, and start it again with the same arguments."""
    state = management.kubeconfig.parent
    pid = next(p for p, name in processes.find(state).items() if name == "kube-apiserver")
    argv = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    processes.stop([pid], patience=0.0)
    log = state / "logs" / "kube-apiserver.log"
    process = processes.spawn(state, "kube-apiserver", argv, log=log)
    processes.wait_until("kube-apiserver", management.api.is_ready, process, log)


def election(name: str, identity: str) -> Election:
    return Election(name=name, identity=identity, duration=2.0, renew=0.5, give_up=1.2, retry=0.2)


class Cable:
    """The way of one controller to the API server."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client
        self.cut = False

    async def get(self, ref: Ref) -> Object | None:
        return await self._through(self.client.get(ref))

    async def create(self, obj: Object) -> Object:
        return await self._through(self.client.create(obj))

    async def replace(self, obj: Object) -> Object:
        return await self._through(self.client.replace(obj))

    async def _through(self, call: Coroutine[Any, Any, T]) -> T:
        if self.cut:
            call.close()
            raise Unavailable("any", "the cable is cut")
        return await call


async def test_fail_over(client: KubeClient) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    cable = Cable(client)
    first, second = Leader(cable, election(name, "first")), Leader(client, election(name, "second"))
    leads = asyncio.create_task(first.run(forever))
    await until("the first leads", first.leading.is_set)
    waits = asyncio.create_task(second.run(forever))
    cable.cut = True
    await until("the second leads", second.leading.is_set)
    with pytest.raises(LeaseLost):
        await leads
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    lease = await client.get(election(name, "").ref)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
    assert lease["spec"]["leaseTransitions"] == 2


async def forever() -> None:
    await asyncio.Event().wait()


CONTROLLER = """
import asyncio, sys
from pathlib import Path
from kaas.kube.resources import CONFIG_MAP
from kaas.runtime import logs
from kaas.runtime.controller import ControllerSettings, Feature, run_controller
from kaas.runtime.leader import Election
from kaas.runtime.watches import Watch

namespace = sys.argv[2]

class Stamp:
    def __init__(self, services):
        self.client = services.client
    async def reconcile(self, key):
        await self.client.apply({"apiVersion": "v1", "kind": "ConfigMap", "data": {"done": "yes"},
                                 "metadata": {"name": key + "-done", "namespace": namespace}})

logs.configure("json")
watch = Watch(CONFIG_MAP, lambda o: [o["metadata"]["name"]], "watched=" + namespace)
feature = Feature("stamp", lambda _: [watch], Stamp)
settings = ControllerSettings(kubeconfig=Path(sys.argv[1]), metrics_port=0, election=Election(name=namespace))
asyncio.run(run_controller(settings, [feature]))
"""


@asynccontextmanager
async def controller(management: Management, namespace: str) -> AsyncIterator[asyncio.subprocess.Process]:
    argv = [sys.executable, "-c", CONTROLLER, str(management.kubeconfig), namespace]
    process = await asyncio.create_subprocess_exec(*argv, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def done(client: KubeClient, namespace: str, name: str) -> None:
    async def is_done() -> bool:
        return await client.get(Ref("v1", "ConfigMap", namespace, f"{name}-done")) is not None

    await until_told(f"{name} is reconciled", is_done)


async def test_controller_works_and_stops_on_a_signal(
    management: Management, client: KubeClient, namespace: str
) -> None:
    await client.apply(config_map(namespace, "a"))
    async with controller(management, namespace) as process:
        await done(client, namespace, "a")
        await client.apply(config_map(namespace, "b"))
        await done(client, namespace, "b")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    lease = await client.get(Election(name=namespace).ref)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""


async def test_a_standby_takes_over_from_a_killed_controller(
    management: Management, client: KubeClient, namespace: str
) -> None:
    await client.apply(config_map(namespace, "a"))
    async with controller(management, namespace) as first:
        await done(client, namespace, "a")
        async with controller(management, namespace):
            first.kill()
            await client.apply(config_map(namespace, "b"))
            await done(client, namespace, "b")
