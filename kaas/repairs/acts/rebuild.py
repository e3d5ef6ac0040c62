"""Rebuild: the machine's disk is written anew on the same host, and it joins again as it did at first.

Its user data stays, and in it the bootstrap token with which kubeadm joins; that has expired long since. So the same
token is made valid in the workload cluster again before the disk is written.

kubeadm refuses to join under the name of a Node that is Ready. A machine that is back within the forty seconds after
which a silent Node stops being Ready would stay outside for ever, so the Node is said not to be Ready before.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta
from typing import Final, Protocol

from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.errors import Conflict
from kaas.kube.objects import Object, Ref, is_true, ref_of
from kaas.kube.resources import Resource
from kaas.kube.times import stamp
from kaas.repairs.acts.cordon import Clients, node_name, node_ref
from kaas.repairs.acts.power import ACTIVE, OFF, Power, PowerAct
from kaas.repairs.acts.task import ActFailed, Result, Task

TOKEN_LIFE: Final = timedelta(hours=1)
# kubernetes/cmd/kubeadm/app/apis/bootstraptoken: six characters, a dot, sixteen.
_TOKEN: Final = re.compile(r"\btoken:\s*[\"']?([a-z0-9]{6})\.([a-z0-9]{16})\b")
GROUPS: Final = "system:bootstrappers:kubeadm:default-node-token"


class Management(Protocol):
    """The management cluster."""

    async def get(self, ref: Ref) -> Object | None:
        """An object, None when there is none."""


class Store(Protocol):
    """What the watches have seen of it."""

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """The object, None when there is none."""


class Rebuild(PowerAct):
    """Token, disk, and power if the server was off; done when it is ACTIVE."""

    def __init__(self, power: Power, store: Store, management: Management, clients: Clients) -> None:
        super().__init__(power)
        self._store = store
        self._management = management
        self._clients = clients

    async def __call__(self, task: Task, now: datetime) -> Result:
        """Do the next of these, or see how far it is."""
        server = await self._server(task)
        if server.task:
            return Result(False, f"Nova is {server.task} the server")
        if await self._begun(task, "rebuild") is None:
            client = await self._clients.client(task.patient.machine.cluster)
            await client.apply(bootstrap_token(*await self._token(task), now + TOKEN_LIFE))
            if not await _not_ready(client, node_name(task), now):
                return Result(False, "the Node changed meanwhile")
            await self._ask(task, "rebuild")
            return Result(False, "Nova was asked to write the disk anew")
        if server.status in OFF:
            if await self._begun(task, "start") is None:
                await self._ask(task, "start")
            return Result(False, "Nova was asked to switch the server on")
        if server.status == ACTIVE:
            return Result(True, "the disk was written anew, and the server is ACTIVE")
        if server.status == "ERROR":
            raise ActFailed(f"writing the disk failed: {server.fault or 'Nova gives no reason'}")
        return Result(False, f"the server is {server.status}")

    async def _token(self, task: Task) -> tuple[str, str]:
        """The token in the machine's bootstrap data. ActFailed when there is none: the machine could not join again."""
        namespace, name = task.patient.machine.key
        machine = self._store.get(resources.MACHINE, namespace, name) or {}
        secret = ((machine.get("spec") or {}).get("bootstrap") or {}).get("dataSecretName")
        if not secret:
            raise ActFailed(f"Machine {name} has no bootstrap data, so it could not join again")
        found = await self._management.get(Ref("v1", "Secret", namespace, secret))
        text = base64.b64decode(((found or {}).get("data") or {}).get("value") or "").decode(errors="replace")
        match = _TOKEN.search(text)
        if match is None:
            raise ActFailed(f"Secret {namespace}/{secret} has no bootstrap token, so the machine could not join again")
        return match[1], match[2]


async def _not_ready(client: KubeClient, name: str | None, now: datetime) -> bool:
    """Say of a Node that it is not known to be Ready; False when it changed meanwhile, and is to be read again."""
    node = await client.get(node_ref(name)) if name else None
    if node is None or not is_true(node, "Ready"):
        return True
    said = {"status": "Unknown", "reason": "Rebuild", "message": "its disk is written anew"}
    said["lastTransitionTime"] = stamp(now)
    conditions = [{**c, **said} if c["type"] == "Ready" else c for c in node["status"]["conditions"]]
    patch = {
        "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
        "status": {"conditions": conditions},
    }
    try:
        await client.patch(ref_of(node), patch, subresource="status")
    except Conflict:
        return False
    return True


def bootstrap_token(token_id: str, secret: str, expires: datetime) -> Object:
    """The Secret that makes a bootstrap token valid, as Cluster API's kubeadm provider makes it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": token_id,
            "token-secret": secret,
            "expiration": stamp(expires),
            "usage-bootstrap-signing": "true",
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": GROUPS,
            "description": "token of a machine that kaas rebuilds",
        },
    }
