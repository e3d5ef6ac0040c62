"""Events: their shape, and that the same one is not sent again and again."""

from __future__ import annotations

from kaas.kube.errors import Unavailable
from kaas.kube.events import QUIET, REMEMBERED, Events
from kaas.kube.objects import Object
from kaas.runtime.clock import FakeClock

API = "kaas.internal/v1alpha1"
CLUSTER = {
    "apiVersion": API,
    "kind": "Cluster",
    "metadata": {"name": "c", "namespace": "t", "uid": "u"},
}
SITE = {"apiVersion": API, "kind": "Site", "metadata": {"name": "s", "uid": "v"}}


class Server:
    """Keeps what was created."""

    def __init__(self) -> None:
        self.created: list[Object] = []
        self.fails = False

    async def create(self, obj: Object) -> Object:
        if self.fails:
            raise Unavailable("create Event", "down")
        self.created.append(obj)
        return obj


async def test_shape() -> None:
    server = Server()
    events = Events(server, FakeClock())
    assert await events.emit(CLUSTER, "Ready", "x" * 2000, event_type="Warning")
    assert await events.emit(SITE, "Ready", "well")
    first, second = server.created
    assert first["metadata"]["namespace"] == "t"
    assert first["involvedObject"]["uid"] == "u"
    assert len(first["message"]) == 1024
    assert first["type"] == "Warning"
    assert second["metadata"]["namespace"] == "default"
    assert "namespace" not in second["involvedObject"]


async def test_the_same_is_said_once_in_a_while() -> None:
    server, clock = Server(), FakeClock()
    events = Events(server, clock)
    assert await events.emit(CLUSTER, "Ready", "m")
    assert not await events.emit(CLUSTER, "Ready", "m")
    assert await events.emit(CLUSTER, "Ready", "other")
    clock.step(QUIET)
    assert await events.emit(CLUSTER, "Ready", "m")
    names = [e["metadata"]["name"] for e in server.created]
    assert len(set(names)) == len(names) == 3


async def test_memory_is_bounded() -> None:
    server = Server()
    events = Events(server, FakeClock())
    for number in range(REMEMBERED + 1):
        await events.emit(CLUSTER, "Ready", str(number))
    assert await events.emit(CLUSTER, "Ready", "0")
    assert not await events.emit(CLUSTER, "Ready", str(REMEMBERED))


async def test_no_reconcile_fails_for_an_event() -> None:
    server = Server()
    server.fails = True
    assert not await Events(server, FakeClock()).emit(CLUSTER, "Ready", "m")
