"""A bucket whose answers are counted, and all that the controller of volumes does, at a cluster that runs Pods."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from kaas_lab import pods
from kaas_lab.pods.faults import Faults
from moto.server import ThreadedMotoServer

from kaas.cli.volumes_controller import features
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object
from kaas.runtime.clock import SystemClock
from kaas.runtime.controller import Controller, ControllerSettings
from kaas.runtime.metrics import Metrics
from kaas.volumes.cache.limits import Limits
from kaas.volumes.settings import LoadSettings, Resources
from tests.contract.volumes.stage import Running, Stage, until_data_source
from tests.contract.volumes_cache.born import Namespace
from tests.contract.workloads import WorkloadLab

BUCKET = "models"
KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
CRDS = Path(__file__).parents[3] / "deploy" / "volumes" / "crds.yaml"
LIMITS = Limits(per_namespace=3, cut_within=timedelta(seconds=40), grace=timedelta(seconds=3))
SETTINGS = LoadSettings(
    image="kaas",
    allow_endpoints=("127.0.0.1",),
    resources=Resources(cpu="10m", memory="64Mi", memory_limit="1Gi"),
    tries_again=1,
)


@dataclass
class Bucket:
    """A bucket. fetched: how often each object's bytes were asked for."""

    url: str
    client: Any
    fetched: Counter[str] = field(default_factory=Counter)

    def put(self, key: str, body: bytes) -> None:
        """Store an object that anybody may read."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, ACL="public-read")

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def counting(self, app: Any) -> Any:
        """The server's application, with what it is asked for counted."""

        def counted(environ: dict[str, Any], start: Any) -> Any:
            _, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
            if environ["REQUEST_METHOD"] == "GET" and key:
                self.fetched[key] += 1
            return app(environ, start)

        return counted


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
    found = Bucket(url, client)
    assert server._server is not None
    server._server.app = found.counting(server._server.app)
    yield found
    server.stop()


@pytest.fixture(scope="session")
def faults(workload_lab: WorkloadLab) -> Faults:
    """What goes wrong with storage."""
    return Faults(pods.directory(workload_lab.state))


@pytest.fixture
async def kube(workload_lab: WorkloadLab) -> AsyncIterator[KubeClient]:
    """The cluster, with the kind DataSource."""
    async with await KubeClient.connect(workload_lab.kubeconfig) as client:
        definition = yaml.safe_load(CRDS.read_text())
        await client.apply(definition)
        await until_data_source(client)
        yield client


async def space(kube: KubeClient) -> Namespace:
    """A new namespace."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return Namespace(Stage(kube, name))


@pytest.fixture
async def team(kube: KubeClient) -> Namespace:
    """A namespace of its own."""
    return await space(kube)


@pytest.fixture
async def others(kube: KubeClient) -> Namespace:
    """Another team's."""
    return await space(kube)


@pytest.fixture
async def controller(workload_lab: WorkloadLab, team: Namespace, others: Namespace) -> AsyncIterator[Running]:
    """All that the controller does, in both namespaces."""
    async with running(workload_lab.kubeconfig, (team.name, others.name), LIMITS) as found:
        yield found


@asynccontextmanager
async def running(kubeconfig: Path, namespaces: tuple[str, ...], limits: Limits) -> AsyncIterator[Running]:
    """The controller, in this process; ended behind it as by SIGTERM."""
    given = ControllerSettings(kubeconfig, namespaces=namespaces, leader_election=False, metrics_port=None)
    stop, metrics = asyncio.Event(), Metrics()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(await KubeClient.connect(kubeconfig, hook=metrics.request))
        made = Controller(given, features(SETTINGS, limits, namespaces), client, metrics, SystemClock())
        task = asyncio.create_task(made.run(stop))
        try:
            yield Running(metrics)
        finally:
            stop.set()
            await task


def notes(bucket: Bucket, prefix: str, **more: str) -> dict[str, str]:
    """Annotations of a claim that asks for a snapshot."""
    source = {"source": f"s3://{BUCKET}/{prefix}/", "endpoint": bucket.url, "region": "us-east-1"}
    return {f"kaas.internal/load-{k}": v for k, v in {**source, "cache": "snapshot", **more}.items()}


def secret(namespace: str) -> Object:
    """Credentials of a team."""
    data = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    meta = {"name": "team-s3", "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta,
        "type": "kaas.internal/aws-credentials",
        "stringData": data,
    }
