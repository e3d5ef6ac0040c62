"""Clouds that answer, refuse, hang and are slow."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from kaas.openstack.clouds import CloudDirectory, Limits
from kaas.openstack.credentials import Credentials
from kaas.openstack.errors import CloudError, Kind
from kaas.openstack.facts import FlavorFacts, Leftovers, Quota, ServerFault
from tests.unit.openstack.fake_cloud import PROJECT, SECRET, Clock, FakeCloud

TOKENS = "POST /identity/v3/auth/tokens"
SERVER = "/compute/v2.1/servers/s1"


@contextmanager
def impatient() -> Iterator[CloudDirectory]:
    """For clouds that hang: what is not to hang must be well within these limits."""
    directory = CloudDirectory(Limits(call=3.0, overall=30.0))
    try:
        yield directory
    finally:
        directory.close()


@contextmanager
def black_hole() -> Iterator[Credentials]:
    """A cloud that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield FakeCloud(url=f"http://127.0.0.1:{listener.getsockname()[1]}").credentials()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_facts(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    facts = await clouds.facts(cloud.credentials())
    assert facts.error is None
    assert facts.unknown == {}
    assert facts.reachable
    assert facts.images == {"node-v1.36.1": "active", "node-v1.36.2": "queued", "twice": "duplicate"}
    assert facts.flavors["m1.large"] == FlavorFacts(vcpus=4, ram_mb=8192, disk_gb=40)
    assert facts.external_networks == {"ext": "public"}
    assert facts.zones == {"az-1"}
    assert facts.quotas["instances"] == Quota(limit=10, used=3)
    assert facts.quotas["cores"] == Quota(limit=None, used=12)
    assert facts.quotas["floating_ips"] == Quota(limit=10, used=3)
    assert facts.quotas["load_balancers"] == Quota(limit=5, used=1)
    assert facts.quotas["volumes"] == Quota(limit=10, used=4)


@pytest.mark.parametrize(("limit", "wanted", "lacking"), [(10, 7, 0), (10, 9, 2), (None, 99, 0), (2, 0, 1)])
def test_what_a_quota_lacks(limit: int | None, wanted: int, lacking: int) -> None:
    assert Quota(limit, used=3).lacks(wanted) == lacking


async def test_refused_credentials(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.answers["/identity/v3/auth/tokens"] = 401, {"error": {"code": 401, "message": f"no {SECRET}"}}
    facts = await clouds.facts(cloud.credentials())
    assert facts.error is not None
    assert facts.error.kind is Kind.UNAUTHORIZED
    assert "renew them in the Site's Secret" in facts.error.message
    assert facts.reachable


async def test_application_credential_that_is_gone(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    message = "Could not find Application Credential: id. (Request-ID: req-1)"
    cloud.answers["/identity/v3/auth/tokens"] = 404, {"error": {"code": 404, "message": message}}
    facts = await clouds.facts(cloud.credentials())
    assert facts.error is not None
    assert facts.error.kind is Kind.UNAUTHORIZED


async def test_refused_connection(clouds: CloudDirectory) -> None:
    facts = await clouds.facts(FakeCloud(url=f"http://127.0.0.1:{closed_port()}").credentials())
    assert facts.error is not None
    assert facts.error.kind is Kind.UNREACHABLE
    assert "http://127.0.0.1:" in facts.error.message
    assert not facts.reachable


async def test_same_trouble_has_the_same_words(clouds: CloudDirectory) -> None:
    credentials = FakeCloud(url=f"http://127.0.0.1:{closed_port()}").credentials()
    first = await clouds.facts(credentials)
    clouds.forget(credentials)
    second = await clouds.facts(credentials)
    assert first == second
    assert first is not second


async def test_name_that_is_none(clouds: CloudDirectory) -> None:
    facts = await clouds.facts(FakeCloud(url="http://cloud.invalid:1").credentials())
    assert facts.error is not None
    assert facts.error.kind is Kind.UNREACHABLE


async def test_black_hole_is_given_up(cloud: FakeCloud) -> None:
    with black_hole() as credentials, impatient() as clouds:
        hung, fine = await asyncio.gather(clouds.facts(credentials), clouds.facts(cloud.credentials()))
    assert hung.error is not None
    assert hung.error.kind is Kind.TIMEOUT
    assert not hung.reachable
    assert fine.error is None


async def test_black_hole_keeps_to_its_own_threads(cloud: FakeCloud) -> None:
    clouds = CloudDirectory()
    with black_hole() as credentials:
        tenants = [replace(credentials, region=f"r{number}") for number in range(20)]
        hung = [asyncio.create_task(clouds.facts(tenant)) for tenant in tenants]
        assert (await clouds.facts(cloud.credentials())).error is None
        assert not any(task.done() for task in hung)
        for task in hung:
            task.cancel()
        clouds.close()


async def test_slow_question_is_unknown_and_the_rest_is_known(cloud: FakeCloud) -> None:
    answer = threading.Event()
    cloud.before = lambda path: (answer.wait(60), None)[1] if path == "/image/v2/images" else None
    with impatient() as clouds:
        facts = await clouds.facts(cloud.credentials())
    answer.set()
    assert facts.error is None
    assert facts.unknown["images"].kind is Kind.TIMEOUT
    assert "m1.large" in facts.flavors


async def test_questions_that_are_slow_together_are_given_up(cloud: FakeCloud) -> None:
    answer = threading.Event()
    cloud.before = lambda path: (answer.wait(60), None)[1]
    clouds = CloudDirectory(Limits(call=60.0, overall=0.2))
    facts = await clouds.facts(cloud.credentials())
    answer.set()
    clouds.close()
    assert facts.error is not None
    assert facts.error.kind is Kind.TIMEOUT
    assert "more than 0.2 s" in facts.error.message


async def test_forbidden_question(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.answers[f"/load-balancer/v2.0/lbaas/quotas/{PROJECT}"] = 403, {"faultstring": "no"}
    facts = await clouds.facts(cloud.credentials())
    assert facts.unknown["load_balancer_quotas"].kind is Kind.FORBIDDEN
    assert "load_balancers" not in facts.quotas
    assert "volumes" in facts.quotas


async def test_service_that_the_cloud_does_not_have(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.services.remove("block-storage")
    facts = await clouds.facts(cloud.credentials())
    assert facts.unknown["volume_quotas"].kind is Kind.NO_SERVICE
    assert (await clouds.leftovers(cloud.credentials())).volumes == 0


async def test_region_that_does_not_exist(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    facts = await clouds.facts(replace(cloud.credentials(), region="Elsewhere"))
    assert {problem.kind for problem in facts.unknown.values()} == {Kind.NO_SERVICE}
    assert facts.unknown["flavors"].message.endswith(
        ": public endpoint for compute service in Elsewhere region not found: check the Site's region"
    )
    with pytest.raises(CloudError, match="check the Site's region"):
        await clouds.leftovers(replace(cloud.credentials(), region="Elsewhere"))


async def test_entry_that_lacks_something(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    credentials = Credentials({"auth_type": "nonsense", "auth": {"auth_url": cloud.url}})
    facts = await clouds.facts(credentials)
    assert facts.error is not None
    assert facts.error.kind is Kind.INVALID


async def test_facts_are_shared_by_callers_and_kept_for_a_while(
    clouds: CloudDirectory, cloud: FakeCloud, clock: Clock
) -> None:
    first, second = await asyncio.gather(*(clouds.facts(cloud.credentials()) for _ in range(2)))
    assert first is second
    clock.now += Limits.fresh - 1
    assert await clouds.facts(cloud.credentials()) is first
    assert cloud.asked["GET /image/v2/images"] == 1
    clock.now += 1
    assert await clouds.facts(cloud.credentials()) is not first
    assert cloud.asked["GET /image/v2/images"] == 2
    assert cloud.asked[TOKENS] == 1


async def test_failure_is_kept_for_less(clouds: CloudDirectory, cloud: FakeCloud, clock: Clock) -> None:
    good = cloud.answers.pop("/identity/v3/auth/tokens", None)
    assert good is None
    cloud.answers["/identity/v3/auth/tokens"] = 401, {}
    assert (await clouds.facts(cloud.credentials())).error is not None
    del cloud.answers["/identity/v3/auth/tokens"]
    assert (await clouds.facts(cloud.credentials())).error is not None
    clock.now += Limits.fresh_failure
    assert (await clouds.facts(cloud.credentials())).error is None


async def test_rotated_credentials_are_asked_anew(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    first = await clouds.facts(cloud.credentials())
    assert await clouds.facts(cloud.credentials(interface="public")) is not first
    assert cloud.asked[TOKENS] == 2


async def test_credentials_that_nobody_uses_are_forgotten(
    clouds: CloudDirectory, cloud: FakeCloud, clock: Clock
) -> None:
    await clouds.facts(cloud.credentials())
    clock.now += 7200
    await clouds.facts(cloud.credentials(interface="public"))
    await clouds.facts(cloud.credentials())
    assert cloud.asked[TOKENS] == 3


async def test_cancelled_caller_does_not_end_it_for_the_others(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    answer = threading.Event()
    cloud.before = lambda path: (answer.wait(60), None)[1]
    first, second = (asyncio.create_task(clouds.facts(cloud.credentials())) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    answer.set()
    assert (await second).error is None


async def test_no_more_calls_at_once_than_threads(cloud: FakeCloud) -> None:
    lock, now, most = threading.Lock(), 0, 0
    full = threading.Event()

    def count(path: str) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now == 2:
                full.set()
        if path.startswith("/compute"):
            full.wait(60)
        with lock:
            now -= 1

    cloud.before = count
    clouds = CloudDirectory(Limits(threads=2))
    await clouds.facts(cloud.credentials())
    clouds.close()
    assert most == 2


async def test_server_fault(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    fault = {"code": 500, "created": "2026-01-01T00:00:00Z", "message": "No valid host was found.\n There are"}
    cloud.answers[SERVER] = 200, {"server": {"id": "s1", "name": "s", "status": "ERROR", "fault": fault}}
    assert await clouds.server_fault(cloud.credentials(), "s1") == ServerFault(
        "ERROR", "No valid host was found. There are"
    )


async def test_server_without_fault(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.answers[SERVER] = 200, {"server": {"id": "s1", "name": "s", "status": "ACTIVE"}}
    assert await clouds.server_fault(cloud.credentials(), "s1") == ServerFault("ACTIVE", None)


async def test_server_that_is_gone(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    assert await clouds.server_fault(cloud.credentials(), "s1") is None


async def test_server_fault_of_a_cloud_that_fails(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    cloud.answers[SERVER] = 409, {"conflictingRequest": {"message": "busy", "code": 409}}
    with pytest.raises(CloudError, match="HTTP 409"):
        await clouds.server_fault(cloud.credentials(), "s1")


async def test_leftovers(clouds: CloudDirectory, cloud: FakeCloud) -> None:
    left = await clouds.leftovers(cloud.credentials())
    assert left == Leftovers(2, 2, 1, 1, 1, 1, 1, 1)
    assert left.total == 10
    assert str(left).startswith("servers: 2, ports: 2, networks: 1")
    assert str(Leftovers()) == "nothing"


async def test_nothing_tells_a_secret(
    clouds: CloudDirectory, cloud: FakeCloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    facts = await clouds.facts(cloud.credentials())
    assert SECRET not in f"{facts} {cloud.credentials()} {caplog.text}"
