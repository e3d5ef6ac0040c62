"""`kaas lab break machine …` and `kaas lab heal machine …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaas_lab.layout import Layout, default_state

from . import faults, power
from .faults import ApiMode, Fault, Kind, MigMode, Until

app_break = typer.Typer(help="Break a machine of the lab, or a cluster's end point.", no_args_is_help=True)
app_heal = typer.Typer(help="Heal machines of the lab.", no_args_is_help=True)

State = Annotated[
    Path, typer.Option("--state", help="Directory of the lab.", envvar="KAAS_LAB_STATE", default_factory=default_state)
]
SiteName = Annotated[str, typer.Option("--site", help="Name of the cloud.")]
NodeName = Annotated[str, typer.Argument(help="A Node, or a server by name or id.")]
UntilOption = Annotated[
    Until, typer.Option("--until", help="What ends it: a restart of that kind or a harder one, or heal alone.")
]
ClusterName = Annotated[str, typer.Argument(help="Name of the Cluster.")]
Pool = Annotated[
    str, typer.Argument(help="How server names begin, such as a Cluster or its pool; or a pattern with *.")
]


def _site(state: Path, site: str) -> Path:
    where = Layout(state.resolve()).site_state(site)
    if not where.is_dir():
        raise typer.BadParameter(f"{where} is no site of a lab: is it up, and --state right?")
    return where


def _break(state: Path, site: str, fault: Fault) -> None:
    faults.break_machine(_site(state, site), fault)
    typer.echo(f"broken: {fault.kind} of {fault.target}")


def _heal(state: Path, site: str, kind: Kind, target: str, condition: str = "") -> None:
    try:
        healed = faults.heal_machine(_site(state, site), kind, target, condition)
    except faults.UnknownFault as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    for fault in healed:
        typer.echo(f"healed: {fault.kind} of {fault.target}")


@app_break.command(name="kubelet")
def break_kubelet(node: NodeName, state: State, site: SiteName = "lab", until: UntilOption = "heal") -> None:
    """The kubelet dies: no heartbeat, no Pod status; static Pods run on."""
    _break(state, site, Fault("kubelet", node, until=until))


@app_break.command(name="join")
def break_join(target: Pool, state: State, site: SiteName = "lab") -> None:
    """Machines that boot for the first time never join; their console says so."""
    _break(state, site, Fault("join", target))


@app_break.command(name="condition")
def break_condition(
    node: NodeName,
    condition: Annotated[str, typer.Argument(metavar="TYPE=STATUS", help="Such as GPUHealthy=False.")],
    state: State,
    site: SiteName = "lab",
    reason: Annotated[str, typer.Option(help="The condition's reason.")] = "Broken",
    message: Annotated[str, typer.Option(help="The condition's message.")] = "broken on demand",
    until: UntilOption = "heal",
) -> None:
    """Set a condition of a Node, as a problem detector would, until it is healed."""
    kind, _, status = condition.partition("=")
    if not kind or status not in faults.STATUSES:
        raise typer.BadParameter(f"{condition!r} is not TYPE=STATUS with one of {', '.join(faults.STATUSES)}")
    fault = Fault("condition", node, condition=kind, status=status, reason=reason, message=message, until=until)
    _break(state, site, fault)


@app_break.command(name="gpu")
def break_gpu(
    node: NodeName,
    state: State,
    site: SiteName = "lab",
    missing: Annotated[int, typer.Option(min=1, help="Devices that are no longer allocatable.")] = 1,
    until: UntilOption = "heal",
) -> None:
    """Take GPUs out of what a Node can allocate; its capacity stays."""
    _break(state, site, Fault("gpu", node, missing=missing, until=until))


@app_break.command(name="xid")
def break_xid(
    node: NodeName,
    number: Annotated[int, typer.Argument(min=1, help="The XID, such as 79.")],
    state: State,
    site: SiteName = "lab",
    missing: Annotated[
        int | None, typer.Option(min=0, help="Devices that are gone: 1, or 0 for an application's XID.")
    ] = None,
    until: UntilOption = "heal",
) -> None:
    """An error of the NVIDIA driver: condition GPUUnhealthy with the kernel's line, and a GPU less."""
    _break(state, site, faults.xid(node, number, missing, until))


