"""`kaas volumes webhook` and `kaas volumes manifests`. They import little: the webhook is small."""

from __future__ import annotations

from typing import Annotated

import typer

from kaas.cli.command import command
from kaas.cli.credential_webhook import (
    LOCAL,
    Drain,
    Host,
    MetricsPort,
    Port,
    Set,
    Url,
    ValuesFile,
)
from kaas.cli.options import Format, LogFormat
from kaas.cli.settings import Settings
from kaas.cli.webhook_server import become, print_manifests

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
    cache_share: CacheShare = True,
    log_format: Format = LogFormat.HUMAN,
) -> None:
    """Serve the webhook that has Pods wait for their data, until SIGTERM or Ctrl-C."""
    options = {
        "host": host,
        "port": port,
        "metrics_port": metrics_port,
        "names": name,
        "drain": drain,
        "cache_share": cache_share,
        "log_format": log_format.value,
    }
    become("kaas.cli.volume_server", settings, options)


@command
def manifests(settings: Settings, values: ValuesFile = None, setting: Set = None, url: Url = "") -> None:
    """Print the manifests that install controller and webhook."""
    from kaas.volumes.install import manifests as install  # noqa: PLC0415 - the server needs none of it

    print_manifests(install.values, install.render, settings, (values, setting, url))
