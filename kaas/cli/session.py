"""The management cluster of one command: a client, and the namespace that names are looked up in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kubernetes.aio import config as kube_config

from kaas.cli.exits import CliError, ExitCode
from kaas.cli.settings import Settings
from kaas.kube import resources
from kaas.kube.client import KubeClient, Limits
from kaas.kube.errors import NotFound
from kaas.kube.objects import Object, Objects
from kaas.kube.resources import Resource

T = TypeVar("T")

# A person waits: one more try for a connection that broke, and no longer.
LIMITS = Limits(connect=5.0, request=30.0, attempts=2)
CLI_MANAGER = "kaas-cli"
"""Field manager of what people write: the controller never takes their fields."""


@dataclass(frozen=True)
class Session:
    """One command's connection."""

    client: KubeClient
    namespace: str

    async def list(self, resource: Resource, namespace: str | None = None, selector: str | None = None) -> Objects:
        """Objects of a kind; none when the server does not know the kind."""
        try:
            return await self.client.list(resource, namespace, selector)
        except NotFound:
            return []

    async def write(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply in the name of the person who calls."""
        return await self.client.apply(obj, dry_run=dry_run, manager=CLI_MANAGER)

    async def clusters(self, *, everywhere: bool = False) -> Objects:
        """Clusters of the namespace, or of all; NotFound when the management cluster has no such kind."""
        return await self.client.list(resources.CLUSTER, None if everywhere else self.namespace)


@asynccontextmanager
async def session(settings: Settings, limits: Limits = LIMITS) -> AsyncIterator[Session]:
    """Connect as the shared options say. Nothing is asked yet. CliError when there is no kubeconfig."""
    _check_kubeconfig(settings)
    namespace = context_namespace(settings)
    async with await KubeClient.connect(settings.kubeconfig, settings.context, limits=limits) as client:
        yield Session(client, settings.namespace or namespace)


def _files(settings: Settings) -> list[Path]:
    """Kubeconfigs as kubectl looks for them."""
    if settings.kubeconfig:
        return [settings.kubeconfig]
    named = os.environ.get("KUBECONFIG") or str(kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
    return [Path(f).expanduser() for f in named.split(os.pathsep) if f]


def _check_kubeconfig(settings: Settings) -> None:
    files = _files(settings)
    if any(f.is_file() for f in files):
        return
    if settings.kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return
    names = ", ".join(map(str, files))
    message = (
        f"kubeconfig {names}: there is no such file; name the management cluster's with --kubeconfig or KUBECONFIG"
    )
    raise CliError(message, ExitCode.WRONG_INPUT)


def context_namespace(settings: Settings) -> str:
    """Namespace of the kubeconfig's context, `default` when it has none. CliError when there is no such context."""
    files = [str(f) for f in _files(settings) if f.is_file()]
    if not files:
        return "default"  # in a Pod
    contexts_of: Any = kube_config.list_kube_config_contexts  # untyped
    try:
        contexts, active = contexts_of(os.pathsep.join(files))
    except kube_config.ConfigException as wrong:
        raise CliError(f"kubeconfig {', '.join(files)}: {wrong}", ExitCode.WRONG_INPUT) from wrong
    by_name = {c["name"]: c for c in contexts}
    if settings.context and settings.context not in by_name:
        known = f"it has {', '.join(sorted(by_name))}"
        message = f"--context: kubeconfig {', '.join(files)} has no context {settings.context!r}; {known}"
        raise CliError(message, ExitCode.WRONG_INPUT)
    chosen = by_name[settings.context] if settings.context else active
    return str(chosen["context"].get("namespace") or "default")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the asynchronous part of a command."""
    return asyncio.run(work)
