"""The command line itself: names, options and help. What a command does is imported when it is called."""

from __future__ import annotations

import typer

from kaas.api.actions import Mode
from kaas.cli import addons, credential_webhook, credentials, load, options, repair, rollout, volumes
from kaas.cli.command import application, command
from kaas.cli.exits import EXIT_CODES
from kaas.cli.lab import LabGroup
from kaas.cli.options import LogFormat
from kaas.cli.settings import Output, Settings

_EPILOG = "Exit codes:\n\n" + "\n".join(f"{code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())

app = application(
    help="Kubernetes as a Service on OpenStack: apply `kind: Cluster`, get a Kubernetes cluster.",
    epilog=_EPILOG,
    no_args_is_help=True,
)


@app.command()
@command
def render(settings: Settings, files: options.Files, only_cluster: options.OnlyCluster = False) -> None:
    """Print the Cluster API manifests of Clusters. Needs no management cluster, but the files of their Sites."""
    from kaas.cli.render import render as run

    run(settings, files, only_cluster=only_cluster)


@app.command()
@command
def plan(settings: Settings, names: options.OptionalNames = None, files: options.OptionalFiles = None) -> int:
    """Show what the controller would do next, and why. Ends with 10 when there is something to do, 11 when blocked."""
    from kaas.cli.plan import plan as run

    return run(settings, names or [], files or [])


@app.command()
@command
def apply(
    settings: Settings,
    files: options.Files,
    wait: options.Wait = False,
    timeout: options.Timeout = options.HALF_AN_HOUR,
) -> None:
    """Apply Clusters, Sites, Releases, Rollouts, Addons, NodeRepairTemplates, Namespaces, Secrets and ConfigMaps."""
    from kaas.cli.apply import apply as run

    run(settings, files, wait=wait, timeout=timeout)


@app.command()
@command
def status(
    settings: Settings,
    name: options.OptionalName = None,
    everywhere: options.Everywhere = False,
    watch: options.Watch = False,
) -> None:
    """Show all Clusters as a table, or one as a tree down to its servers, with the deepest reason."""
    from kaas.cli.status import status as run

    run(settings, name, everywhere=everywhere, watch=watch)


@app.command()
@command
def next(  # noqa: A001 - the name of the command
    settings: Settings,
    name: options.OptionalName = None,
    everywhere: options.Everywhere = False,
    days: options.Days = 90,
    ical: options.ICal = False,
) -> None:
    """Show what will happen to which Cluster by itself, when, and why not earlier."""
    from kaas.cli.next import show as run

    run(settings, name, everywhere=everywhere, days=days, ical=ical)


@app.command()
@command
def explain(settings: Settings, name: options.Name) -> None:
    """Show why a Cluster has not been updated, what happens next, and what can be done about it."""
    from kaas.cli.explain import explain as run

    run(settings, name)


@app.command()
@command
def kubeconfig(settings: Settings, name: options.Name, output: options.KubeconfigFile = None) -> None:
    """Print the administrator's kubeconfig of a Cluster."""
    from kaas.cli.kubeconfig import kubeconfig as run

    run(settings, name, output)


@app.command()
@command
def delete(
    settings: Settings,
    names: options.Names,
    wait: options.Wait = False,
    timeout: options.Timeout = options.HALF_AN_HOUR,
    yes: options.Yes = False,
) -> None:
    """Delete Clusters with all that they have in the cloud."""
    from kaas.cli.delete import delete as run

    run(settings, names, wait=wait, timeout=timeout, yes=yes)


@app.command()
@command
def crds(settings: Settings, install: options.Install = False) -> None:
    """Print the kinds of kaas, or install them."""
    from kaas.cli.crds import crds as run

    run(settings, install=install)


@app.command()
@command
def controller(  # noqa: PLR0913, PLR0917 - one an option
    settings: Settings,
    namespace: options.WatchNamespaces = None,
    metrics_host: options.MetricsHost = "127.0.0.1",
    metrics_port: options.MetricsPort = 8080,
    leader_elect: options.LeaderElect = True,
    log_format: options.Format = LogFormat.HUMAN,
    workers: options.Workers = 8,
    repair_mode: options.RepairMode = Mode.AUTOMATIC,
    repair_max_in_flight: options.RepairMaxInFlight = "20",
    repair_max_unhealthy: options.RepairMaxUnhealthy = "30%",
    repair_ticket_url: options.RepairTicketUrl = None,
) -> None:
    """Run the controller until SIGTERM or Ctrl-C."""
    from kaas.cli.controller import Options, fleet_settings
    from kaas.cli.controller import controller as run

    repairs = fleet_settings(repair_mode, repair_max_in_flight, repair_max_unhealthy, repair_ticket_url)
    watched = tuple(namespace or ())
    run(settings, Options(watched, metrics_host, metrics_port, leader_elect, log_format.value, workers, repairs))


app.command(cls=load.LoadCommand)(load.load)


@app.command()
@command
def version(settings: Settings) -> None:
    """Print the version of kaas."""
    from importlib.metadata import version as of

    if settings.output is None:
        typer.echo(f"kaas {of('kaas')}")
        return
    from kaas.cli.output import emit

    emit({"version": of("kaas")}, Output(settings.output))


app.add_typer(repair.app, name="repair")
app.add_typer(rollout.app, name="rollout")
app.add_typer(addons.app, name="addons")
app.add_typer(credentials.app, name="credentials")
app.add_typer(credential_webhook.app, name="credential-webhook")
app.add_typer(volumes.app, name="volumes")
app.add_typer(typer.Typer(name="lab", cls=LabGroup, help="A management cluster and OpenStack as local processes."))
