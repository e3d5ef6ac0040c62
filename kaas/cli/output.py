"""What is written to stdout: for people with colors where there is a terminal, for programs as JSON or YAML."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import yaml
from rich.console import Console

from kaas.cli.settings import Output, Settings

Object = dict[str, Any]

PIPE_WIDTH = 10_000  # nobody reads a pipe line by line: nothing is cut or wrapped


class _Plain(yaml.CSafeDumper):
    """Writes a value out each time that it occurs, without anchors, and long text in one piece."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def console(settings: Settings, *, stderr: bool = False) -> Console:
    """Console on stdout or stderr."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, no_color=settings.no_color or None, width=width, highlight=False)


def documents(objects: Iterable[Object]) -> str:
    """Objects as a YAML text with one document each."""
    return "---\n".join(
        yaml.dump(o, Dumper=_Plain, sort_keys=False, width=PIPE_WIDTH, allow_unicode=True) for o in objects
    )


def as_list(objects: Iterable[Object]) -> Object:
    """Objects as one object that kubectl takes."""
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


def emit(data: Any, output: Output) -> None:
    """Print one value for programs."""
    if output is Output.JSON:
        sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(documents([data]))
