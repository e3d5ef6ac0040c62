"""Replicas of the webhook as real processes, and the Service before them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import psutil

from kaas.admission.certificates import CA_LIFE, LEAF_LIFE, SETTLED, Lives
from kaas.admission.listening import KEPT
from kaas.credentials.server.process import Options, run
from kaas.runtime import logs
from tests import metrics

T = TypeVar("T")

HOST = "127.0.0.1"
PATIENCE = 60.0
LEAVING = 2 * KEPT  # seconds: whoever leaves waits until the API server has closed what it does not use
FAILED = 500  # what the API server answers when it cannot reach a webhook


@dataclass
class Replica:
    """One process. port: TLS; metrics_port: plain. leaving: it was told to end."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log: Path
    leaving: bool = False

    @property
    def memory(self) -> float:
        """Resident set in MB of 10^6 bytes."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def metrics(self) -> metrics.Metrics:
        return metrics.scrape(self.metrics_port)

    def terminate(self) -> None:
        self.leaving = True
        self.process.send_signal(signal.SIGTERM)

    def hurry(self) -> None:
        """After `terminate`: nobody calls it any more. Two of one signal may be one."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()

    async def is_ready(self) -> bool:
        """As the kubelet sees it."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session,
                session.get(f"http://{HOST}:{self.metrics_port}/readyz") as answer,
            ):
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, LEAVING)


def start(kubeconfig: Path, port: int, log: Path, **options: Any) -> Replica:
    """Start a replica, which is ready later. options: of `main` below, which stands for the command when it has any."""
    given = {"kubeconfig": str(kubeconfig), "port": port, "metrics_port": port + 1, **options}
    own = [sys.executable, "-m", "tests.contract.credentials.replica", json.dumps(given)]
    argv = own if options else [*_command(kubeconfig), *(f"{key}={value}" for key, value in _ports(port).items())]
    with log.open("ab") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=os.environ)
    return Replica(process, port, port + 1, log)


async def until(check: Callable[[], Awaitable[T]], what: str = "") -> T:
    """The first true answer of `check`; TimeoutError after a minute."""
    end = time.monotonic() + PATIENCE
    while not (found := await check()):
        if time.monotonic() > end:
            raise TimeoutError(what or check.__name__)
        await asyncio.sleep(0.05)
    return found


def stop(*replicas: Replica, hurry: bool = False) -> None:
    """End replicas, and see that they end well. hurry: they are webhooks that nobody calls any more."""
    living = [replica for replica in replicas if replica.process.poll() is None]
    for replica in living:
        replica.terminate()
        if hurry:
            replica.hurry()
    for replica in living:
        try:
            replica.process.wait(20)
        except subprocess.TimeoutExpired:
            replica.kill()
            replica.process.wait()
            raise


def _command(kubeconfig: Path) -> list[str]:
    """The command as it is installed."""
    shared = [sys.executable, "-m", "kaas", "--kubeconfig", str(kubeconfig), "credential-webhook"]
    return [*shared, f"--host={HOST}", f"--name={HOST}", "--drain=1", "--log-format=json"]


def _ports(port: int) -> dict[str, int]:
    return {"--port": port, "--metrics-port": port + 1}


class Service:
    """A port that leads to the ready ones of some replicas, connection by connection, as a Service does."""

    def __init__(self) -> None:
        self.replicas: list[Replica] = []
        self.endpoints: list[Replica] = []
        self._turn = 0

    def size(self) -> int:
        """How many of its replicas live, and stay."""
        return len(self._staying())

    def _staying(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.process.poll() is None and not replica.leaving]

    async def leads_to_all_that_stay(self) -> bool:
        """Whether it has heard of all that have come."""
        return all(replica in self.endpoints for replica in self._staying())

    async def leads_to_none_that_leaves(self) -> bool:
        """Whether it has heard of all that were told to end."""
        return not any(replica.leaving for replica in self.endpoints)

    async def look(self) -> None:
        """Find the endpoints, again and again."""
        while True:
            self.endpoints = [replica for replica in list(self.replicas) if await replica.is_ready()]
            await asyncio.sleep(0.1)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead one connection to one endpoint; one that nobody takes is closed."""
        endpoints = self.endpoints
        for _ in range(len(endpoints)):
            self._turn += 1
            try:
                remote = await asyncio.open_connection(HOST, endpoints[self._turn % len(endpoints)].port)
            except OSError:
                continue
            await asyncio.gather(_copy(reader, remote[1]), _copy(remote[0], writer))
            return
        writer.close()

    async def serve(self, port: int) -> None:
        """Serve until cancelled."""
        looking = asyncio.create_task(self.look())
        async with await asyncio.start_server(self.connected, HOST, port):
            await looking


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextmanager
def service(port: int) -> Iterator[Service]:
    """A Service at a port, in a thread of its own."""
    found, loop = Service(), asyncio.new_event_loop()
    serving = loop.create_task(found.serve(port))
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.gather(serving, return_exceptions=True)))
    thread.start()
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


def main(given: dict[str, Any]) -> None:
    """Run one replica whose certificates live `leaf` and `ca` seconds."""
    logs.configure("json")
    lives = Lives(
        timedelta(seconds=given.pop("ca", CA_LIFE.total_seconds())),
        timedelta(seconds=given.pop("leaf", LEAF_LIFE.total_seconds())),
        timedelta(seconds=given.pop("settled", SETTLED.total_seconds())),
    )
    kubeconfig = Path(given.pop("kubeconfig"))
    given = {"names": (HOST,), "host": HOST, "drain": 1.0, "poll": 1.0, **given}
    run(Options(kubeconfig=kubeconfig, lives=lives, **given))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
