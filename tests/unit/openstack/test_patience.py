"""A cloud that hangs is asked in the background: whoever has other work does not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.errors import Kind
from tests.unit.openstack.fake_cloud import Clock, FakeCloud

LIMIT = 60.0


@pytest.fixture
def silence(cloud: FakeCloud) -> Iterator[threading.Event]:
    """The cloud says nothing until this is set."""
    answer = threading.Event()
    cloud.before = lambda _: (answer.wait(LIMIT), None)[1]
    yield answer
    answer.set()


async def test_nobody_waits_beyond_patience_and_later_the_answer_is_there(
    cloud: FakeCloud, silence: threading.Event
) -> None:
    directory = CloudDirectory()
    first = await directory.facts(cloud.credentials(), patience=0.01)
    assert first.error is not None
    assert first.error.kind is Kind.TIMEOUT
    assert "does not answer in time" in first.error.message
    waiting = asyncio.create_task(directory.facts(cloud.credentials()))
    silence.set()
    assert (await waiting).error is None
    assert (await directory.facts(cloud.credentials(), patience=0.0)).error is None
    directory.close()


async def test_who_comes_late_does_not_wait_at_all(cloud: FakeCloud, silence: threading.Event) -> None:
    clock = Clock()
    directory = CloudDirectory(clock=clock)
    waiting = asyncio.create_task(directory.facts(cloud.credentials()))
    await asyncio.sleep(0)
    clock.now += 6.0
    async with asyncio.timeout(LIMIT / 2):
        assert (await directory.facts(cloud.credentials(), patience=5.0)).error is not None
    silence.set()
    assert (await waiting).error is None
    directory.close()


async def test_the_error_stays_the_same_while_it_is_asked_again(cloud: FakeCloud, silence: threading.Event) -> None:
    silence.set()
    clock = Clock()
    directory = CloudDirectory(clock=clock)
    cloud.answers["/identity/v3/auth/tokens"] = 401, {"error": {"message": "no", "code": 401}}
    refused = (await directory.facts(cloud.credentials())).error
    assert refused is not None
    assert refused.kind is Kind.UNAUTHORIZED
    silence.clear()
    clock.now += 20.0
    assert (await directory.facts(cloud.credentials(), patience=0.0)).error == refused
    silence.set()
    await directory.facts(cloud.credentials())
    directory.close()
