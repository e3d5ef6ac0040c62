"""`kaas addons`: names, options and help. What a command does is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaas.cli.command import command
from kaas.cli.completion import addon_names
from kaas.cli.options import Everywhere, Files, Watch
from kaas.cli.repair_group import AddonsGroup
from kaas.cli.settings import Settings

OptionalName = Annotated[
    str | None, typer.Argument(help="Name of one Addon.", autocompletion=addon_names, show_default=False)
]
Name = Annotated[str, typer.Argument(help="Name of the Addon.", autocompletion=addon_names, show_default=False)]
Version = Annotated[str, typer.Argument(help="Its version, as 1.8.2.", show_default=False)]
File = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write it into a file.", show_default="standard output"),
]

app = typer.Typer(
    cls=AddonsGroup,
    help="See which add-ons Clusters have, and make versions of them.\n\n`kaas addons` alone lists them all.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
@command
def every(settings: Settings, watch: Watch = False) -> None:
    """Show all Addons: the newest version, how many Clusters have it, and why one cannot be used."""
    from kaas.cli.addons_status import show_all as run  # noqa: PLC0415 - slow to import

    run(settings, watch=watch)


@app.command()
@command
def status(settings: Settings, name: OptionalName = None, everywhere: Everywhere = False, watch: Watch = False) -> None:
    """Show the add-ons of each Cluster, what an update brings, and why one has not the newest version."""
    from kaas.cli.addons_status import show as run  # noqa: PLC0415 - slow to import

    run(settings, name, everywhere=everywhere, watch=watch)


@app.command()
@command
def pack(settings: Settings, name: Name, version: Version, files: Files, output: File = None) -> None:
    """Make the ConfigMap of one version from manifests, as the controller will read it. Needs no management cluster."""
    from kaas.cli.addons_pack import pack as run  # noqa: PLC0415 - slow to import

    run(settings, name, version, files, output)
