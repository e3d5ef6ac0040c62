"""A bucket that moto serves, and the controller of volumes at a cluster whose Pods run as processes."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from kaas.kube.client import KubeClient
from kaas.volumes.settings import LoadSettings, Resources
from tests.contract.volumes.stage import Running, Stage, controller
from tests.contract.workloads import WorkloadLab

BUCKET = "models"
KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}


@dataclass(frozen=True)
class Bucket:
    """A bucket, and where it is served."""

    url: str
    client: Any

    def put(self, key: str, body: bytes) -> None:
        """Store an object that anybody may read."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, ACL="public-read")


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    """A public bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **KEYS)
    client.create_bucket(Bucket=BUCKET, ACL="public-read")
    yield Bucket(url, client)
    server.stop()


@pytest.fixture
async def stage(workload_lab: WorkloadLab) -> AsyncIterator[Stage]:
    """A namespace of its own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    async with await KubeClient.connect(workload_lab.kubeconfig) as client:
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield Stage(client, name)


@pytest.fixture
async def running(workload_lab: WorkloadLab, stage: Stage) -> AsyncIterator[Running]:
    """The controller. Loaders may speak to this machine, where the bucket is."""
    resources = Resources(cpu="10m", memory="64Mi", memory_limit="1Gi")
    settings = LoadSettings(image="kaas", allow_endpoints=("127.0.0.1",), resources=resources, tries_again=2)
    async with controller(workload_lab.kubeconfig, (stage.namespace,), settings) as found:
        yield found
