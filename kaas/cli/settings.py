"""Options that every command takes, before or after its name: how they are declared, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Output(StrEnum):
    """Formats for programs."""

    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True)
class Settings:
    """What the shared options say. None: not given."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    output: Output | None = None
    no_color: bool = False
    verbose: bool = False

    def overridden(self, given: dict[str, Any]) -> Settings:
        """These settings, but for the options that were given (again)."""
        return replace(self, **{name: value for name, value in given.items() if value})


PANEL = "Shared options"

SHARED: dict[str, Any] = {
    "kubeconfig": Annotated[
        Path | None,
        typer.Option(help="Kubeconfig of the management cluster.", show_default="as kubectl", rich_help_panel=PANEL),
    ],
    "context": Annotated[
        str | None, typer.Option(help="Context of the kubeconfig.", show_default="current", rich_help_panel=PANEL)
    ],
    "namespace": Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", help="Namespace of the Clusters.", show_default="context's", rich_help_panel=PANEL
        ),
    ],
    "output": Annotated[
        Output | None,
        typer.Option("--output", "-o", help="Print it for programs.", show_default="for people", rich_help_panel=PANEL),
    ],
    "no_color": Annotated[bool, typer.Option("--no-color", help="No colors.", rich_help_panel=PANEL)],
    "verbose": Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an error came from.", rich_help_panel=PANEL)
    ],
}
"""Annotation of each shared option, by the name of its field in Settings."""

assert SHARED.keys() == {f.name for f in fields(Settings)}  # noqa: S101 - two lists of one thing
