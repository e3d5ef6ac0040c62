"""An API server with Kubernetes' own binder of volumes and controller of Jobs; drivers and nodes are played."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml
from kaas_lab import processes
from kaas_lab.api_server import answers
from kaas_lab.build import binary
from kaas_lab.management import Management

from kaas.cli.volumes_controller import features
from kaas.kube.client import KubeClient
from kaas.runtime.clock import SystemClock
from kaas.runtime.controller import Controller, ControllerSettings
from kaas.runtime.metrics import Metrics
from kaas.volumes.cache.limits import Limits
from tests.contract.conftest import running
from tests.contract.volumes.stage import SETTINGS, Stage, until_data_source

CRDS = Path(__file__).parents[3] / "deploy" / "volumes" / "crds.yaml"
PORT = 62  # from the API server's port on
NAME = "binder-kube-controller-manager"
CONTROLLERS = "job-controller,persistentvolumeclaim-protection-controller,persistentvolume-binder-controller"
CLASSES = {"now": "Immediate", "later": "WaitForFirstConsumer"}


@pytest.fixture(scope="session", name="server")
def server_with_a_binder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Management]:
    with running(tmp_path_factory.mktemp("binder"), ["bare"], ()) as management:
        state = management.kubeconfig.parent
        certificates, log = state / "certs", state / "logs" / f"{NAME}.log"
        port = int(management.api.url.rpartition(":")[2]) + PORT
        words = [
            str(binary("kube-controller-manager")),
            f"--kubeconfig={management.kubeconfig}",
            "--leader-elect=false",
            f"--controllers={CONTROLLERS}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}",
        ]
        process = processes.spawn(state, NAME, words, log=log)
        health = f"https://127.0.0.1:{port}/healthz"
        processes.wait_until(NAME, lambda: answers(health, certificates / "ca.crt"), process, log, 60.0)
        yield management


@pytest.fixture
async def stage(server: Management) -> AsyncIterator[Stage]:
    """A namespace of its own, with the kind DataSource and two StorageClasses of a played driver."""
    async with await KubeClient.connect(server.kubeconfig) as client:
        await client.apply(yaml.safe_load(CRDS.read_text()))
        for name, mode in CLASSES.items():
            kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
            await client.apply({**kind, "provisioner": "csi.example.com", "volumeBindingMode": mode})

        await until_data_source(client)
        name = f"test-{uuid.uuid4().hex[:8]}"
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield Stage(client, name)


@pytest.fixture(name="controller")
async def all_of_the_controller(server: Management, stage: Stage) -> AsyncIterator[None]:
    """All that the controller does, in this process, in the test's namespace."""
    given = ControllerSettings(
        server.kubeconfig, namespaces=(stage.namespace,), leader_election=False, metrics_port=None
    )
    stop, metrics = asyncio.Event(), Metrics()
    async with await KubeClient.connect(server.kubeconfig, hook=metrics.request) as client:
        made = Controller(given, features(SETTINGS, Limits(), (stage.namespace,)), client, metrics, SystemClock())
        task = asyncio.create_task(made.run(stop))
        yield
        stop.set()
        await task
