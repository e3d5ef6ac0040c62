"""Jobs by Kubernetes' own controller, and one namespace a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from kaas_lab.management import Management

from kaas.kube.client import KubeClient
from tests.contract.volumes.controllers import job_controllers
from tests.contract.volumes.stage import Stage, controller


@pytest.fixture(scope="session", name="jobs", autouse=True)
def real_jobs(management: Management) -> Iterator[None]:
    with job_controllers(management):
        yield


@pytest.fixture
def stage(client: KubeClient, namespace: str) -> Stage:
    """Where a test plays."""
    return Stage(client, namespace)


@pytest.fixture(name="running")
async def running_controller(management: Management, stage: Stage) -> AsyncIterator[None]:
    """The controller of the test's namespace."""
    async with controller(management.kubeconfig, (stage.namespace,)):
        yield
