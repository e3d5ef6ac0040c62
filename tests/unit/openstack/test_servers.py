"""Servers: looked at, and what is done to them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from kaas.openstack.clouds import CloudDirectory, Limits
from kaas.openstack.errors import CloudError, Kind
from kaas.openstack.facts import ServerAction, ServerFacts
from tests.unit.openstack.fake_cloud import PROJECT, Clock, FakeCloud, Query

DETAIL = "/compute/v2.1/servers/detail"
SERVER = "/compute/v2.1/servers/s1"
ACTION = f"{SERVER}/action"
RAW = {
    "id": "s1",
    "name": "pool-1",
    "status": "ERROR",
    "OS-EXT-STS:power_state": 6,
    "OS-EXT-STS:task_state": None,
    "hostId": "h1",
    "host_status": "UP",
    "locked": True,
    "image": {"id": "i1"},
    "fault": {"code": 500, "message": "Failed to reboot.\n req-0f5a0b0c-0000-4000-8000-000000000001"},
}
FACTS = ServerFacts("s1", "pool-1", "ERROR", "crashed", "", "h1", "UP", "Failed to reboot.", locked=True, image="i1")
BUSY = "Cannot 'reboot' instance s1 while it is in task_state rebooting"


@pytest.fixture
def cloud(cloud: FakeCloud) -> FakeCloud:
    """With one server, which takes every action."""
    cloud.answers |= {DETAIL: (200, {"servers": [RAW]}), SERVER: (200, {"server": RAW}), ACTION: (202, {})}
    return cloud


@pytest.fixture
async def clouds(clock: Clock) -> AsyncIterator[CloudDirectory]:
    directory = CloudDirectory(Limits(fresh=10, fresh_failure=5), clock=clock)
    yield directory
    directory.close()


def refusal(status: int, message: str) -> tuple[int, Any]:
    return status, {"conflictingRequest": {"code": status, "message": message}}


async def test_one_listing_for_all(clouds: CloudDirectory, cloud: FakeCloud, clock: Clock) -> None:
    mine = cloud.credentials()
    found = await asyncio.gather(*(clouds.servers(mine) for _ in range(5)))
    assert found == [{"s1": FACTS}] * 5
    clock.now += 9
    await clouds.servers(mine)
    assert cloud.asked[f"GET {DETAIL}"] == 1
    clock.now += 2
    await clouds.servers(mine)
    assert cloud.asked[f"GET {DETAIL}"] == 2
    clouds.forget(mine)
    await clouds.servers(mine)
    assert cloud.asked[f"GET {DETAIL}"] == 3


async def test_a_listing_of_several_pages(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    def page(query: Query) -> tuple[int, Any]:
        if query.get("marker") == ["s1"]:
            return 200, {"servers": [{"id": "s2", "name": "n", "status": "ACTIVE"}]}
        return 200, {"servers": [RAW], "servers_links": [{"rel": "next", "href": "http://elsewhere"}]}

    cloud.answers[DETAIL] = page
    found = await clouds.servers(cloud.credentials())
    assert found == {"s1": FACTS, "s2": ServerFacts("s2", "n", "ACTIVE")}


async def test_a_failure_is_kept_for_a_while(clouds: CloudDirectory, cloud: FakeCloud, clock: Clock) -> None:
    cloud.answers[DETAIL] = 500, {"computeFault": {"code": 500, "message": "broken"}}
    for _ in range(2):
        with pytest.raises(CloudError, match="HTTP 500"):
            await clouds.servers(cloud.credentials())
    assert cloud.asked[f"GET {DETAIL}"] == 1
    cloud.answers[DETAIL] = 200, {"servers": []}
    clock.now += 6
    assert await clouds.servers(cloud.credentials()) == {}


async def test_a_caller_that_is_cancelled_ends_it_for_nobody(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    asked, answer = threading.Event(), threading.Event()

    def wait(path: str) -> None:
        if path == DETAIL:
            asked.set()
            answer.wait(30)

    cloud.before = wait
    first = asyncio.create_task(clouds.servers(cloud.credentials()))
    await asyncio.to_thread(asked.wait, 30)
    second = asyncio.create_task(clouds.servers(cloud.credentials()))
    await asyncio.sleep(0)
    first.cancel()
    answer.set()
    assert set(await second) == {"s1"}
    assert cloud.asked[f"GET {DETAIL}"] == 1


async def test_one_server(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    assert await clouds.server(cloud.credentials(), "s1") == FACTS
    assert await clouds.server(cloud.credentials(), "nobody") is None


async def test_actions_are_told_from_the_oldest(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    newest = {"action": "reboot", "request_id": "r2", "start_time": "2026-01-01T12:00:01.500000", "message": "Error"}
    oldest = {"action": "create", "request_id": "r1", "start_time": "2026-01-01T11:00:00.000000", "message": None}
    cloud.answers[f"{SERVER}/os-instance-actions"] = 200, {"instanceActions": [newest, oldest]}
    assert await clouds.server_actions(cloud.credentials(), "s1") == (
        ServerAction("create", "r1", datetime(2026, 1, 1, 11, tzinfo=UTC)),
        ServerAction("reboot", "r2", datetime(2026, 1, 1, 12, 0, 1, 500000, tzinfo=UTC), "Error"),
    )
    assert await clouds.server_actions(cloud.credentials(), "nobody") == ()


async def test_what_is_done_to_a_server(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    mine = cloud.credentials()
    await clouds.servers(mine)
    assert (await clouds.reboot(mine, "s1", hard=False)).startswith("req-")
    await clouds.reboot(mine, "s1", hard=True)
    await clouds.stop(mine, "s1")
    await clouds.start(mine, "s1")
    await clouds.rebuild(mine, "s1")
    await clouds.rebuild(mine, "s1", "i2")
    assert cloud.sent == [
        (ACTION, {"reboot": {"type": "SOFT"}}),
        (ACTION, {"reboot": {"type": "HARD"}}),
        (ACTION, {"os-stop": None}),
        (ACTION, {"os-start": None}),
        (ACTION, {"rebuild": {"imageRef": "i1"}}),
        (ACTION, {"rebuild": {"imageRef": "i2"}}),
    ]
    await clouds.servers(mine)
    assert cloud.asked[f"GET {DETAIL}"] == 2


async def test_a_server_on_a_volume_is_rebuilt_from_the_volumes_image(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    on_volume = {**RAW, "image": "", "os-extended-volumes:volumes_attached": [{"id": "v1"}]}
    cloud.answers[SERVER] = 200, {"server": on_volume}
    volume = {"id": "v1", "name": "root", "volume_image_metadata": {"image_id": "i7"}}
    cloud.answers[f"/volume/v3/{PROJECT}/volumes/v1"] = 200, {"volume": volume}
    await clouds.rebuild(cloud.credentials(), "s1")
    assert cloud.sent == [(ACTION, {"rebuild": {"imageRef": "i7"}})]
    volume["volume_image_metadata"] = {}
    with pytest.raises(CloudError, match="does not tell its image: name one"):
        await clouds.rebuild(cloud.credentials(), "s1")


@pytest.mark.parametrize(
    ("status", "kind"), [(409, Kind.CONFLICT), (403, Kind.FORBIDDEN), (404, Kind.REFUSED), (400, Kind.REFUSED)]
)
async def test_refusals_in_novas_words(clouds: CloudDirectory, cloud: FakeCloud, status: int, kind: Kind) -> None:
    cloud.answers[ACTION] = refusal(status, BUSY)
    with pytest.raises(CloudError) as refused:
        await clouds.reboot(cloud.credentials(), "s1", hard=True)
    assert (refused.value.problem.kind, str(refused.value)) == (kind, f"Nova: {BUSY}")


async def test_a_cloud_that_fails_is_no_refusal(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.answers[ACTION] = 500, {"computeFault": {"code": 500, "message": "broken"}}
    with pytest.raises(CloudError, match="broken") as failed:
        await clouds.stop(cloud.credentials(), "s1")
    assert failed.value.problem.kind is Kind.FAILED


async def test_a_rebuild_of_a_server_that_is_gone(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    with pytest.raises(CloudError, match="there is no server nobody"):
        await clouds.rebuild(cloud.credentials(), "nobody")
