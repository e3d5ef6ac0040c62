"""An API server is asked twice a second: one that answers, says no, cuts off, stalls, and one that nobody can find."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from kaas.api.update_status import Availability
from kaas.kube.client import KubeClient
from kaas.runtime.clock import FakeClock, SystemClock, settle
from kaas.updates.run import ClusterKey
from kaas.updates.verify import probe as module
from kaas.updates.verify.probe import EVERY, MOST, MOST_A_SECOND, Probe, ask
from tests.unit.updates.verify.cluster_server import KEY, ClusterServer, Ways

OTHER = ("tenants", "other")


async def until(what: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, f"not in 30 s: {what}"
        await asyncio.sleep(0.005)


@pytest.fixture
async def probe(ways: Ways) -> AsyncIterator[Probe]:
    made = Probe(ways, SystemClock())
    yield made
    await made.close()


def reset(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


def unready(_: web.Request) -> web.Response:
    return web.Response(status=500, text="[-]etcd failed")


def moved(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


def told(probe: Probe) -> Availability:
    found = probe.availability(KEY)
    assert found is not None
    return found


async def test_good_answers_are_counted_each_on_its_own_connection(server: ClusterServer, probe: Probe) -> None:
    assert probe.availability(KEY) is None
    probe.watch(KEY)
    await until("asked twice", lambda: told(probe).probes >= 2)
    assert told(probe).failed == 0
    peers = [r.transport.get_extra_info("peername") for r in server.readiness if r.transport]
    assert len(set(peers)) == len(peers)


async def test_a_simulated_server_is_there(server: ClusterServer, probe: Probe) -> None:
    server.simulated = True
    probe.watch(KEY)
    await until("asked", lambda: told(probe).probes >= 1)
    assert told(probe).failed == 0


@pytest.mark.parametrize("fault", [unready, reset, moved])
async def test_what_is_no_good_answer(
    server: ClusterServer, probe: Probe, fault: Callable[[web.Request], web.Response]
) -> None:
    server.fault = fault
    probe.watch(KEY)
    await until("asked", lambda: told(probe).failed >= 1)
    assert told(probe).failed == told(probe).probes
    server.fault = None
    await until("it is well again", lambda: told(probe).probes > told(probe).failed)
    assert told(probe).longest_gap_milliseconds > 0


async def test_one_that_stalls_holds_up_nobody(
    server: ClusterServer, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    answered = asyncio.Event()

    async def other(client: KubeClient) -> bool:
        if client.server == server.url:
            return await ask(client)
        answered.set()
        return True

    ways.add("http://other.invalid", OTHER)
    probe = Probe(ways, SystemClock(), other)
    server.stall()
    probe.watch(KEY)
    probe.watch(OTHER)
    await until("both were asked", lambda: told(probe).failed >= 2)
    assert answered.is_set()
    server.resume()
    await until("it is well again", lambda: told(probe).probes > told(probe).failed)
    await probe.close()


async def test_nobody_listens(probe: Probe, ways: Ways) -> None:
    ways.add("http://127.0.0.1:9")  # discard: refused
    probe.watch(KEY)
    await until("asked", lambda: told(probe).failed >= 1)


class Played:
    """Answers as the test says: True, False, or never."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: bool | None = True
        self.open = 0

    async def __call__(self, _: KubeClient) -> bool:
        self.asked += 1
        if self.answer is None:
            self.open += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.open -= 1
        return bool(self.answer)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
async def timed(ways: Ways, clock: FakeClock, played: Played) -> AsyncIterator[Probe]:
    made = Probe(ways, clock, played)
    made.watch(KEY)
    made.watch(KEY)
    await settle()
    yield made
    await made.close()


async def test_twice_a_second(timed: Probe, clock: FakeClock, played: Played) -> None:
    await clock.advance(10)
    assert played.asked == 1 + 10 / EVERY
    assert told(timed) == Availability(
        since=FakeClock().now(),
        probes=played.asked,
        failed=0,
        longest_gap_milliseconds=500,
        longest_gap_began=FakeClock().now(),
    )


class OneForAll:
    """Every Cluster is reached by the same way."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    async def client(self, _: ClusterKey) -> KubeClient:
        return await self._ways.client(KEY)


async def test_all_together_are_asked_only_so_often(ways: Ways, clock: FakeClock, played: Played) -> None:
    probe = Probe(OneForAll(ways), clock, played)
    for number in range(MOST_A_SECOND * 2):  # each every other second
        probe.watch(("tenants", str(number)))
    await settle()
    before = played.asked
    await clock.advance(10)
    assert (played.asked - before) / 10 == pytest.approx(MOST_A_SECOND, rel=0.1)
    found = probe.availability(("tenants", "0"))
    assert found is not None
    assert found.longest_gap_milliseconds == 2000
    await probe.close()


async def test_a_gap_to_half_a_second(timed: Probe, clock: FakeClock, played: Played) -> None:
    await clock.advance(2)
    played.answer = False
    await clock.advance(7)
    played.answer = True
    await clock.advance(2)
    assert (told(timed).failed, told(timed).longest_gap_milliseconds) == (14, 7500)


async def test_open_questions_are_bounded(timed: Probe, clock: FakeClock, played: Played) -> None:
    played.answer = None
    await clock.advance(600)
    assert played.open == MOST
    timed.forget(KEY)
    await settle()
    assert played.open == 0
    assert timed.availability(KEY) is None


async def test_without_a_kubeconfig_nothing_is_said_against_the_cluster(ways: Ways, clock: FakeClock) -> None:
    probe = Probe(ways, clock)
    probe.watch(OTHER)
    await clock.advance(60)
    found = probe.availability(OTHER)
    assert found is not None
    assert (found.probes, found.failed, found.longest_gap_milliseconds) == (0, 0, 0)
    await probe.close()


async def test_a_restart_goes_on(ways: Ways, played: Played, timed: Probe, clock: FakeClock) -> None:
    played.answer = False
    await clock.advance(3)
    before = told(timed)
    later = FakeClock(start=FakeClock().now().replace(hour=12))
    again = Probe(ways, later, played)
    played.answer = True
    again.watch(KEY, before)
    await settle()
    await later.advance(1)
    found = told(again)
    assert (found.since, found.longest_gap_milliseconds) == (before.since, before.longest_gap_milliseconds)
    assert (found.probes, found.failed) == (before.probes + 3, before.failed)
    await again.close()
