"""Many clusters watched at once, against API servers that misbehave on order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from kaas.kube import workloads as module
from kaas.kube.client import Limits
from kaas.kube.errors import Forbidden, NotFound, Unavailable
from kaas.kube.resources import NODE
from kaas.kube.workloads import ClusterKey, Patience, Workloads
from tests.unit.kube.node_server import NodeServer, kubeconfig, serving
from tests.unit.web_server import refusal

ONE, TWO = ("team-a", "one"), ("team-a", "two")
NODES_PATH = "/api/v1/nodes"


class Impatient:
    """Real time, but nobody sleeps for long; what was wanted is remembered."""

    def __init__(self) -> None:
        self.naps: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        await asyncio.sleep(0.001)


def labels_of(node: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = node["metadata"]["labels"]
    return found


class Fleet:
    """Workloads, the kubeconfigs they read, and what they said."""

    def __init__(self, **options: Any) -> None:
        self.kubeconfigs: dict[ClusterKey, bytes] = {}
        self.reads = 0
        self.changes: list[tuple[ClusterKey, frozenset[str] | None]] = []
        self.clock = Impatient()
        self.workloads: Workloads[dict[str, str]] = Workloads(
            self.read,
            labels_of,
            lambda cluster, names: self.changes.append((cluster, names)),
            self.clock,
            limits=Limits(connect=1.0, request=5.0, attempts=1),
            **options,
        )

    async def read(self, cluster: ClusterKey) -> bytes | None:
        self.reads += 1
        return self.kubeconfigs.get(cluster)

    def names(self, cluster: ClusterKey = ONE) -> list[str]:
        return sorted(self.workloads.nodes(cluster))

    def clear(self, cluster: ClusterKey = ONE) -> bool:
        return self.workloads.sight(cluster).clear


@pytest.fixture
async def server() -> AsyncIterator[NodeServer]:
    async with serving() as fake:
        fake.put("a")
        yield fake


@pytest.fixture
async def fleet(server: NodeServer) -> AsyncIterator[Fleet]:
    made = Fleet(patience=Patience(silence=30.0))
    made.kubeconfigs[ONE] = kubeconfig(server.url)
    yield made
    await made.workloads.close()


async def until(what: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, f"not in 30 s: {what}"
        await asyncio.sleep(0.002)


async def watching(fleet: Fleet, server: NodeServer) -> None:
    fleet.workloads.follow(ONE)
    await until("watched", lambda: server.open == 1)


async def test_list_then_events(fleet: Fleet, server: NodeServer) -> None:
    assert fleet.workloads.sight(ONE).problem == "it is not followed"
    fleet.workloads.follow(ONE)
    assert fleet.workloads.sight(ONE).problem == "it has not been seen yet"
    await watching(fleet, server)
    fleet.workloads.follow(ONE)
    assert fleet.clear()
    assert fleet.changes == [(ONE, None)]
    query = dict(server.watches[0].query)
    assert 240 <= int(query.pop("timeoutSeconds")) <= 360
    assert query == {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": "11"}
    await server.say("ADDED", server.put("b"))
    await server.say("MODIFIED", server.put("a", sick="yes"))
    await server.say("MODIFIED", server.put("a", sick="yes"))
    await server.say("DELETED", server.put("b"))
    await until("the last event came", lambda: len(fleet.changes) == 4)
    assert fleet.workloads.nodes(ONE) == {"a": {"sick": "yes"}}
    assert fleet.changes[1:] == [(ONE, frozenset({n})) for n in ("b", "a", "b")]
    assert len(server.lists) == 1


async def test_a_watch_goes_on_behind_the_last_bookmark(fleet: Fleet, server: NodeServer) -> None:
    await watching(fleet, server)
    await server.bookmark()
    await server.end()
    await until("watched again", lambda: server.open == 1)
    assert server.watches[-1].query["resourceVersion"] == "12"
    assert len(server.lists) == 1
    assert fleet.changes == [(ONE, None)]


async def test_a_long_list_is_read_in_pages(fleet: Fleet, server: NodeServer) -> None:
    for number in range(250):
        server.put(f"n{number:03}")
    await watching(fleet, server)
    assert len(fleet.names()) == 251
    assert [r.query.get("continue") for r in server.lists] == [None, *(str(n) for n in range(50, 251, 50))]


async def test_an_expired_version_is_listed_anew(fleet: Fleet, server: NodeServer) -> None:
    await watching(fleet, server)
    server.nodes.clear()
    server.put("c")
    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
    await server.say("ERROR", gone)
    await until("what is gone is gone", lambda: fleet.names() == ["c"])
    await until("watched again", lambda: len(server.watches) == 2 and server.open == 1)
    assert fleet.clear()
    server.watch_fault = lambda _: refusal(410, "Expired")
    lists = len(server.lists)
    await server.end()
    await until("listed again", lambda: len(server.lists) > lists + 3)
    server.watch_fault = None
    await until("watched again", lambda: server.open == 1)
    assert fleet.clear()
    assert max(fleet.clock.naps) > 4.0, "a server that has nothing but expired versions is not hurried"


async def test_a_watch_cut_off_is_not_blindness(fleet: Fleet, server: NodeServer) -> None:
    await watching(fleet, server)
    server.reset()
    await until("asked, and watched again", lambda: server.open == 1)
    assert server.lists[-1].query["limit"] == "1"
    assert fleet.clear()
    assert fleet.changes == [(ONE, None)]


async def test_silence_is_asked_about(server: NodeServer) -> None:
    fleet = Fleet(patience=Patience(silence=0.05, probe=5.0))
    fleet.kubeconfigs[ONE] = kubeconfig(server.url)
    fleet.workloads.follow(ONE)
    await until("asked and watched three times", lambda: len(server.watches) > 3)
    assert [r.query["limit"] for r in server.lists][:3] == ["50", "1", "1"]
    assert fleet.clear()
    assert fleet.changes == [(ONE, None)]
    await fleet.workloads.close()


async def test_a_black_hole_is_blindness_and_ends(server: NodeServer) -> None:
    fleet = Fleet(patience=Patience(silence=0.1, probe=0.1, page=0.3))
    fleet.kubeconfigs[ONE] = kubeconfig(server.url)
    await watching(fleet, server)
    first = fleet.workloads.sight(ONE)
    server.stall()
    await until("out of sight", lambda: not fleet.clear())
    lost = fleet.workloads.sight(ONE)
    assert lost.problem == "no answer in time"
    assert lost.since > first.since
    assert fleet.names() == ["a"], "what was known last is kept"
    assert fleet.changes == [(ONE, None), (ONE, None)]
    asked = len(server.lists)
    await until("asked again and again", lambda: len(server.lists) > asked + 2)
    assert fleet.workloads.sight(ONE).since == lost.since
    server.put("b")
    server.resume()
    await until("seen again", fleet.clear)
    assert fleet.names() == ["a", "b"]
    await fleet.workloads.close()


async def test_one_failure_is_chance(fleet: Fleet, server: NodeServer) -> None:
    await watching(fleet, server)
    failures = iter([refusal(500, "InternalError")])
    seen: list[bool] = []

    def once(_: web.Request) -> web.Response:
        seen.append(fleet.clear())
        server.list_fault = None
        return next(failures)

    server.list_fault = once
    server.reset()
    await until("watched again", lambda: server.open == 1)
    assert seen == [True]
    assert fleet.changes == [(ONE, None)]


@pytest.mark.parametrize("text", ["<html>hello</html>", "[]", "{}", '{"items": [], "metadata": 7}'])
async def test_something_else_answers(fleet: Fleet, server: NodeServer, text: str) -> None:
    server.list_fault = lambda _: web.Response(text=text)
    fleet.workloads.follow(ONE)
    await until("asked again", lambda: len(server.lists) > 2)
    assert not fleet.clear()
    assert "the answer is" in fleet.workloads.sight(ONE).problem
    server.list_fault = None
    await until("seen", fleet.clear)


@pytest.mark.parametrize("line", [b"<html>\n", b"[]\n", b'{"type": "ADDED"}\n', b'{"type": "ADDED", "object": {}}\n'])
async def test_a_watch_that_talks_nonsense(fleet: Fleet, server: NodeServer, line: bytes) -> None:
    await watching(fleet, server)
    server.put("b")
    await server.write(line)
    await until("listed anew", lambda: fleet.names() == ["a", "b"])
    assert fleet.clear()


async def test_a_node_that_cannot_be_read_hides_no_other(fleet: Fleet, server: NodeServer) -> None:
    del server.put("b")["metadata"]["labels"]
    await watching(fleet, server)
    assert fleet.names() == ["a"]
    broken = server.put("c")
    del broken["metadata"]["labels"]
    await server.say("ADDED", broken)
    await server.say("ADDED", server.put("d"))
    await until("the next event came", lambda: fleet.names() == ["a", "d"])
    assert len(server.lists) == 1


async def test_rotated_credentials_are_read_again(fleet: Fleet, server: NodeServer) -> None:
    await watching(fleet, server)
    before = await fleet.workloads.client(ONE)
    assert fleet.reads == 1
    server.token = "second"
    fleet.kubeconfigs[ONE] = kubeconfig(server.url, "second")
    assert await fleet.workloads.look(ONE, "a") == {}
    assert fleet.reads == 2
    assert await fleet.workloads.client(ONE) is not before
    server.token = "third"
    fleet.kubeconfigs[ONE] = kubeconfig(server.url, "third")
    await server.end()
    await until("the watch is known again", lambda: server.open == 1)


async def test_a_changed_secret_is_used_at_the_next_call(fleet: Fleet, server: NodeServer) -> None:
    client = await fleet.workloads.client(ONE)
    fleet.workloads.kubeconfig_changed(ONE)
    assert await fleet.workloads.client(ONE) is client, "it was written, but is the same"
    fleet.kubeconfigs[ONE] = kubeconfig(server.url + "/")
    assert await fleet.workloads.client(ONE) is client
    fleet.workloads.kubeconfig_changed(ONE)
    assert await fleet.workloads.client(ONE) is not client
    assert (await client.page(NODE, limit=1)).items, "a call under way ends with the old one"


async def test_no_kubeconfig_yet(fleet: Fleet) -> None:
    fleet.workloads.follow(TWO)
    await until("it was tried", lambda: "two-kubeconfig" in fleet.workloads.sight(TWO).problem)
    assert not fleet.clear(TWO)
    assert fleet.changes.count((TWO, None)) == 1
    with pytest.raises(NotFound, match="there is no Secret two-kubeconfig"):
        await fleet.workloads.client(TWO)
    with pytest.raises(Unavailable, match="there is no Secret two-kubeconfig"):
        await fleet.workloads.look(TWO, "a")
    fleet.kubeconfigs[TWO] = fleet.kubeconfigs[ONE]
    await until("seen", lambda: fleet.clear(TWO))


async def test_a_dead_cluster_slows_no_other(fleet: Fleet, server: NodeServer) -> None:
    async with serving() as dead:
        dead.stall()
        for number in range(20):
            fleet.kubeconfigs[("dead", str(number))] = kubeconfig(dead.url)
            fleet.workloads.follow(("dead", str(number)))
        await until("all wait", lambda: len(dead.lists) >= 20)
        await watching(fleet, server)
        await server.say("ADDED", server.put("b"))
        await until("an event came", lambda: fleet.names() == ["a", "b"])
        assert await fleet.workloads.look(ONE, "b") == {}
        assert not any(fleet.clear(("dead", str(n))) for n in range(20))
        await fleet.workloads.close()


async def test_pauses_grow_to_half_a_minute(fleet: Fleet, server: NodeServer) -> None:
    server.list_fault = lambda _: refusal(503, "ServiceUnavailable")
    fleet.workloads.follow(ONE)
    await until("tried ten times", lambda: len(fleet.clock.naps) > 10)
    assert [round(n / w) for n, w in zip(fleet.clock.naps, (1, 2, 4, 8, 16, 30, 30), strict=False)] == [1] * 7
    assert max(fleet.clock.naps) < 30 * 1.26


async def test_looking_at_one_node(fleet: Fleet, server: NodeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put("b", sick="yes")
    assert await fleet.workloads.look(ONE, "b") == {"sick": "yes"}
    assert await fleet.workloads.look(ONE, "none") is None
    server.list_fault = lambda _: refusal(403, "Forbidden")
    with pytest.raises(Unavailable, match="Forbidden"):
        await fleet.workloads.look(ONE, "b")
    monkeypatch.setattr(module, "LOOK", 0.1)
    server.stall()
    with pytest.raises(Unavailable, match=r"no answer in 0\.1 s"):
        await fleet.workloads.look(ONE, "b")


async def test_forgetting(fleet: Fleet, server: NodeServer) -> None:
    await watching(fleet, server)
    fleet.workloads.forget(ONE)
    fleet.workloads.forget(TWO)
    assert fleet.names() == []
    assert not fleet.clear()
    await until("nobody watches", lambda: server.open == 0)
    fleet.workloads.follow(ONE)
    await until("followed again", fleet.clear)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exec": {"command": "sh"}}, "exec"),
        ({"tokenFile": "/etc/passwd"}, "tokenFile"),
        ({"client-key": "/key"}, "client-key"),
        ({"client-certificate-data": "bm8="}, "certificate or key"),
    ],
)
async def test_what_a_kubeconfig_may_not_ask_for(fleet: Fleet, change: dict[str, Any], said: str) -> None:
    fleet.kubeconfigs[TWO] = kubeconfig("https://127.0.0.1:1", **change)
    with pytest.raises(Forbidden, match=said):
        await fleet.workloads.client(TWO)


@pytest.mark.parametrize("text", [b"", b"[", b"7", b"{}", b"clusters: []\ncurrent-context: c\ncontexts: [{name: c}]"])
async def test_what_is_no_kubeconfig(fleet: Fleet, text: bytes) -> None:
    fleet.kubeconfigs[TWO] = text
    with pytest.raises(Forbidden, match="no usable kubeconfig"):
        await fleet.workloads.client(TWO)
