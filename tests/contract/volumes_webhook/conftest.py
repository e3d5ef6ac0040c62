"""An API server of their own, since its controllers of Jobs are its own; the webhook, once for each module of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from kaas.kube.client import KubeClient
from tests.contract.conftest import running
from tests.contract.credentials.cluster import Cluster, connected, manifest
from tests.contract.volumes.stage import Stage
from tests.contract.volumes_webhook.installation import Installed, Server, audited, installed


@pytest.fixture(scope="session", name="server")
def audited_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("volumes"), ["bare"], ()) as management, audited(management) as found:
        yield found


@pytest.fixture(scope="module")
def lives() -> dict[str, float]:
    """Lives of certificates in seconds."""
    return {}


@pytest.fixture(scope="module")
def webhook(server: Server, lives: dict[str, float], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The webhook behind its Service."""
    with installed(server, tmp_path_factory.mktemp("webhook"), lives=lives) as found:
        yield found


@pytest.fixture
async def cluster(server: Server) -> AsyncIterator[Cluster]:
    """The API server, as administrator."""
    async with connected(server.kubeconfig) as found:
        yield found


@pytest.fixture
async def namespace(cluster: Cluster) -> str:
    """A namespace with the account that its Pods have."""
    return await furnished(cluster)


async def furnished(cluster: Cluster, **labels: str) -> str:
    """A new namespace with labels, whose names are of our group."""
    name = await cluster.namespace(**labels)
    await cluster.apply(manifest("ServiceAccount", "default", name))
    return name


@pytest.fixture
async def stage(server: Server, namespace: str) -> AsyncIterator[Stage]:
    """Where a test plays."""
    async with await KubeClient.connect(server.kubeconfig) as client:
        yield Stage(client, namespace)
