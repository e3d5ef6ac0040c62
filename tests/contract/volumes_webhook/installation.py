"""Webhook and controller as they are installed at a bare API server, each under its own account.

Either may do what the manifests say and nothing else; what it asks for is in the API server's audit log.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kaas_lab.management import Management

from kaas.volumes.install import manifests
from tests import metrics
from tests.contract.credentials.cluster import Cluster, connected, manifest
from tests.contract.credentials.controllers import API_PORT, usual_ways
from tests.contract.credentials.replica import FAILED, HOST, Replica, Service, service, stop, until
from tests.contract.volumes_webhook import replica

NAMESPACE = "kaas-volumes"
SERVICE_PORT, CONTROLLER_PORT, FIRST_PORT = 70, 71, 72  # from the API server's port on
CONTROLLERS = (
    *("deployment", "replicaset", "serviceaccount", "job", "statefulset", "ephemeral-volume", "resourcequota"),
    "persistentvolumeclaim-protection",
)
AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [{"level": "Metadata", "userGroups": [f"system:serviceaccounts:{NAMESPACE}"]}, {"level": "None"}],
}


@dataclass(frozen=True)
class Server:
    """The API server that tests speak to. port: of the lab's own, of which the others are counted on."""

    management: Management
    kubeconfig: Path
    port: int
    audit: Path

    def metrics(self) -> metrics.Metrics:
        """Its metrics."""
        url = f"https://{HOST}:{self.port + API_PORT}"
        return metrics.scrape_api_server(url, self.kubeconfig.parent / "certs")


@contextmanager
def audited(management: Management) -> Iterator[Server]:
    """An API server with the usual admission and controllers, which writes down what the accounts ask for."""
    state = management.kubeconfig.parent
    policy, log = state / "audit-policy.yaml", state / "audit.log"
    policy.write_text(json.dumps(AUDITED))
    port = int(management.api.url.rpartition(":")[2])
    more = {"--audit-policy-file": str(policy), "--audit-log-path": str(log)}
    with usual_ways(management, port, more, CONTROLLERS) as kubeconfig:
        yield Server(management, kubeconfig, port, log)


@dataclass
class Installed:
    """What is installed. accounts: kubeconfigs by component. lives: of certificates, for every replica."""

    server: Server
    accounts: dict[str, Path]
    service: Service
    lives: dict[str, float]
    replicas: list[Replica] = field(default_factory=list)

    def start(self) -> Replica:
        """One more replica of the webhook, which the Service takes in when it is ready."""
        port, directory = self.server.port + FIRST_PORT + 2 * len(self.replicas), self.accounts["webhook"].parent
        log = directory / f"replica-{len(self.replicas)}.log"
        found = replica.start(self.accounts["webhook"], port, log, **self.lives)
        self.replicas.append(found)
        self.service.replicas.append(found)
        return found

    @asynccontextmanager
    async def controller(self, *more: str) -> AsyncIterator[Replica]:
        """The controller, as long as the block lasts."""
        account = self.accounts["controller"]
        port, log = self.server.port + CONTROLLER_PORT, account.parent / "controller.log"
        found = await asyncio.to_thread(replica.start_controller, account, port, log, *more)
        try:
            await until(found.is_ready, f"the controller is ready: see {log}")
            yield found
        finally:
            await asyncio.to_thread(stop, found)

    def total(self, name: str, **labels: str) -> float:
        """Sum of a metric over the living replicas of the webhook."""
        living = [found for found in self.replicas if found.process.poll() is None]
        return sum(metrics.total(found.metrics(), name, **labels) for found in living)

    async def install(self, cluster: Cluster, *settings: str) -> None:
        """Apply the manifests with `key=value` settings."""
        for obj in _manifests(self.server, settings):
            await cluster.apply(obj)


@contextmanager
def installed(
    server: Server, directory: Path, replicas: int = 2, lives: dict[str, float] | None = None
) -> Iterator[Installed]:
    """Both, as users find them; the controller is started by who needs it."""
    accounts = asyncio.run(_install(server, directory))
    with service(server.port + SERVICE_PORT) as leads:
        found = Installed(server, accounts, leads, lives or {})
        try:
            for _ in range(replicas):
                found.start()
            asyncio.run(_answering(server, found.replicas))
            yield found
        finally:
            stop(*found.replicas, hurry=True)
            asyncio.run(_remove(server))


def _manifests(server: Server, settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    values = manifests.values({"url": f"https://{HOST}:{server.port + SERVICE_PORT}"}, settings)
    return list(yaml.safe_load_all(manifests.render(values)))


async def _install(server: Server, directory: Path) -> dict[str, Path]:
    async with connected(server.kubeconfig) as cluster:
        for obj in _manifests(server):
            await cluster.apply(obj)
        return {name: await _account(cluster, server, directory, name) for name in ("webhook", "controller")}


async def _account(cluster: Cluster, server: Server, directory: Path, component: str) -> Path:
    """Kubeconfig of a component's ServiceAccount."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/kaas-volumes-{component}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = (await cluster.call("POST", path, request)).body["status"]["token"]
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    found = directory / f"{component}.kubeconfig"
    found.write_text(json.dumps(config))
    return found


async def _answering(server: Server, replicas: Sequence[Replica]) -> None:
    """Return when all are ready and the API server reaches them."""
    async with connected(server.kubeconfig) as cluster:
        namespace = await cluster.namespace()
        notes = {"kaas.internal/load-source": "s3://bucket/a/"}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        probe = manifest("PersistentVolumeClaim", "probe", namespace, annotations=notes, spec=spec)

        async def answers() -> bool:
            return (await cluster.create(probe, dryRun="All")).status != FAILED

        await until(answers)
        for found in replicas:
            await until(found.is_ready)


async def _remove(server: Server) -> None:
    async with connected(server.kubeconfig) as cluster:
        for obj in _manifests(server):
            if obj["apiVersion"].startswith("admissionregistration"):
                await cluster.delete(obj)
        await cluster.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}/secrets/kaas-volumes-tls")
