"""Options of single commands."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kaas.api.actions import Mode
from kaas.cli.completion import cluster_names

_UNITS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(?:\d+[smh])+|\d+")


HALF_AN_HOUR = 1800.0


def duration(text: str | float) -> float:
    """Seconds of `90`, `45s`, `30m` or `1h30m`; the default comes as seconds already."""
    if isinstance(text, float):
        return text
    if not _DURATION.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no time: write for example 90s, 30m or 1h30m")
    parts = re.findall(r"(\d+)([smh]?)", text)
    return float(sum(int(number) * _UNITS.get(unit, 1) for number, unit in parts))


Files = Annotated[
    list[Path],
    typer.Option(
        "--filename", "-f", help="File or directory with manifests, `-` for stdin. May be repeated.", show_default=False
    ),
]
OnlyCluster = Annotated[bool, typer.Option("--only-cluster/--class", help="Leave out the class and the identity.")]
Wait = Annotated[bool, typer.Option("--wait", help="Show progress until it is done.")]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", parser=duration, metavar="TIME", help="Longest wait, as 90s, 30m or 1h30m.", show_default="30m"
    ),
]
OptionalFiles = Annotated[
    list[Path] | None,
    typer.Option("--filename", "-f", help="Files with new or changed objects, not applied yet.", show_default=False),
]
Name = Annotated[str, typer.Argument(help="Name of the Cluster.", autocompletion=cluster_names, show_default=False)]
OptionalName = Annotated[
    str | None, typer.Argument(help="Name of one Cluster.", autocompletion=cluster_names, show_default=False)
]
Names = Annotated[
    list[str], typer.Argument(help="Names of the Clusters.", autocompletion=cluster_names, show_default=False)
]
OptionalNames = Annotated[
    list[str] | None, typer.Argument(help="Names of Clusters.", autocompletion=cluster_names, show_default=False)
]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Clusters of all namespaces.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Show it again and again, until Ctrl-C.")]
Days = Annotated[int, typer.Option("--days", min=1, max=400, help="How many days ahead.")]
ICal = Annotated[bool, typer.Option("--ical", help="Print it as iCalendar, for a calendar of yours.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Install = Annotated[bool, typer.Option("--install", help="Install them in the management cluster.")]
KubeconfigFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write it into a file.", show_default="standard output"),
]


class LogFormat(StrEnum):
    """How the controller writes its log."""

    JSON = "json"
    HUMAN = "human"


NO_METRICS = -1


def port_or_none(port: int) -> int | None:
    """Port of metrics as it was given, None when none are to be served."""
    return None if port == NO_METRICS else port


MetricsPort = Annotated[
    int | None,
    typer.Option(help="Port of metrics and health; 0 takes a free one, -1 serves none.", callback=port_or_none),
]
MetricsHost = Annotated[str, typer.Option(help="Address of metrics and health.")]
LeaderElect = Annotated[bool, typer.Option("--leader-elect/--no-leader-elect", help="Several controllers, one leads.")]
WatchNamespaces = Annotated[
    list[str] | None,
    typer.Option("--namespace", "-n", help="Namespace to watch. May be repeated.", show_default="all of them"),
]
Format = Annotated[LogFormat, typer.Option(help="How the log is written.")]
Workers = Annotated[int, typer.Option(min=1, help="Clusters that are worked on at once.")]

REPAIRS = "Repairs"
RepairMode = Annotated[
    Mode, typer.Option(help="What may be done to sick nodes of the whole fleet.", rich_help_panel=REPAIRS)
]
RepairMaxInFlight = Annotated[
    str,
    typer.Option(metavar="NUMBER|PERCENT", help="Nodes of the fleet under repair at once.", rich_help_panel=REPAIRS),
]
RepairMaxUnhealthy = Annotated[
    str,
    typer.Option(
        metavar="NUMBER|PERCENT", help="Sick nodes of the fleet above which nothing is done.", rich_help_panel=REPAIRS
    ),
]
RepairTicketUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Gets a POST when a node needs a person and its Site says nowhere else.",
        show_default=False,
        rich_help_panel=REPAIRS,
    ),
]
