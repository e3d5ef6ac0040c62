"""Real API servers for contract tests: a bare one, and one with Cluster API and its providers behind their webhooks."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kaas_lab import build, management, processes, slots
from kaas_lab.management import Management
from kaas_lab.reporter import Reporter
from typer.testing import Result

from kaas.kube.client import KubeClient
from tests.contract import workloads
from tests.contract.api_server import ApiServer
from tests.contract.workloads import WorkloadLab
from tests.unit.cli.running import kaas

CRDS = Path(__file__).parents[2] / "deploy" / "crds"


def own_crds() -> list[dict[str, Any]]:
    return [document for file in sorted(CRDS.glob("*.yaml")) for document in yaml.safe_load_all(file.read_text())]


@contextmanager
def running(state: Path, parts: Sequence[str], providers: Sequence[str]) -> Iterator[Management]:
    with slots.free_slot(state) as layout:
        try:
            build.ensure(parts, layout, Reporter())
            yield management.up(layout, providers, extra_crds=own_crds())
        finally:
            processes.stop_all(state, patience=2.0)
            shutil.rmtree(state / "etcd", ignore_errors=True)  # pytest keeps the directories of three runs


@pytest.fixture(scope="session", name="management")
def bare_management(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Management]:
    """A bare API server with our CRDs."""
    with running(tmp_path_factory.mktemp("management"), ["bare"], ()) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def capi_management(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Management]:
    """Cluster API with every provider and its webhooks, and our CRDs."""
    providers = ("core", "cabpk", "kcp", "capdev", "capo")
    with running(tmp_path_factory.mktemp("capi"), ["dev", "openstack"], providers) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def workload_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkloadLab]:
    """A cluster in which Pods run, with our CRDs; image `kaas` is this checkout."""
    with workloads.running(tmp_path_factory.mktemp("workloads"), own_crds()) as lab:
        yield lab


@pytest.fixture
async def client(management: Management) -> AsyncIterator[KubeClient]:
    """A client for the bare API server."""
    async with await KubeClient.connect(management.kubeconfig) as connected:
        yield connected


@pytest.fixture
async def namespace(client: KubeClient) -> str:
    """A Namespace of the bare API server that nobody else uses."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture(name="api")
def api_server(management: Management) -> ApiServer:
    """The bare API server, as tests ask it that are not asynchronous."""
    return ApiServer(management.kubeconfig)


@pytest.fixture(name="run")
def command(management: Management) -> Callable[..., Result]:
    """The command, on the bare API server."""

    def run(*arguments: str | Path, stdin: str | None = None) -> Result:
        return kaas("--kubeconfig", management.kubeconfig, *arguments, stdin=stdin)

    return run
