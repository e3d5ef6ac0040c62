"""`kaas kubeconfig`: the administrator's kubeconfig of a Cluster."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

from kaas.cli.delete import no_such
from kaas.cli.exits import CliError
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.kube import resources
from kaas.kube.objects import Object, Ref, condition

KEY = "value"  # Cluster API's contract for a Cluster's kubeconfig Secret


def kubeconfig(settings: Settings, name: str, file: Path | None) -> None:
    """Print it, or write it into a file that only its owner can read."""
    text = run(_read(settings, name))
    if file is None:
        sys.stdout.write(text)
        return
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(text)


async def _read(settings: Settings, name: str) -> str:
    async with session(settings) as connected:
        key = (connected.namespace, name)
        cluster = await connected.client.get(Ref(resources.CLUSTER.api_version, "Cluster", *key))
        if cluster is None:
            raise no_such([key])
        secret = await _secret(connected, cluster)
        if secret is None:
            raise CliError(not_there(cluster))
        return base64.b64decode(secret["data"][KEY]).decode()


async def _secret(connected: Session, cluster: Object) -> Object | None:
    named = ((cluster.get("status") or {}).get("kubeconfigSecret") or {}).get("name")
    if not named:
        return None
    secret = await connected.client.get(Ref("v1", "Secret", connected.namespace, named))
    return secret if secret and KEY in (secret.get("data") or {}) else None


def not_there(cluster: Object) -> str:
    """Why there is no kubeconfig yet, and the way out."""
    meta, found = cluster["metadata"], cluster.get("status") or {}
    ready = condition(cluster, "Ready") or {}
    why = ready.get("message") or ready.get("reason") or "the controller has not looked at it yet"
    name, phase = f"{meta.get('namespace')}/{meta['name']}", found.get("phase") or "Pending"
    return (
        f"Cluster {name} has no kubeconfig yet: it is {phase} ({why}); "
        f"wait with `kaas apply --wait`, or watch `kaas status {meta['name']} -w`"
    )
