"""What an image of the lab is: a program of this machine, or nothing but its exit code.

No image is ever fetched. A table says which program stands for which image; a container of any other image is played:
it sleeps until it is told to stop, or exits at once with the code that its Pod's annotation asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXIT = "lab.kaas.internal/exit"
"""Annotation of a Pod: containers of unknown images exit at once with this code."""
UNPULLABLE = "lab.kaas.internal/unpullable"
"""Images whose reference contains this word do not pull: ErrImagePull."""
SLEEP = ("sleep", "infinity")

# They have no entry point of their own: the container says what is run, of this machine's programs.
SHELLS: Mapping[str, tuple[str, ...]] = {"busybox": (), "alpine": (), "debian": ()}

Table = Mapping[str, Sequence[str]]
"""Words with which the program of an image starts, by the image's reference or by the last part of its name."""


@dataclass(frozen=True)
class Choice:
    """What a container runs. is_played: nothing of the container's own."""

    argv: tuple[str, ...]
    is_played: bool = False


def short_name(reference: str) -> str:
    """Last part of an image's name: `kaas` for `registry.internal:5000/team/kaas:v1@sha256:…`."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def choose(table: Table, container: Mapping[str, Any], annotations: Mapping[str, str]) -> Choice:
    """What runs for a container: its `command` in place of the image's program, its `args` behind either.

    A command that begins with the image's own name, as `kaas`, is the image's program too. Raises ValueError when
    neither the image nor the container says what to run, as a real image without an entry point does.
    """
    reference = str(container["image"])
    name = short_name(reference)
    known = table.get(reference, table.get(name))
    if known is None:
        return _played(annotations)
    command, args = list(container.get("command") or ()), list(container.get("args") or ())
    if command and known and command[0].rpartition("/")[2] == name:
        command = [*known, *command[1:]]
    argv = [*(command or known), *args]
    if not argv:
        raise ValueError("no command specified")
    return Choice(tuple(argv))


def _played(annotations: Mapping[str, str]) -> Choice:
    code = annotations.get(EXIT)
    return Choice(SLEEP if code is None else ("sh", "-c", f"exit {int(code)}"), is_played=True)


def parse(options: Iterable[str]) -> dict[str, list[str]]:
    """Table of options such as `kaas=python -m kaas`. Raises ValueError."""
    table: dict[str, list[str]] = {}
    for option in options:
        name, found, words = option.partition("=")
        if not found or not name:
            raise ValueError(f"--image {option!r}: say NAME=COMMAND, as kaas=python -m kaas")
        table[name] = words.split()
    return table


def write(path: Path, table: Table) -> None:
    """Put a table where the nodes read it, at each start of a container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({**SHELLS, **table}, indent=2) + "\n")
    part.replace(path)


def read(path: Path) -> dict[str, list[str]]:
    """The table as it is now."""
    try:
        found: dict[str, list[str]] = json.loads(path.read_text())
    except FileNotFoundError:
        return {name: list(words) for name, words in SHELLS.items()}
    return found
