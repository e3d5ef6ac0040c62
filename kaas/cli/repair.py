"""`kaas repair`: names, options and help. What a command does is imported when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from kaas.api.actions import Action
from kaas.cli.command import command
from kaas.cli.completion import cluster_names
from kaas.cli.options import Everywhere, Watch, duration
from kaas.cli.repair_group import RepairGroup
from kaas.cli.settings import Settings

TWO_HOURS = 7200.0

Node = Annotated[str, typer.Argument(help="Name of a node, machine or server, or the server's ID.", show_default=False)]
OptionalNode = Annotated[
    str | None, typer.Argument(help="Name of a node, machine or server, or the server's ID.", show_default=False)
]
AskedStep = Annotated[
    Action | None,
    typer.Option(
        "--step",
        help="Begin with this step of the ladder, after a drain when it is harder than that.",
        show_default="the first after the drain that can help",
    ),
]
Reason = Annotated[str, typer.Option(help="Why, for those who see it.", show_default=False)]
Cluster = Annotated[
    str | None, typer.Argument(help="Name of a Cluster.", autocompletion=cluster_names, show_default=False)
]
Site = Annotated[str | None, typer.Option("--site", help="Name of a Site.", show_default=False)]
TheSite = Annotated[str, typer.Option("--site", help="Name of the Site.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All Sites.")]
Pause = Annotated[
    float | None,
    typer.Option(
        "--for", parser=duration, metavar="TIME", help="How long, as 30m or 2h.", show_default="until resumed"
    ),
]
Lasting = Annotated[
    float,
    typer.Option("--for", parser=duration, metavar="TIME", help="How long that counts.", show_default="2h"),
]
Incident = Annotated[
    str,
    typer.Argument(
        metavar="INCIDENT",
        help="As the breaker names it: zone/NAME, host/ID or heartbeats/NAMESPACE/CLUSTER.",
        show_default=False,
    ),
]

app = typer.Typer(
    cls=RepairGroup,
    help="Have a sick node repaired, and see, pause and release repairs.\n\n`kaas repair NODE` has a node drained and "
    "rebooted, or what else its ladder has that helps against what is wrong with it.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)


@app.command("node")
@command
def node(settings: Settings, name: Node, step: AskedStep = None, reason: Reason = "") -> None:
    """Have one node repaired at once, also when nothing is known to be wrong with it. `node` may be left out.

    What is wrong is not tolerated any longer: the node is drained, and the first step of its ladder after that is done
    which can help. Where nothing is known to be wrong, that is a soft reboot; a pool that can only replace replaces.
    """
    from kaas.cli.repair_ask import ask as run  # noqa: PLC0415 - slow to import

    run(settings, name, step, reason)


@app.command()
@command
def status(settings: Settings, name: OptionalNode = None, everywhere: Everywhere = False, watch: Watch = False) -> None:
    """Show sick nodes and what is done about them, or the whole story of one node."""
    from kaas.cli.repair_status import status as run  # noqa: PLC0415 - slow to import

    run(settings, name, everywhere=everywhere, watch=watch)


@app.command()
@command
def pause(
    settings: Settings,
    name: Cluster = None,
    site: Site = None,
    every: All = False,
    seconds: Pause = None,
    reason: Reason = "",
) -> None:
    """Let repairs of a Cluster, of a Site or of all Sites wait."""
    from kaas.cli.repair_pause import Scope  # noqa: PLC0415 - slow to import
    from kaas.cli.repair_pause import pause as run  # noqa: PLC0415 - slow to import

    run(settings, Scope(name, site, every), seconds, reason)


@app.command()
@command
def resume(settings: Settings, name: Cluster = None, site: Site = None, every: All = False) -> None:
    """Let repairs go on, also of pools where replacing machines did not help."""
    from kaas.cli.repair_pause import Scope  # noqa: PLC0415 - slow to import
    from kaas.cli.repair_pause import resume as run  # noqa: PLC0415 - slow to import

    run(settings, Scope(name, site, every))


@app.command()
@command
def confirm(settings: Settings, incident: Incident, site: TheSite, seconds: Lasting = TWO_HOURS) -> None:
    """Have the nodes of an incident repaired all the same: a zone, a hypervisor, or silent nodes of one Cluster."""
    from kaas.cli.repair_pause import confirm as run  # noqa: PLC0415 - slow to import

    run(settings, site, incident, seconds)


@app.command()
@command
def release(settings: Settings, name: Node, reason: Reason = "") -> None:
    """Let a node out of quarantine: it is uncordoned, and repaired again when it needs it."""
    from kaas.cli.repair_ask import release as run  # noqa: PLC0415 - slow to import

    run(settings, name, reason)
