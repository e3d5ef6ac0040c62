"""Leader election with a test's clock and an API server in memory."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from contextlib import suppress

import pytest

from kaas.kube.errors import Conflict, NotFound, Unavailable
from kaas.kube.objects import Object, Ref, ref_of
from kaas.runtime.clock import FakeClock, settle
from kaas.runtime.leader import Election, Leader, LeaseLost


class Server:
    """Objects with versions; can be down, and can lose its answers."""

    def __init__(self, *namespaces: str) -> None:
        self.namespaces = set(namespaces)
        self.objects: dict[Ref, Object] = {}
        self.version = 0
        self.down = False
        self.deaf = False  # does what it is told, and is not heard
        self.writes = 0

    async def get(self, ref: Ref) -> Object | None:
        self._answer("get")
        return copy.deepcopy(self.objects.get(ref))

    async def create(self, obj: Object) -> Object:
        self._answer("create")
        if obj["kind"] == "Namespace":
            self.namespaces.add(obj["metadata"]["name"])
            return obj
        if obj["metadata"]["namespace"] not in self.namespaces:
            raise NotFound("create Lease", "no namespace")
        if ref_of(obj) in self.objects:
            raise Conflict("create Lease", "exists")
        return self._store(obj)

    async def replace(self, obj: Object) -> Object:
        self._answer("replace")
        known = self.objects.get(ref_of(obj))
        if known is None:
            raise NotFound("replace Lease", "gone")
        if known["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise Conflict("replace Lease", "changed")
        return self._store(obj)

    def _store(self, obj: Object) -> Object:
        self.version += 1
        self.writes += 1
        stored = copy.deepcopy(obj)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.objects[ref_of(obj)] = stored
        if self.deaf:
            raise Unavailable("write", "connection lost")
        return copy.deepcopy(stored)

    def _answer(self, what: str) -> None:
        if self.down:
            raise Unavailable(what, "down")

    def holder(self) -> str:
        return str(self.objects[Election().ref]["spec"]["holderIdentity"])


class Candidate:
    """One controller that takes part, and whether its work runs."""

    def __init__(self, server: Server, clock: FakeClock, name: str) -> None:
        self.works, self.end = False, asyncio.Event()
        self.leader = Leader(server, Election(identity=name), clock)
        self.task = asyncio.create_task(self.leader.run(self.work))

    async def work(self) -> None:
        self.works = True
        try:
            await self.end.wait()
        finally:
            self.works = False

    async def leave(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError, LeaseLost):
            await self.task

    async def vanish(self, server: Server) -> None:
        """Die without saying goodbye."""
        server.down = True
        await self.leave()
        server.down = False


async def test_the_first_leads_and_makes_lease_and_namespace() -> None:
    server, clock = Server(), FakeClock()
    first = Candidate(server, clock, "first")
    await settle()
    assert first.works
    assert first.leader.leading.is_set()
    assert server.namespaces == {"kaas-system"}
    spec = server.objects[Election().ref]["spec"]
    assert spec == {
        "holderIdentity": "first",
        "leaseDurationSeconds": 10,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseTransitions": 1,
    }
    await first.leave()


async def test_never_two_at_once_and_one_request_a_renewal() -> None:
    server, clock = Server("kaas-system"), FakeClock()
    first, second = Candidate(server, clock, "first"), Candidate(server, clock, "second")
    for _ in range(100):
        await clock.advance(1)
        assert first.works
        assert not second.works
    assert server.writes == 1 + 33
    await first.leave()
    await second.leave()


async def test_a_leader_that_leaves_is_followed_within_two_seconds() -> None:
    server, clock = Server("kaas-system"), FakeClock()
    first, second = Candidate(server, clock, "first"), Candidate(server, clock, "second")
    await clock.advance(30)
    await first.leave()
    assert not first.works
    assert server.holder() == ""
    await clock.advance(2)
    assert second.works
    assert server.objects[Election().ref]["spec"]["leaseTransitions"] == 2
    await second.leave()


@pytest.mark.parametrize("moment", [30.0, 31.9, 33.4])
async def test_a_leader_that_died_is_followed_within_fifteen_seconds(moment: float) -> None:
    server, clock = Server("kaas-system"), FakeClock()
    first, second = Candidate(server, clock, "first"), Candidate(server, clock, "second")
    await clock.advance(moment)
    await first.vanish(server)
    await clock.advance(6)
    assert not second.works
    await clock.advance(8.9)
    assert second.works
    await second.leave()


async def test_a_leader_without_a_server_stops_before_another_may_start() -> None:
    server, clock = Server("kaas-system"), FakeClock()
    first = Candidate(server, clock, "first")
    await clock.advance(3)
    server.down = True
    await clock.advance(6)
    assert first.works
    await clock.advance(2)
    assert not first.works
    with pytest.raises(LeaseLost, match="could not be renewed"):
        await first.task


async def test_a_short_outage_is_survived() -> None:
    server, clock = Server("kaas-system"), FakeClock()
    first = Candidate(server, clock, "first")
    await clock.advance(3)
    server.down = True
    await clock.advance(5)
    server.down = False
    await clock.advance(30)
    assert first.works
    await first.leave()


async def test_an_answer_that_was_lost_is_no_lost_lease() -> None:
    server, clock = Server("kaas-system"), FakeClock()
    first = Candidate(server, clock, "first")
    await settle()
    server.deaf = True
    await clock.advance(3)
    server.deaf = False
    await clock.advance(30)
    assert first.works
    await first.leave()


@pytest.mark.parametrize(
    "seize", [lambda s: s.objects.clear(), lambda s: s.objects[Election().ref]["spec"].update(holderIdentity="other")]
)
async def test_a_lease_that_another_took_ends_the_work(seize: Callable[[Server], None]) -> None:
    server, clock = Server("kaas-system"), FakeClock()
    first = Candidate(server, clock, "first")
    await settle()
    seize(server)
    for lease in server.objects.values():
        lease["metadata"]["resourceVersion"] = "99"
    await clock.advance(5)
    assert not first.works
    with pytest.raises(LeaseLost, match="is held by"):
        await first.task


async def test_work_that_ends_or_fails_releases_the_lease() -> None:
    server, clock = Server("kaas-system"), FakeClock()
    first = Candidate(server, clock, "first")
    await settle()
    first.end.set()
    await first.task
    assert server.holder() == ""

    async def fail() -> None:
        raise ValueError("crashed")

    with pytest.raises(ValueError, match="crashed"):
        await Leader(server, Election(identity="second"), clock).run(fail)
    assert server.holder() == ""


async def test_a_candidate_waits_for_the_server() -> None:
    server, clock = Server("kaas-system"), FakeClock()
    server.down = True
    first = Candidate(server, clock, "first")
    await clock.advance(30)
    assert not first.works
    server.down = False
    await clock.advance(2)
    assert first.works
    await first.leave()
