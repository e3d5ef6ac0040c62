"""One Pod on its node: volumes, init containers, containers, their restarts, and its end."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from kaas_lab.machines.api import CONFLICT, NOT_FOUND, ApiError, Object

from . import podstatus, volumes
from .client import Client
from .container import CannotStart, Container
from .making import Files, Making, Refused
from .podstatus import ContainerStatus, Ending
from .times import now
from .volumes import NotReady, Stores

RETRY_SECONDS = 0.5
BACK_OFF = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before a container is started again. A kubelet waits 10 s at first and 5 min at last."""
KEPT_LOG_BYTES, KEPT_LOG_LINES = 2048, 80  # of terminationMessagePolicy FallbackToLogsOnError
OVER = {podstatus.SUCCEEDED, podstatus.FAILED}
DEADLINE = Ending("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
GRACE_SECONDS = 30.0
SETTLE_SECONDS = 5.0
"""For what has ended to be told, before the rest is given up."""


@dataclass(frozen=True)
class Place:
    """What a node gives to its Pods. mount: called until the node may have the Pod's volumes; raises NotReady."""

    node: str
    address: str
    stores: Stores
    making: Making
    mount: Callable[[Object], Awaitable[None]]


@dataclass
class Run:
    """A container of the Pod: its spec, what is told of it, and its process while it runs."""

    spec: Object
    status: ContainerStatus
    process: Container | None = None
    directories: dict[str, Path] = field(default_factory=dict)


class Worker:
    """Keeps one Pod. `updated` is to be called with each version of it, `gone` when it is no longer there."""

    def __init__(self, client: Client, pod: Object, place: Place, pod_address: str) -> None:
        self.pod = pod
        self._client, self._place, self._address = client, place, pod_address
        self._started = now()
        spec = pod["spec"]
        reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self._inits = [_run(c, reason, is_init=True) for c in spec.get("initContainers") or ()]
        self._runs = [_run(c, reason, is_init=False) for c in spec["containers"]]
        self._ending: Ending | None = None
        self._posting = asyncio.Lock()
        self._posted: Object | None = None
        self._is_gone = False
        self._makings: set[asyncio.Task[Container]] = set()
        self._end: asyncio.Task[None] | None = None
        self._life = asyncio.create_task(self._live())
        self.updated(pod)

    @property
    def path(self) -> str:
        """Of the Pod at the API server."""
        metadata = self.pod["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    def runs(self) -> list[Run]:
        """Every container, the init containers first."""
        return [*self._inits, *self._runs]

    def updated(self, pod: Object) -> None:
        """Take notice of the Pod's newest version: of its deletion, above all."""
        self.pod = pod
        metadata = pod["metadata"]
        if "deletionTimestamp" not in metadata:
            return
        if self._end is None:
            grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
            self._end = asyncio.create_task(self._finish(Ending(), grace))
        elif self._end.done():  # it ended for another reason before
            self._end = asyncio.create_task(self._remove())

    def gone(self) -> None:
        """The Pod was removed: whatever runs of it is ended at once."""
        self._is_gone = True
        for run in self.runs():
            if run.process:
                run.process.kill()
        if self._end is None:
            self._end = asyncio.create_task(self._finish(Ending(), 0.0))

    def end(self, ending: Ending, grace: float = GRACE_SECONDS) -> None:
        """End the Pod as a kubelet does by itself, at a deadline or for want of resources."""
        if self._end is None:
            self._end = asyncio.create_task(self._finish(ending, grace))

    async def ended(self) -> None:
        """Return when nothing of the Pod runs, or will; raises what has ended its life if that was a fault of ours."""
        await asyncio.wait([self._life])
        if self._end:
            await self._end
        if not self._life.cancelled():
            self._life.result()

    async def _live(self) -> None:
        if self._end:
            return
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        timer = asyncio.create_task(self._deadline(deadline)) if deadline else None
        try:
            await self._post()
            await self._volumes()
            for run in self._inits:
                if not await self._keep(run):
                    return
            for run in self._runs:
                run.status.state = podstatus.waiting("ContainerCreating")
            await asyncio.gather(*(self._keep(run) for run in self._runs))
        finally:
            if timer:
                timer.cancel()

    async def _deadline(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.end(DEADLINE)

    async def _volumes(self) -> None:
        told = ""
        while True:
            try:
                await self._place.mount(self.pod)
                found = await volumes.prepare(self._client, self.pod, self._place.stores)
            except NotReady as error:
                if str(error) != told:
                    told = str(error)
                    await self._tell(error.reason, told, warning=True)
            except ApiError:
                pass  # away for now
            else:
                for run in self.runs():
                    run.directories = found
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _keep(self, run: Run) -> bool:
        """Run a container as often as its Pod wants; whether it did what it had to."""
        policy = self.pod["spec"].get("restartPolicy", "Always")
        for attempt in itertools.count():
            if self._end:
                break
            code = await self._once(run)
            if code == 0 and (run.status.is_init or policy != "Always"):
                return True
            if policy == "Never" or self._end:
                break
            await self._back_off(run, attempt)
        return False

    async def _back_off(self, run: Run, attempt: int) -> None:
        seconds = BACK_OFF[min(attempt, len(BACK_OFF) - 1)]
        name, metadata = run.status.name, self.pod["metadata"]
        message = (
            f"back-off {seconds:g}s restarting failed container={name} "
            f"pod={metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        )
        run.status.last = run.status.state
        run.status.state = podstatus.waiting("CrashLoopBackOff", message)
        await self._post()
        await asyncio.sleep(seconds)
        run.status.restarts += 1

    async def _once(self, run: Run) -> int:
        """One run of a container to its end; its exit code."""
        started, files = now(), self._files(run)
        try:
            process = await self._start(run, files)
        except CannotStart as error:
            await self._ended(run, 128, started, reason="StartError", message=str(error))
            return 128
        run.status.identity = f"lab://{self.pod['metadata']['uid']}/{run.status.name}/{run.status.restarts}"
        run.status.state = podstatus.running(now())
        telling = asyncio.gather(self._post(), self._tell("Started", f"Started container {run.status.name}"))
        try:
            code = await process.wait()
            await telling
        except asyncio.CancelledError:
            process.kill()
            raise
        run.process = None
        reason = "OOMKilled" if process.was_out_of_memory else ""
        await self._ended(run, code, started, reason=reason, message=_message(run.spec, files, code))
        return code

    async def _start(self, run: Run, files: Files) -> Container:
        """Start a container, whatever it takes: what is missing may come. Raises CannotStart."""
        told = ""
        while True:
            try:
                return await self._make(run, files)
            except Refused as error:
                run.status.state = podstatus.waiting(error.reason, str(error))
                if str(error) != told:
                    told = str(error)
                    await self._tell("Failed", f"Error: {error}", warning=True)
                await self._post()
            except ApiError:
                pass  # away for now
            await asyncio.sleep(RETRY_SECONDS)

    async def _make(self, run: Run, files: Files) -> Container:
        """Start a container whole or not at all: who ends the Pod meanwhile finds its process."""

        async def work() -> Container:
            pod = self._with_addresses()
            run.process = await self._place.making.make(self._client, pod, run.spec, run.directories, files)
            return run.process

        making = asyncio.create_task(work())
        self._makings.add(making)
        making.add_done_callback(self._makings.discard)
        return await asyncio.shield(making)

    def _with_addresses(self) -> Object:
        status = {**self.pod.get("status", {}), "hostIP": self._place.address, "podIP": self._address}
        return {**self.pod, "status": status}

    def _files(self, run: Run) -> Files:
        directory = self._place.stores.pod / "containers" / run.status.name
        return Files(directory, directory / f"{run.status.restarts}.log")

    def log(self, run: Run, *, is_previous: bool = False) -> Path | None:
        """File of the container's newest run, or of the one before; None when there is none."""
        number = run.status.restarts - is_previous
        return self._files(run).log.with_name(f"{number}.log") if number >= 0 else None

    async def _ended(self, run: Run, code: int, started: dt.datetime, *, reason: str, message: str) -> None:
        run.status.state = podstatus.terminated(
            code, started, now(), identity=run.status.identity, message=message, reason=reason
        )
        await self._post()

    async def _finish(self, ending: Ending, grace: float) -> None:
        self._ending = ending
        if self._makings:
            await asyncio.wait(self._makings)
        running = [run.process for run in self.runs() if run.process]
        await asyncio.gather(*(process.stop(grace) for process in running))
        if running and not self._is_gone and not self._life.done():
            await asyncio.wait([self._life], timeout=SETTLE_SECONDS)
        if not self._life.done():
            self._life.cancel()
            await asyncio.wait([self._life])
        await self._post()
        if "deletionTimestamp" in self.pod["metadata"] and not self._is_gone:
            await self._remove()
        if self._is_gone or "deletionTimestamp" in self.pod["metadata"]:
            shutil.rmtree(self._place.stores.pod, ignore_errors=True)

    async def _remove(self) -> None:
        uid = self.pod["metadata"]["uid"]
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        while not self._is_gone:
            try:
                return await self._client.remove(self.path, options)
            except ApiError:
                await asyncio.sleep(RETRY_SECONDS)

    async def _post(self) -> None:
        """Tell the API server how the Pod is, until it has heard it or has no such Pod any more."""
        own: Object = {"metadata": {"uid": self.pod["metadata"]["uid"]}}
        async with self._posting:
            while not self._is_gone and self.pod.get("status", {}).get("phase") not in OVER:
                status = self._status()
                if status == self._posted:
                    return
                try:
                    found = await self._client.patch(f"{self.path}/status", {**own, "status": status})
                except ApiError as error:
                    if error.status in {NOT_FOUND, CONFLICT}:
                        return
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self.pod = {**self.pod, "status": found["status"]}
                    self._posted = self._status()

    def _status(self) -> Object:
        return podstatus.body(
            self.pod,
            [r.status for r in self._runs],
            [r.status for r in self._inits],
            now=now(),
            started=self._started,
            addresses=(self._place.address, self._address),
            ending=None if any(r.status.is_running for r in self.runs()) else self._ending,
        )

    async def _tell(self, reason: str, message: str, *, warning: bool = False) -> None:
        await self._client.event(self.pod, reason, message, source="kubelet", warning=warning)


def _run(container: Object, reason: str, *, is_init: bool) -> Run:
    status = ContainerStatus(container["name"], container["image"], is_init, podstatus.waiting(reason))
    return Run(container, status)


def _message(spec: Object, files: Files, code: int) -> str:
    """What a container said at its end: its file, or its log where its policy allows that."""
    said = files.message.read_bytes() if files.message.exists() else b""
    if not said and code and spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        lines = [line.split(b" ", 2)[-1] for line in files.log.read_bytes().splitlines()[-KEPT_LOG_LINES:]]
        said = b"\n".join(lines)[-KEPT_LOG_BYTES:]
    return said[: podstatus.MESSAGE_BYTES].decode(errors="replace")
