"""`kaas lab break cloud …` and `kaas lab heal cloud`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaas_lab.layout import Layout, default_state
from kaas_lab.openstack import faults

app_break = typer.Typer(help="Break an OpenStack cloud of the lab.", no_args_is_help=True)
app_heal = typer.Typer(help="Heal an OpenStack cloud of the lab.", invoke_without_command=True)

State = Annotated[
    Path, typer.Option("--state", help="Directory of the lab.", envvar="KAAS_LAB_STATE", default_factory=default_state)
]
SiteName = Annotated[str, typer.Option("--site", help="Name of the cloud.")]


def _layout(state: Path) -> Layout:
    return Layout(state.resolve())  # the ports are the site's own, as its last `up` wrote them down


@app_break.command()
def service(
    name: Annotated[str, typer.Argument(help="keystone, placement, glance, neutron, nova, octavia or cinder.")],
    how: Annotated[faults.How, typer.Argument(help="What is wrong with it.")],
    state: State,
    site: SiteName = "lab",
    seconds: Annotated[float, typer.Option(min=0, help="For slow: added to each answer.")] = 5.0,
) -> None:
    """Break an OpenStack service."""
    faults.break_service(_layout(state), site, name, how, seconds)


@app_break.command()
def server(
    action: Annotated[faults.Action, typer.Argument(help="What fails.")],
    state: State,
    site: SiteName = "lab",
    reason: Annotated[str | None, typer.Option(help="Goes into Nova's fault text.")] = None,
) -> None:
    """Let Nova fail at something with every server."""
    faults.break_servers(_layout(state), site, action, reason)


@app_break.command()
def host(name: Annotated[str, typer.Argument(help="cpu-0, gpu-1, ...")], state: State, site: SiteName = "lab") -> None:
    """Take the power of a compute host: its machines are off, and Nova says that it is down."""
    faults.break_host(_layout(state), site, name)


@app_break.command(name="load-balancer")
def load_balancer(state: State, site: SiteName = "lab") -> None:
    """Let load balancers end in ERROR."""
    faults.break_load_balancers(_layout(state), site)


@app_break.command()
def login(
    state: State,
    how: Annotated[faults.Login, typer.Argument(help="What is wrong with the user.")] = faults.Login.PASSWORD,
    site: SiteName = "lab",
) -> None:
    """Make the tenant's credential wrong."""
    faults.break_login(_layout(state), site, how)


@app_break.command()
def quota(
    state: State,
    resource: Annotated[str, typer.Argument(help="instances, cores, ports, floating_ips, ...")] = "instances",
    site: SiteName = "lab",
) -> None:
    """Leave nothing of a resource to the tenant's project."""
    faults.exhaust_quota(_layout(state), site, resource)


@app_heal.callback()
def heal(state: State, site: SiteName = "lab") -> None:
    """Take back everything that is broken in a cloud."""
    healed = faults.heal(_layout(state), site)
    named = [f"{kind} {about}" for kind, abouts in healed.items() for about in abouts]
    typer.echo(f"healed: {', '.join(named) or 'nothing was broken'}")
