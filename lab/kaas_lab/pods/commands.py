"""`kaas lab break pods …` and `kaas lab heal pods …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaas_lab.layout import default_state

from . import directory, kill
from .faults import Fault, Faults, Kind

app_break = typer.Typer(help="Break what Pods depend on, in a lab with Pods.", no_args_is_help=True)
app_heal = typer.Typer(help="Heal what Pods depend on.", no_args_is_help=True)

State = Annotated[
    Path, typer.Option("--state", help="Directory of the lab.", envvar="KAAS_LAB_STATE", default_factory=default_state)
]
Target = Annotated[str, typer.Argument(help="What it befalls; a pattern with * may name several.")]
_ABOUT = {
    Kind.NODE_AWAY: "Cut a node off, by its name: its Pods run on and nobody hears of them.",
    Kind.UNPULLABLE: "Have an image not pull, by its reference.",
    Kind.PROVISION_FAILS: "Make no volume for a claim, by namespace/name.",
    Kind.PROVISION_SLOW: "Make the volume of a claim late, by namespace/name.",
    Kind.SNAPSHOT_FAILS: "Make no snapshot for a VolumeSnapshot, by namespace/name.",
    Kind.SNAPSHOT_SLOW: "Make the snapshot of a VolumeSnapshot late, by namespace/name.",
    Kind.RESTORE_FAILS: "Make no volume from a snapshot, for a claim by namespace/name.",
}


def _faults(state: Path) -> Faults:
    where = directory(state.resolve())
    if not where.is_dir():
        raise typer.BadParameter(f"{where} is not there: is a lab up with --with pods, and --state right?")
    return Faults(where)


def _register(kind: Kind) -> None:
    @app_break.command(name=kind.value, help=_ABOUT[kind])
    def break_it(target: Target, state: State, seconds: float = 10.0) -> None:
        _faults(state).add(Fault(kind, target, seconds))
        typer.echo(f"broken: {kind} of {target}")

    @app_heal.command(name=kind.value, help=f"Take back: {_ABOUT[kind][0].lower()}{_ABOUT[kind][1:]}")
    def heal_it(target: Target, state: State) -> None:
        for fault in _faults(state).heal(kind, target):
            typer.echo(f"healed: {fault.kind} of {fault.target}")


for _kind in Kind:
    _register(_kind)


@app_break.command(name="kill")
def kill_pod(
    target: Annotated[str, typer.Argument(help="A Pod as namespace/name, or a container of it with its name behind.")],
    state: State,
) -> None:
    """End the processes of a Pod by SIGKILL; what becomes of it is for its restartPolicy and its owner to say."""
    _faults(state)
    count = kill(state.resolve(), target)
    if not count:
        raise typer.BadParameter(f"nothing of {target} runs: say namespace/name of a Pod that does")
    typer.echo(f"killed: {count} processes of {target}")


@app_heal.command(name="all")
def heal_all(state: State) -> None:
    """Heal everything."""
    for fault in _faults(state).heal():
        typer.echo(f"healed: {fault.kind} of {fault.target}")
