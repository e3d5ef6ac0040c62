"""The webhook as it is installed at a bare API server: two replicas under their own account, behind Services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kaas_lab.management import Management

from kaas.credentials.install import manifests
from tests import metrics
from tests.contract.credentials import replica
from tests.contract.credentials.cluster import Cluster, aws_secret, connected
from tests.contract.credentials.replica import Replica, Service

NAMESPACE = "kaas-credentials"
FIRST_PORT, *SERVICE_PORTS = 22, 20, 21  # from the API server's port on
ACCOUNT_TOKEN = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/kaas-credentials/token"
REPLICAS = 2


@dataclass
class Webhook:
    """The webhook as it is installed. account: its kubeconfig, which may do what the manifests say and nothing else.

    services: one for each half of the replicas.
    """

    management: Management
    account: Path
    services: Sequence[Service]
    options: dict[str, Any]
    replicas: list[Replica] = field(default_factory=list)

    @property
    def ready(self) -> list[Replica]:
        """Replicas that the Services lead to."""
        return [replica for service in self.services for replica in service.endpoints]

    def start(self, **options: Any) -> Replica:
        """One more replica, which its half's Service takes in when it is ready: the half that has fewer."""
        port = api_port(self.management) + FIRST_PORT + 2 * len(self.replicas)
        log = self.account.parent / f"replica-{len(self.replicas)}.log"
        found = replica.start(self.account, port, log, **{**self.options, **options})
        self.replicas.append(found)
        min(self.services, key=Service.size).replicas.append(found)
        return found

    def total(self, name: str, **labels: str) -> float:
        """Sum of a metric over the living replicas."""
        living = [found for found in self.replicas if found.process.poll() is None]
        return sum(metrics.total(found.metrics(), name, **labels) for found in living)

    async def install(self, cluster: Cluster, *settings: str) -> None:
        """Apply the manifests with `key=value` settings."""
        for obj in _manifests(self.management, settings):
            await cluster.apply(obj)


@contextmanager
def installed(management: Management, directory: Path, replicas: int = REPLICAS, **options: Any) -> Iterator[Webhook]:
    """The webhook as users find it: replicas behind Services, trusted by the API server.

    replicas: one is behind both. options: of every replica.
    """
    account = directory / "account"
    account.write_text(asyncio.run(_install(management)))
    first, second = (api_port(management) + port for port in SERVICE_PORTS)
    with replica.service(first) as a, replica.service(second) as b:
        found = Webhook(management, account, (a, b), options)
        try:
            for _ in range(replicas):
                found.start()
            if replicas == 1:
                b.replicas = a.replicas
            asyncio.run(_answering(management, found.replicas))
            yield found
        finally:
            replica.stop(*found.replicas, hurry=True)
            asyncio.run(_remove(management))


def api_port(management: Management) -> int:
    return urlsplit(management.api.url).port or 0


def _manifests(management: Management, settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    url, second = (f"https://{replica.HOST}:{api_port(management) + port}" for port in SERVICE_PORTS)
    return list(yaml.safe_load_all(manifests.render(manifests.values({"url": url, "secondUrl": second}, settings))))


async def _install(management: Management) -> str:
    """Apply the manifests; gives the kubeconfig of the account that they make."""
    async with connected(management.kubeconfig) as cluster:
        for obj in _manifests(management):
            await cluster.apply(obj)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = (await cluster.call("POST", ACCOUNT_TOKEN, request)).body["status"]["token"]
    config = yaml.safe_load(management.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    return json.dumps(config)


async def _answering(management: Management, replicas: Sequence[Replica]) -> None:
    """Return when all are ready and the API server reaches them, a moment after the configurations were written."""
    async with connected(management.kubeconfig) as cluster:
        probe = aws_secret(await cluster.namespace())

        async def answers() -> bool:
            return (await cluster.create(probe, dryRun="All")).status != replica.FAILED

        await replica.until(answers)
        for found in replicas:
            await replica.until(found.is_ready)


async def _remove(management: Management) -> None:
    async with connected(management.kubeconfig) as cluster:
        for obj in _manifests(management):
            if obj["apiVersion"].startswith("admissionregistration"):
                await cluster.delete(obj)
        await cluster.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}/secrets/kaas-credentials-tls")
