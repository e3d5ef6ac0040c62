"""Processes of machines: started once, adopted, ended; and the proxy through which an API server reaches nodes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kaas_lab import processes
from kaas_lab.machines.controlplane import EGRESS_SOCKET
from kaas_lab.machines.egress import Egress
from kaas_lab.machines.supervisor import Supervisor

SLEEP = ("sleep", "600")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    processes.stop_all(tmp_path)


def start(supervisor: Supervisor, state: Path, server: str, component: str) -> None:
    supervisor.ensure(server, component, SLEEP, log=state / f"{component}.log", cwd=state, env={})


def test_a_process_is_started_once(state: Path) -> None:
    supervisor = Supervisor(state, "lab")
    start(supervisor, state, "s1", "etcd")
    before = processes.find(state)
    start(supervisor, state, "s1", "etcd")
    assert processes.find(state) == before
    assert supervisor.is_alive("s1", "etcd")
    assert not supervisor.is_alive("s1", "kube-apiserver")


def test_a_process_that_was_started_is_found(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment can be read a moment after its exec only."""
    environment = processes.environment
    early: list[dict[str, str]] = [{}, {}, {}]
    monkeypatch.setattr(processes, "environment", lambda pid: early.pop() if early else environment(pid))
    process = processes.spawn(state, "it", SLEEP, log=state / "log")
    assert not early
    assert processes.find(state) == {process.pid: "it"}


def test_it_is_started_again_when_it_has_ended(state: Path) -> None:
    supervisor = Supervisor(state, "lab")
    start(supervisor, state, "s1", "etcd")
    (pid,) = processes.find(state)
    processes.stop([pid])
    assert not supervisor.is_alive("s1", "etcd")
    start(supervisor, state, "s1", "etcd")
    assert pid not in processes.find(state)
    assert supervisor.is_alive("s1", "etcd")


def test_another_supervisor_adopts_and_ends(state: Path) -> None:
    start(Supervisor(state, "lab"), state, "s1", "etcd")
    later = Supervisor(state, "lab")
    assert later.servers() == {"s1"}
    assert later.is_alive("s1", "etcd")
    later.kill_all("s1")
    assert not later.is_alive("s1", "etcd")
    assert later.components("s1") == []


def test_machines_and_sites_are_apart(state: Path) -> None:
    supervisor = Supervisor(state, "lab")
    start(supervisor, state, "s1", "etcd")
    start(supervisor, state, "s2", "etcd")
    start(Supervisor(state, "lab-2"), state, "s1", "etcd")
    Supervisor(state, "lab").kill_all("s1")
    assert sorted(processes.find(state).values()) == ["machine/lab-2/s1/etcd", "machine/lab/s2/etcd"]


async def ask(directory: Path, target: str) -> tuple[bytes, bytes]:
    """First line of the proxy's answer to CONNECT, and what the far side says."""
    descriptor = os.open(directory, os.O_RDONLY)
    reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{descriptor}/{EGRESS_SOCKET}")
    os.close(descriptor)
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    try:
        async with asyncio.timeout(5):
            line = await reader.readline()
            await reader.readuntil(b"\r\n")
            return line, await reader.read(5)
    finally:
        writer.close()


async def test_the_proxy_knows_who_owns_an_address(tmp_path: Path) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()

    deep = tmp_path / ("a-directory-whose-name-is-long" * 4)  # a socket's own path may not exceed 107 bytes
    deep.mkdir()
    node = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = node.sockets[0].getsockname()[1]
    egress = Egress(deep, {"10.6.0.5": "127.0.0.1"}.get)
    await egress.start()
    try:
        assert await ask(deep, f"10.6.0.5:{port}") == (b"HTTP/1.1 200 OK\r\n", b"hello")
        line, _ = await ask(deep, f"10.6.0.9:{port}")
        assert line.startswith(b"HTTP/1.1 502 ")
    finally:
        egress.stop()
        node.close()
