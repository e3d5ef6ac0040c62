"""`kaas volumes webhook` and `kaas volumes manifests`. They import little: the webhook is small."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from kaas.cli.command import command
from kaas.cli.credential_webhook import (
    LOCAL,
    NO_METRICS,
    Drain,
    Host,
    MetricsPort,
    Port,
    Set,
    Url,
    ValuesFile,
)
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.options import Format, LogFormat
from kaas.cli.settings import Settings

Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        help="Name or address by which API servers call it. May be repeated.",
        show_default="kaas-volumes.NAMESPACE.svc",
    ),
]

CacheShare = Annotated[
    bool,
    typer.Option(
        "--cache-share/--no-cache-share",
        help="Whether claims are born of other namespaces' snapshots, as the same option of the controller says.",
    ),
]


@command
def webhook(  # noqa: PLR0913, PLR0917 - one an option
    settings: Settings,
    host: Host = LOCAL,
    port: Port = 8443,
    metrics_port: MetricsPort = 8080,
    name: Names = None,
    drain: Drain = 5.0,
    cache_share: CacheShare = False,
    log_format: Format = LogFormat.HUMAN,
) -> None:
    """Serve the webhook that has Pods wait for their data, until SIGTERM or Ctrl-C."""
    options = {
        "kubeconfig": str(settings.kubeconfig) if settings.kubeconfig else None,
        "context": settings.context,
        "host": host,
        "port": port,
        "metrics_port": None if metrics_port == NO_METRICS else metrics_port,
        "namespace": settings.namespace or "",
        "names": name or [],
        "drain": drain,
        "cache_share": cache_share,
        "log_format": log_format.value,
        "log_level": "DEBUG" if settings.verbose else "INFO",
    }
    # The same process goes on without what reads command lines, which is a quarter of all that it would hold.
    os.execv(sys.executable, [sys.executable, "-m", "kaas.cli.volume_server", json.dumps(options)])  # noqa: S606


@command
def manifests(settings: Settings, values: ValuesFile = None, setting: Set = None, url: Url = "") -> None:
    """Print the manifests that install controller and webhook."""
    import yaml  # noqa: PLC0415 - the webhook needs none of it

    from kaas.volumes.install import manifests as install  # noqa: PLC0415

    given = (yaml.safe_load(values.read_text()) or {}) if values else {}
    given |= {"namespace": settings.namespace} if settings.namespace else {}
    given |= {"url": url} if url else {}
    try:
        sys.stdout.write(install.render(install.values(given, setting or ())))
    except install.WrongValue as problem:
        raise CliError(str(problem), ExitCode.WRONG_INPUT) from problem
