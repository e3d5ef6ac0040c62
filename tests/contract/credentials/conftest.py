"""The webhook, installed once for each module of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from kaas_lab.management import Management

from tests.contract.credentials.cluster import Cluster, connected
from tests.contract.credentials.installation import Webhook, installed


@pytest.fixture(scope="module")
def options() -> dict[str, Any]:
    """Options of every replica of a module."""
    return {}


@pytest.fixture(scope="module")
def webhook(
    management: Management, options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Webhook]:
    """The webhook behind its Service."""
    with installed(management, tmp_path_factory.mktemp("webhook"), **options) as found:
        yield found


@pytest.fixture
async def cluster(management: Management) -> AsyncIterator[Cluster]:
    """The API server, as administrator."""
    async with connected(management.kubeconfig) as found:
        yield found
