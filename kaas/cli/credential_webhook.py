"""`kaas credential-webhook`: the server, and the manifests that install it. It imports little: the server is small."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kaas.cli.command import command
from kaas.cli.options import Format, LogFormat, port_or_none
from kaas.cli.settings import Settings
from kaas.cli.webhook_server import become, print_manifests

LOCAL = "127.0.0.1"

Host = Annotated[str, typer.Option(help="Address to listen at, for API servers as for metrics.")]
Port = Annotated[int, typer.Option(help="Port to listen at for API servers.")]
MetricsPort = Annotated[
    int | None, typer.Option(help="Port of metrics and probes, -1 for none.", callback=port_or_none)
]
CalledBy = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        help="Name or address by which API servers call it. May be repeated.",
        show_default="kaas-credentials.NAMESPACE.svc, and -a, -b",
    ),
]
Drain = Annotated[float, typer.Option(min=0.0, help="Seconds that it serves on after SIGTERM, at least.")]
Decided = Annotated[
    str,
    typer.Option("--policy", metavar="JSON", help="What Secrets may hold, as value `policy` says.", show_default=False),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A value, dots for nested ones. May be repeated."),
]
ValuesFile = Annotated[Path | None, typer.Option("--values", "-f", help="File with values.", show_default=False)]
Url = Annotated[str, typer.Option(help="Where it listens when it runs outside of the cluster.", show_default=False)]

app = typer.Typer(
    help="Webhook for cloud credentials: checks Secrets, gives Pods what they ask for.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def serve(  # noqa: PLR0913, PLR0917 - one an option
    settings: Settings,
    host: Host = LOCAL,
    port: Port = 8443,
    metrics_port: MetricsPort = 8080,
    name: CalledBy = None,
    drain: Drain = 5.0,
    decided: Decided = "",
    log_format: Format = LogFormat.HUMAN,
) -> None:
    """Serve the webhook until SIGTERM or Ctrl-C."""
    from kaas.cli.credential_policy import policy  # noqa: PLC0415 - `manifests` needs none of it

    policy(decided)  # what is wrong is said here
    options = {
        "host": host,
        "port": port,
        "metrics_port": metrics_port,
        "names": name,
        "drain": drain,
        "policy": decided,
        "log_format": log_format.value,
    }
    become("kaas.cli.credential_server", settings, options)


_serve = command(serve)


def _callback(**values: Any) -> None:
    """Serve, unless a command of the group follows."""
    if values["ctx"].invoked_subcommand is None:
        _serve(**values)


_callback.__signature__ = _serve.__signature__  # type: ignore[attr-defined]
_callback.__annotations__ = _serve.__annotations__
_callback.__doc__ = None  # the group's help stands at the application
app.callback()(_callback)


@app.command()
@command
def manifests(settings: Settings, values: ValuesFile = None, setting: Set = None, url: Url = "") -> None:
    """Print the manifests that install the webhook."""
    from kaas.credentials.install import manifests as install  # noqa: PLC0415 - the server needs none of it

    print_manifests(install.values, install.render, settings, (values, setting, url))
