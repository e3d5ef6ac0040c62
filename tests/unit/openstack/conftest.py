"""A cloud that answers what it is told, and a clock that goes when it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from kaas.openstack.clouds import CloudDirectory
from tests.unit.openstack.fake_cloud import Clock, FakeCloud, running


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with running() as fake:
        yield fake


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def clouds(clock: Clock) -> AsyncIterator[CloudDirectory]:
    directory = CloudDirectory(clock=clock)
    yield directory
    directory.close()
