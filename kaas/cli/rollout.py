"""`kaas rollout`: names, options and help. What a command does is imported when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from kaas.cli.command import command
from kaas.cli.completion import rollout_names
from kaas.cli.options import Watch
from kaas.cli.settings import Settings

Name = Annotated[str, typer.Argument(help="Name of the Rollout.", autocompletion=rollout_names, show_default=False)]
Gate = Annotated[
    str | None,
    typer.Argument(metavar="[STAGE[/GATE]]", help="What is approved.", show_default="the only one that waits"),
]
Members = Annotated[
    list[str],
    typer.Argument(metavar="CLUSTER", help="Its members, as NAMESPACE/NAME; NAME alone is of -n.", show_default=False),
]
OptionalMembers = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CLUSTER",
        help="Its members, as NAMESPACE/NAME; NAME alone is of -n.",
        show_default="all that failed",
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for those who see it.", show_default=False)]
NeededReason = Annotated[
    str, typer.Option("--reason", help="Why: it is shown wherever this counts.", show_default=False)
]

app = typer.Typer(
    help="See how a change goes through the fleet, and approve, pause, skip, try again or end it.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)


@app.command("list")
@command
def every(settings: Settings, watch: Watch = False) -> None:
    """Show all Rollouts: what each brings, state, stage, how many members are through, and what it waits for."""
    from kaas.cli.rollout_status import show_all as run  # noqa: PLC0415 - slow to import

    run(settings, watch=watch)


@app.command()
@command
def status(settings: Settings, name: Name, watch: Watch = False) -> None:
    """Show one Rollout: its stages, gates and members, and what each waits for. `-w` shows it live."""
    from kaas.cli.rollout_status import show as run  # noqa: PLC0415 - slow to import

    run(settings, name, watch=watch)


@app.command()
@command
def approve(settings: Settings, name: Name, gate: Gate = None, reason: Reason = "") -> None:
    """Open a gate of type Approval. One approval opens one gate; it may be given before the stage comes to it."""
    from kaas.cli.rollout_ask import approve as run  # noqa: PLC0415 - slow to import

    run(settings, name, gate, reason)


@app.command()
@command
def pause(settings: Settings, name: Name) -> None:
    """Let a Rollout begin nothing further; what has begun is finished. It sets `spec.paused`."""
    from kaas.cli.rollout_ask import pause as run  # noqa: PLC0415 - slow to import

    run(settings, name)


@app.command()
@command
def resume(settings: Settings, name: Name) -> None:
    """Let a paused Rollout go on."""
    from kaas.cli.rollout_ask import resume as run  # noqa: PLC0415 - slow to import

    run(settings, name)


@app.command()
@command
def skip(settings: Settings, name: Name, members: Members, reason: NeededReason) -> None:
    """Leave members out of this run, those of later stages too; a failed one counts as failed no longer."""
    from kaas.cli.rollout_ask import skip as run  # noqa: PLC0415 - slow to import

    run(settings, name, members, reason)


@app.command()
@command
def retry(settings: Settings, name: Name, reason: NeededReason, members: OptionalMembers = None) -> None:
    """Try members again that failed or were skipped. An update of theirs that has stopped goes on, too."""
    from kaas.cli.rollout_ask import retry as run  # noqa: PLC0415 - slow to import

    run(settings, name, members or [], reason)


@app.command()
@command
def abort(settings: Settings, name: Name, reason: NeededReason) -> None:
    """End this run: what has begun is finished, nothing else begins. With a channel the next version starts anew."""
    from kaas.cli.rollout_ask import abort as run  # noqa: PLC0415 - slow to import

    run(settings, name, reason)
