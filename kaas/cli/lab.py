"""`kaas lab`, imported from its own package when it is called: its libraries are slow to import."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class LabGroup(TyperGroup):
    """Stands for the lab's command until someone uses it."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Hand over to the lab's own command."""
        from kaas_lab.cli import app  # noqa: PLC0415 - slow

        return typer.main.get_command(app).make_context(info_name, args, parent, **extra)
