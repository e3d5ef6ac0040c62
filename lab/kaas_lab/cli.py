"""`kaas lab`: the lab from the command line.

Exit codes: 0 done, 1 it failed and the message says why, 2 wrong usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kaas_lab import build as building
from kaas_lab import lab, logs, pods, record
from kaas_lab import status as processes_status
from kaas_lab.layout import DEFAULT_BASE_PORT, Layout, default_state
from kaas_lab.machines import commands as machine_faults
from kaas_lab.openstack import commands as cloud_faults
from kaas_lab.pods import commands as pod_faults
from kaas_lab.processes import ProcessFailed
from kaas_lab.programs import NotBuilt
from kaas_lab.reporter import Reporter

app = typer.Typer(help="A management cluster, OpenStack and machines as local processes.", no_args_is_help=True)

EXPLAINED = (
    building.BuildFailed,
    lab.AlreadyUp,
    lab.PortsTaken,
    logs.NoLog,
    record.NoLab,
    NotBuilt,
    ProcessFailed,
    ValueError,
)
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


class Part(StrEnum):
    """What a lab has beside Cluster API."""

    openstack = "openstack"
    dev = "dev"
    pods = "pods"
    none = "none"


State = Annotated[
    Path, typer.Option("--state", help="Directory of the lab.", envvar="KAAS_LAB_STATE", default_factory=default_state)
]
With = Annotated[
    list[Part] | None,
    typer.Option(
        "--with", help="May be repeated: openstack (when left out), dev, or pods, with which Pods run as processes."
    ),
]


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors that a user can do something about into a message and exit code 1."""
    try:
        yield
    except EXPLAINED as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped")
        raise typer.Exit(INTERRUPTED) from None


def _parts(chosen: list[Part] | None) -> tuple[str, ...]:
    return tuple(part.value for part in chosen or [Part.openstack] if part is not Part.none)


def default_crds() -> Path | None:
    """The project's CRDs: of the checkout, else of the installed package."""
    here = Path(__file__).resolve()
    places = (here.parents[2] / "deploy/crds", here.parents[1] / "kaas/_data/crds")
    return next((place for place in places if place.is_dir()), None)


@app.command()
def up(
    state: State,
    with_: With = None,
    sites: Annotated[int, typer.Option(min=1, max=2, help="OpenStack clouds.")] = 1,
    base_port: Annotated[int, typer.Option(help="First of the lab's thousand ports.")] = DEFAULT_BASE_PORT,
    crds: Annotated[Path | None, typer.Option(help="Directory of CRDs; the project's own when left out.")] = None,
    nodes: Annotated[int, typer.Option(min=1, max=pods.MOST_NODES, help="Nodes on which Pods run.")] = 2,
    image: Annotated[
        list[str] | None, typer.Option(help="NAME=COMMAND, may be repeated: what an image is; kaas is this command.")
    ] = None,
) -> None:
    """Start a lab, building what it needs; returns when all of it is ready."""
    with explained():
        layout = Layout(state.resolve(), base_port)
        reporter = Reporter()
        settings = pods.Settings(pods.nodes(nodes), {**pods.Settings().images, **pods.images.parse(image or ())})
        lab.up(layout, lab.Options(_parts(with_), sites, crds or default_crds(), settings), reporter)
        reporter.say(f"up: export KUBECONFIG={layout.kubeconfig}")


@app.command()
def build(state: State, with_: With = None) -> None:
    """Build the programs that `up` needs, and start nothing."""
    with explained():
        lab.prepare(Layout(state.resolve()), _parts(with_), Reporter())


@app.command()
def down(
    state: State, purge: Annotated[bool, typer.Option("--purge", help="Also remove the lab's directory.")] = False
) -> None:
    """Stop a lab, also one whose `up` was killed."""
    with explained():
        stopped = lab.down(state.resolve(), purge=purge)
        Console(stderr=True).print(f"stopped {len(stopped)} processes", highlight=False)


@app.command()
def status(state: State) -> None:
    """Show the lab's processes: memory, processor time, age and addresses."""
    with explained():
        found, _ = record.read(state.resolve())
        console = Console()
        console.print(processes_status.table(state.resolve()))
        what = "ready" if found.is_ready else "not ready"
        versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
        console.print(f"{what}; {', '.join((*found.parts, *found.sites))}; {versions}", highlight=False)


@app.command(name="logs")
def show_logs(
    state: State,
    name: Annotated[str | None, typer.Argument(help="A process; without it, the names are listed.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print a process's log."""
    with explained():
        if name is None:
            typer.echo("\n".join(logs.names(state.resolve())))
        elif follow:
            logs.follow(logs.find(state.resolve(), name), sys.stdout.write)
        else:
            typer.echo(logs.find(state.resolve(), name).read_text(errors="replace"), nl=False)


@app.command()
def kubeconfig(
    state: State, content: Annotated[bool, typer.Option("--content", help="Print what is in the file.")] = False
) -> None:
    """Print the path of the management cluster's kubeconfig."""
    with explained():
        _, layout = record.read(state.resolve())
        typer.echo(layout.kubeconfig.read_text() if content else layout.kubeconfig)


break_app = typer.Typer(help="Make something fail on purpose.", no_args_is_help=True)
break_app.add_typer(machine_faults.app_break, name="machine")
break_app.add_typer(cloud_faults.app_break, name="cloud")
break_app.add_typer(pod_faults.app_break, name="pods")
app.add_typer(break_app, name="break")

heal_app = typer.Typer(help="Take a fault back.", no_args_is_help=True)
heal_app.add_typer(machine_faults.app_heal, name="machine")
heal_app.add_typer(cloud_faults.app_heal, name="cloud")
heal_app.add_typer(pod_faults.app_heal, name="pods")
app.add_typer(heal_app, name="heal")


def main() -> None:
    """Run the command by itself: `python -m kaas_lab`."""
    app(prog_name="kaas lab")
