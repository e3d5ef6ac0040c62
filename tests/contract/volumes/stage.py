"""One namespace with claims, Pods that wait, and loaders whose node the test plays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kaas.cli.volumes_controller import volumes
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.errors import NotFound
from kaas.kube.objects import Object, Ref, condition, ref_of
from kaas.kube.times import stamp
from kaas.loader.report import Reason, Result
from kaas.runtime.clock import SystemClock
from kaas.runtime.controller import Controller, ControllerSettings
from kaas.runtime.metrics import Metrics
from kaas.volumes import terms
from kaas.volumes.populator.terms import SOURCE as DATA_SOURCE
from kaas.volumes.settings import LoadSettings

T = TypeVar("T")
PATIENCE = 90.0
SETTINGS = LoadSettings(image="registry.example.com/kaas:1")
SOURCE = "s3://models/llama/"


async def until(what: str, found: Callable[[], Awaitable[T]], patience: float = PATIENCE) -> T:
    """The first answer that is something."""
    end = time.monotonic() + patience
    while not (answer := await found()):
        assert time.monotonic() < end, f"not in {patience:.0f} s: {what}"
        await asyncio.sleep(0.05)
    return answer


async def until_data_source(client: KubeClient) -> None:
    """DataSource is served, and told of: the API server does the second a moment after the first."""

    async def served() -> bool:
        told = any(kind.kind == DATA_SOURCE.kind for kind in await client.served(DATA_SOURCE.api_version))
        try:
            return told and bool(await client.read(DATA_SOURCE.path()))
        except NotFound:
            return False

    await until("DataSource is served", served)


@dataclass
class Stage:
    """A namespace of the API server."""

    client: KubeClient
    namespace: str

    async def claim(self, name: str = "data", *, bound: bool = True, **spec: Any) -> Object:
        """A claim with annotations; keywords with `load_` are those, the rest is its spec."""
        notes = {terms.PREFIX + k.removeprefix("load_").replace("_", "-"): v for k, v in spec.items() if "load_" in k}
        meta = {"name": name, "namespace": self.namespace, "annotations": notes}
        rest = {k: v for k, v in spec.items() if "load_" not in k}
        wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **rest}
        if bound:
            wanted["volumeName"] = f"pv-{self.namespace}-{name}"
        obj = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": wanted}
        made = await self.client.create(obj)
        return await self.bind(made) if bound else made

    async def bind(self, claim: Object) -> Object:
        """As the volume binder says that its volume is there."""
        status = {"phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": {"storage": "1Gi"}}
        return await self.client.patch(ref_of(claim), {"status": status}, subresource="status")

    async def pod(self, name: str, *claims: str, gate: bool = True, label: bool = True, **spec: Any) -> Object:
        """A Pod that waits, as the webhook leaves it."""
        labels = {terms.WAITING_LABEL: "waiting"} if gate and label else {}
        volumes_ = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
        wanted: Object = {"containers": [{"name": "app", "image": "app"}], "volumes": volumes_, **spec}
        if gate:
            wanted["schedulingGates"] = [*spec.get("schedulingGates", []), {"name": terms.GATE}]
        meta = {"name": name, "namespace": self.namespace, "labels": labels}
        return await self.client.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": wanted})

    async def get(self, kind: str, name: str) -> Object | None:
        """An object of the namespace."""
        version = "batch/v1" if kind == "Job" else "v1"
        return await self.client.get(Ref(version, kind, self.namespace, name))

    async def told(self, name: str = "data") -> tuple[str, str, str] | None:
        """Status, reason and message of a claim's condition."""
        found = condition(await self.get("PersistentVolumeClaim", name) or {}, terms.CONDITION)
        return (found["status"], found["reason"], found.get("message", "")) if found else None

    async def until_told(self, reason: str, name: str = "data", words: str = "") -> str:
        """The message, once the condition has this reason and the words in it."""

        async def says() -> str:
            told = await self.told(name)
            return told[2] if told and told[1] == reason and words in told[2] else ""

        try:
            return await until(f"{name} is {reason} {words}", says)
        except AssertionError as late:
            raise AssertionError(f"{late}; it is {await self.told(name)}") from late

    async def gates(self, pod: str) -> list[str]:
        """Names of a Pod's gates."""
        found = await self.get("Pod", pod)
        return [g["name"] for g in (found or {"spec": {}})["spec"].get("schedulingGates") or ()]

    async def until_free(self, pod: str) -> None:
        """Return when our gate is taken away."""

        async def free() -> bool:
            return terms.GATE not in await self.gates(pod)

        await until(f"{pod} is free", free)

    async def jobs(self) -> list[Object]:
        """Jobs of loads."""
        return await self.client.list(resources.JOB, self.namespace, terms.LOADER_LABEL)

    async def loaders(self, uid: str | None = None) -> list[Object]:
        """Pods of loads, those that have not ended."""
        selector = f"{terms.LOADER_LABEL}={uid}" if uid else terms.LOADER_LABEL
        found = await self.client.list(resources.POD, self.namespace, selector)
        return [p for p in found if p["status"].get("phase") in {None, "Pending", "Running"}]

    async def loader(self, claim: Object) -> Object:
        """The Pod that loads a claim, once it is there."""

        async def one() -> Object | None:
            found = await self.loaders(claim["metadata"]["uid"])
            return found[0] if found else None

        found = await until(f"a loader of {claim['metadata']['name']}", one)
        assert found is not None
        return found

    async def events(self, name: str) -> list[str]:
        """Reasons of Events about an object, in the order of the alphabet."""
        found = await self.client.list(resources.EVENT, self.namespace, field_selector=f"involvedObject.name={name}")
        return sorted(e["reason"] for e in found)

    async def runs(self, pod: Object) -> None:
        """The node begins to run it."""
        await self._status(pod, "Running", {"running": {"startedAt": now()}})

    async def ends(self, pod: Object, result: Result | None, code: int) -> None:
        """The node says how its container has ended."""
        message = {"message": result.text()} if result else {}
        state = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "finishedAt": now(), **message}
        await self._status(pod, "Failed" if code else "Succeeded", {"terminated": {"startedAt": now(), **state}})

    async def loads(self, claim: Object, **said: Any) -> None:
        """A loader does all that it is there for."""
        pod = await self.loader(claim)
        await self.runs(pod)
        await self.ends(pod, Result(Reason.LOADED, "", **{"bytes": 1 << 30, "files": 3, "seconds": 2.0, **said}), 0)

    async def evicted(self, pod: Object) -> None:
        """A node's drain has it end."""
        entry = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        await self.client.patch(ref_of(pod), {"status": {"conditions": [entry]}}, subresource="status")

    async def waits(self, pod: Object, reason: str, message: str) -> None:
        """The node cannot begin."""
        await self._status(pod, "Pending", {"waiting": {"reason": reason, "message": message}})

    async def _status(self, pod: Object, phase: str, state: Object) -> None:
        entry = {"name": "loader", "image": "kaas", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        status = {"phase": phase, "startTime": now(), "containerStatuses": [entry]}
        await self.client.patch(ref_of(pod), {"status": status}, subresource="status")


def now() -> str:
    """The time."""
    return stamp(SystemClock().now())


@dataclass
class Running:
    """A controller that runs, and its figures."""

    metrics: Metrics

    def requests(self) -> dict[tuple[str, str], int]:
        """How often it has asked the API server, by verb and kind."""
        found: dict[tuple[str, str], int] = {}
        for metric in self.metrics.requests.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    key = sample.labels["verb"], sample.labels["kind"]
                    found[key] = found.get(key, 0) + int(sample.value)
        return found


@asynccontextmanager
async def controller(
    kubeconfig: Path, namespaces: tuple[str, ...], settings: LoadSettings = SETTINGS
) -> AsyncIterator[Running]:
    """The controller, in this process; ended behind it as by SIGTERM."""
    running = ControllerSettings(kubeconfig, namespaces=namespaces, leader_election=False, metrics_port=None)
    stop, metrics = asyncio.Event(), Metrics()
    async with await KubeClient.connect(kubeconfig, hook=metrics.request) as client:
        made = Controller(running, [volumes(settings, namespaces)], client, metrics, SystemClock())
        task = asyncio.create_task(made.run(stop))
        try:
            yield Running(metrics)
        finally:
            stop.set()
            await task
