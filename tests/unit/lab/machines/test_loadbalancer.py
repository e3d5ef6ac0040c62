"""Routes from Octavia's objects, and a forwarder that passes, hangs and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kaas_lab.machines.loadbalancer import Balancer, Objects, Port, Route, routes

BALANCER = {"id": "lb", "name": "k8s-team-a-kubeapi", "vip_port_id": "vip", "vip_network_id": "net"}
LISTENER = {"id": "li", "protocol_port": 6443, "default_pool_id": "pool", "loadbalancers": [{"id": "lb"}]}
MEMBER = {"address": "10.6.0.5", "protocol_port": 6443}
FLOATING = {"port_id": "vip", "floating_ip_address": "127.64.1.7"}
PORT = Port("p1", "net", "10.6.0.5", "127.66.0.1")
PATIENCE = 5.0


def objects(**changes: Any) -> Objects:
    whole: dict[str, Any] = {
        "balancers": [BALANCER],
        "listeners": [LISTENER],
        "members": {"pool": [MEMBER]},
        "floating": [FLOATING],
    }
    return Objects(**{**whole, **changes})


def test_a_listener_forwards_to_the_machine_that_owns_the_members_address() -> None:
    assert routes(objects(), [PORT]) == {
        ("127.64.1.7", 6443): Route("k8s-team-a-kubeapi", (("127.66.0.1", 6443),)),
    }


@pytest.mark.parametrize(
    ("changes", "ports"),
    [
        ({"members": {}}, [PORT]),
        ({"members": {"pool": [{**MEMBER, "admin_state_up": False}]}}, [PORT]),
        ({"members": {"pool": [{**MEMBER, "address": "10.6.0.9"}]}}, [PORT]),
        ({}, []),
        ({}, [Port("p1", "another network", "10.6.0.5", "127.66.0.1")]),
    ],
)
def test_no_machine_behind_it(changes: dict[str, Any], ports: list[Port]) -> None:
    assert routes(objects(**changes), ports) == {("127.64.1.7", 6443): Route("k8s-team-a-kubeapi", ())}


@pytest.mark.parametrize(
    "changes",
    [
        {"floating": []},
        {"floating": [{**FLOATING, "port_id": None}]},
        {"listeners": []},
        {"listeners": [{**LISTENER, "admin_state_up": False}]},
        {"listeners": [{**LISTENER, "loadbalancers": [{"id": "other"}]}]},
        {"balancers": []},
        {"balancers": [{**BALANCER, "admin_state_up": False}]},
    ],
)
def test_nothing_listens(changes: dict[str, Any]) -> None:
    assert routes(objects(**changes), [PORT]) == {}


def test_a_floating_ip_on_the_servers_own_port() -> None:
    found = routes(Objects(floating=[{"port_id": "p1", "floating_ip_address": "127.64.1.9"}]), [PORT])
    assert found == {("127.64.1.9", 6443): Route("10.6.0.5", (("127.66.0.1", 6443),))}


@asynccontextmanager
async def backend(word: bytes) -> AsyncIterator[int]:
    """A server that says a word, then echoes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(word)
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def balancing(free_port: int, *targets: int) -> AsyncIterator[Callable[..., asyncio.Future[None]]]:
    """A balancer with one route; what is yielded settles it again, with faults."""
    balancer = Balancer()
    route = Route("name", tuple(("127.0.0.1", t) for t in targets))

    def settle(hanging: set[str] | None = None, refusing: set[str] | None = None) -> asyncio.Future[None]:
        wanted = {("127.0.0.1", free_port): route}
        return asyncio.ensure_future(balancer.settle(wanted, hanging or set(), refusing or set()))

    await settle()
    try:
        yield settle
    finally:
        await balancer.close()


@pytest.fixture
async def free_port() -> int:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def first_word(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.read(1)
    finally:
        writer.close()


async def test_turns_go_around_and_skip_who_does_not_accept(free_port: int) -> None:
    async with backend(b"a") as one, backend(b"b") as two, balancing(free_port, one, 1, two):
        words = {await first_word(free_port) for _ in range(6)}
    assert words == {b"a", b"b"}


async def test_bytes_pass_both_ways_and_the_end_too(free_port: int) -> None:
    async with backend(b"") as port, balancing(free_port, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", free_port)
        writer.write(b"hello")
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b"hello"
        writer.close()


async def test_no_backend_closes(free_port: int) -> None:
    async with balancing(free_port, 1):
        assert await first_word(free_port) == b""


async def test_a_black_hole_answers_nothing_until_it_is_healed(free_port: int) -> None:
    async with backend(b"a") as port, balancing(free_port, port) as settle:
        await settle(hanging={"name"})
        reader, writer = await asyncio.open_connection("127.0.0.1", free_port)
        answer = asyncio.ensure_future(reader.read(1))
        assert (await asyncio.wait([answer], timeout=0.05))[0] == set()
        await settle()
        async with asyncio.timeout(PATIENCE):
            assert await answer == b"a"
        writer.close()


async def test_refusing_and_healing(free_port: int) -> None:
    async with backend(b"a") as port, balancing(free_port, port) as settle:
        await settle(refusing={"name"})
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", free_port)
        await settle()
        assert await first_word(free_port) == b"a"