@app_break.command(name="mig")
def break_mig(
    target: Pool,
    how: Annotated[MigMode, typer.Argument(help="It fails, never ends, needs a reboot, or takes --seconds.")],
    state: State,
    site: SiteName = "lab",
    seconds: Annotated[float | None, typer.Option(min=0, help="How long it takes; 4 seconds when left out.")] = None,
) -> None:
    """GPUs of machines are laid out (nvidia.com/mig.config) in another way than well; those that are stay so."""
    _break(state, site, Fault("mig", target, layout=how, seconds=seconds))


@app_break.command(name="server")
def break_server(
    node: NodeName,
    what: Annotated[power.What, typer.Argument(help="Nova's status is ERROR, or the server is switched off.")],
    state: State,
    site: SiteName = "lab",
) -> None:
    """Break one server in Nova, until it is healed or rebooted, or started."""
    _site(state, site)
    power.break_server(Layout(state.resolve()), site, node, what)
    typer.echo(f"broken: server {node}: {what}")


@app_break.command(name="api")
def break_api(
    cluster: ClusterName,
    mode: Annotated[ApiMode, typer.Argument(help="A black hole, or a closed port.")],
    state: State,
    site: SiteName = "lab",
) -> None:
    """Break the end point of a cluster's API, at its load balancer."""
    _break(state, site, Fault("api", cluster, mode=mode))


@app_heal.command(name="kubelet")
def heal_kubelet(node: NodeName, state: State, site: SiteName = "lab") -> None:
    """Start the kubelet again."""
    _heal(state, site, "kubelet", node)


@app_heal.command(name="join")
def heal_join(target: Pool, state: State, site: SiteName = "lab") -> None:
    """Let machines join again; one that has failed stays so until it is rebuilt or replaced."""
    _heal(state, site, "join", target)


@app_heal.command(name="condition")
def heal_condition(
    node: NodeName,
    state: State,
    condition: Annotated[str, typer.Argument(help="Type of the condition; all when left out.")] = "",
    site: SiteName = "lab",
) -> None:
    """Report conditions the other way around."""
    _heal(state, site, "condition", node, condition)


@app_heal.command(name="gpu")
def heal_gpu(node: NodeName, state: State, site: SiteName = "lab") -> None:
    """Give a Node its GPUs back."""
    _heal(state, site, "gpu", node)


@app_heal.command(name="xid")
def heal_xid(node: NodeName, state: State, site: SiteName = "lab") -> None:
    """Give the Node its GPU back; the condition is reported the other way around."""
    _heal(state, site, "xid", node)


@app_heal.command(name="mig")
def heal_mig(target: Pool, state: State, site: SiteName = "lab") -> None:
    """Let GPUs be laid out; what has failed is tried again at a reboot, or when the label changes."""
    _heal(state, site, "mig", target)


@app_heal.command(name="server")
def heal_server(node: NodeName, state: State, site: SiteName = "lab") -> None:
    """Set a server in ERROR to ACTIVE, and switch on one that is off."""
    _site(state, site)
    before = power.heal_server(Layout(state.resolve()), site, node)
    typer.echo(f"healed: server {node}, which was {before}")


@app_heal.command(name="api")
def heal_api(cluster: ClusterName, state: State, site: SiteName = "lab") -> None:
    """Let the end point answer again."""
    _heal(state, site, "api", cluster)


@app_heal.command(name="all")
def heal_all(state: State, site: SiteName = "lab") -> None:
    """Heal every machine and end point of a site."""
    for fault in faults.heal_all(_site(state, site)):
        typer.echo(f"healed: {fault.kind} of {fault.target}")
