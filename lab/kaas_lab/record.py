"""What a lab was started with, so that later commands need to know its state directory only: `lab.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kaas_lab.layout import Layout

FILE = "lab.json"


class NoLab(Exception):
    """The directory is not the state of a lab."""


@dataclass(frozen=True)
class Record:
    """One lab.

    parts: `dev`, `openstack`, sorted. sites: names, in the order of their numbers. is_ready: whether `up` came to its
    end. versions: of Kubernetes, Cluster API and CAPO.
    """

    base_port: int
    parts: tuple[str, ...]
    sites: tuple[str, ...]
    is_ready: bool = False
    versions: dict[str, str] = field(default_factory=dict)

    def write(self, state: Path) -> None:
        """Put it into the state directory, whole or not at all."""
        state.mkdir(parents=True, exist_ok=True)
        part = state / f"{FILE}.part"
        part.write_text(json.dumps(asdict(self), indent=2) + "\n")
        part.replace(state / FILE)


def find(state: Path) -> Record | None:
    """The record in a state directory, or None where no lab was ever started."""
    try:
        content = json.loads((state / FILE).read_text())
    except FileNotFoundError:
        return None
    return Record(**{**content, "parts": tuple(content["parts"]), "sites": tuple(content["sites"])})


def read(state: Path) -> tuple[Record, Layout]:
    """The record and the layout of the lab in a state directory. Raises NoLab."""
    record = find(state)
    if record is None:
        raise NoLab(f"there is no lab in {state}: start one with `kaas lab up`, or name its directory with --state")
    return record, Layout(state, record.base_port)
