"""A workload cluster and the way to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.updates.verify.bench import Bench
from tests.unit.updates.verify.cluster_server import KEY, ClusterServer, Ways, serving


@pytest.fixture
async def server() -> AsyncIterator[ClusterServer]:
    async with serving() as fake:
        yield fake


@pytest.fixture
async def ways(server: ClusterServer) -> AsyncIterator[Ways]:
    made = Ways()
    made.add(server.url)
    yield made
    await made.close()


@pytest.fixture
async def bench(server: ClusterServer, ways: Ways) -> AsyncIterator[Bench]:
    made = Bench(server, ways)
    yield made
    made.verifier.forget(KEY)
