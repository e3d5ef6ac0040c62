"""A webhook server that is stopped: who holds a connection to it loses no request."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from kaas.admission import listening
from kaas.admission.app import Webhook
from kaas.admission.keeper import Keeping
from kaas.admission.metrics import Metrics
from kaas.admission.process import Place, Service, Stop, serve
from tests.unit.admission.api_server import api_server
from tests.unit.admission.store import CONFIGURATION, Store

HOST = "127.0.0.1"
PATIENCE = 30.0
REVIEW = json.dumps({"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": {}}})
REQUEST = f"POST /it HTTP/1.1\r\nHost: it\r\nContent-Length: {len(REVIEW)}\r\n\r\n{REVIEW}".encode()
KEEPING = Keeping("kaas", (HOST,), "tls", "kaas")
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
DRAIN = 0.05
LATE = 100  # calls, which take many times as long as the drain


@dataclass
class Kept:
    """A connection that is kept as an API server keeps it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection(HOST, port, ssl=TLS))

    async def ask(self) -> bytes:
        """The head of the answer to a review."""
        self.writer.write(REQUEST)
        return await self.answered()

    async def answered(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            (length,) = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            await self.reader.readexactly(length)
        return head

    async def ended(self) -> bytes:
        """What came until the other side closed it."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


class Replica:
    """A server that runs in this process. busy: reviews that it has begun; they are answered when `free` is set."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stop = Stop()
        self.busy = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()
        self.task: asyncio.Task[None]

    async def answer(self, _: dict[str, Any]) -> dict[str, Any]:
        self.busy.set()
        await self.free.wait()
        return {"allowed": True}

    async def left(self) -> None:
        """It has ended, and well."""
        async with asyncio.timeout(PATIENCE):
            await self.task


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
async def kubeconfig(tmp_path: Path) -> AsyncIterator[Path]:
    store = Store()
    for path in KEEPING.configurations:
        store.put(path, CONFIGURATION)
    async with api_server(store, tmp_path / "kubeconfig"):
        yield tmp_path / "kubeconfig"


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def started(kubeconfig: Path, drain: float) -> AsyncIterator[Replica]:
    found = Replica(free_port())
    place = Place(kubeconfig=kubeconfig, host=HOST, port=found.port, metrics_port=None, drain=drain)
    service = Service(lambda _: {"/it": Webhook("pods", found.answer)}, Metrics("kaas_test", ("pods",)), KEEPING)
    found.task = asyncio.create_task(serve(place, service, found.stop))
    try:
        await until_certified(found)
        yield found
    finally:
        found.task.cancel()
        await asyncio.gather(found.task, return_exceptions=True)


async def until_certified(replica: Replica) -> None:
    async with asyncio.timeout(PATIENCE):
        while not replica.task.done():
            try:
                await (await Kept.to(replica.port)).close()
            except OSError:
                await asyncio.sleep(0.01)
            else:
                return
    await replica.task


@pytest.fixture
async def replica(kubeconfig: Path) -> AsyncIterator[Replica]:
    async with started(kubeconfig, DRAIN) as found:
        yield found


async def drained(replica: Replica, log: pytest.LogCaptureFixture) -> None:
    """The drain is over."""
    async with asyncio.timeout(PATIENCE):
        while "connections are left to who holds them" not in log.text:
            assert not replica.task.done()
            await asyncio.sleep(0.01)


async def test_a_request_on_a_kept_connection_is_answered_long_after_the_drain(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """Its API server cannot know that the replica leaves: nothing but an answer can say so."""
    kept = await Kept.to(replica.port)
    assert b"Connection: close" not in await kept.ask()
    replica.stop.ask()
    await drained(replica, caplog)
    assert b"Connection: close" in await kept.ask()
    assert await kept.ended() == b""
    await replica.left()


async def test_a_connection_that_was_never_used_is_served_too(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """API servers make more of them than they need at once, and keep them for later."""
    kept = await Kept.to(replica.port)
    replica.stop.ask()
    await drained(replica, caplog)
    assert (await kept.ask()).startswith(b"HTTP/1.1 200")
    await replica.left()


async def test_who_connects_while_somebody_is_connected_is_served(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever leads there has not heard yet that the replica leaves."""
    kept = await Kept.to(replica.port)
    replica.stop.ask()
    await drained(replica, caplog)
    assert b"Connection: close" in await (await Kept.to(replica.port)).ask()
    await kept.close()
    await replica.left()


async def test_a_service_that_hears_of_it_late_loses_nothing(replica: Replica) -> None:
    """It leads there long after the drain, and each of its callers connects anew."""
    replica.stop.ask()

    async def call() -> None:
        for _ in range(LATE):
            assert (await (await Kept.to(replica.port)).ask()).startswith(b"HTTP/1.1 200")

    async with asyncio.timeout(2 * PATIENCE), asyncio.TaskGroup() as callers:
        for _ in range(8):
            callers.create_task(call())
    await replica.left()


async def test_an_answer_that_takes_longer_than_the_drain_is_given(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    replica.free.clear()
    kept = await Kept.to(replica.port)
    asking = asyncio.create_task(kept.ask())
    await replica.busy.wait()
    replica.stop.ask()
    await drained(replica, caplog)
    replica.free.set()
    assert b"Connection: close" in await asking
    await replica.left()


async def test_it_ends_when_its_callers_have_closed_their_connections(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    kept = await Kept.to(replica.port)
    await kept.ask()
    replica.stop.ask()
    await drained(replica, caplog)
    await kept.close()
    await replica.left()


async def test_connections_that_nobody_closes_hold_it_no_longer_than_they_are_kept(
    replica: Replica, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "KEPT", 0.2)
    kept = await Kept.to(replica.port)
    await kept.ask()
    replica.stop.ask()
    await replica.left()
    assert await kept.ended() == b""
    assert "1 unused connections are closed" in caplog.text


async def test_who_asks_twice_does_not_wait_for_unused_connections(kubeconfig: Path) -> None:
    async with started(kubeconfig, drain=3600.0) as replica:
        kept = await Kept.to(replica.port)
        await kept.ask()
        replica.stop.ask()
        replica.stop.ask()
        await replica.left()
        assert await kept.ended() == b""


async def test_who_asks_twice_still_waits_for_answers_under_way(kubeconfig: Path) -> None:
    async with started(kubeconfig, drain=3600.0) as replica:
        replica.free.clear()
        kept = await Kept.to(replica.port)
        asking = asyncio.create_task(kept.ask())
        await replica.busy.wait()
        replica.stop.ask()
        replica.stop.ask()
        await asyncio.sleep(0)
        replica.free.set()
        assert (await asking).startswith(b"HTTP/1.1 200")
        await replica.left()
