"""What is made to go wrong on purpose with Pods and volumes: a file that the agent reads whenever it matters."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What goes wrong, and what a fault's target names."""

    NODE_AWAY = "node-away"
    """A node is cut off: it says nothing to the API server and hears nothing; its containers run on."""
    UNPULLABLE = "unpullable"
    """An image does not pull."""
    PROVISION_FAILS = "provision-fails"
    """No volume is made for a claim."""
    PROVISION_SLOW = "provision-slow"
    SNAPSHOT_FAILS = "snapshot-fails"
    """No snapshot is made for a VolumeSnapshot."""
    SNAPSHOT_SLOW = "snapshot-slow"
    RESTORE_FAILS = "restore-fails"
    """No volume is made from a snapshot, for a claim."""


@dataclass(frozen=True)
class Fault:
    """One fault. target: a name or `namespace/name`, or a pattern with `*`. seconds: by which it is slow."""

    kind: Kind
    target: str = "*"
    seconds: float = 0.0


class Faults:
    """The faults of a lab, whatever process asks."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "faults.json"

    def all(self) -> list[Fault]:
        """Every fault that holds now."""
        try:
            found = json.loads(self._file.read_text())
        except FileNotFoundError:
            return []
        return [Fault(Kind(one["kind"]), one["target"], one["seconds"]) for one in found]

    def find(self, kind: Kind, target: str) -> Fault | None:
        """The fault of a kind that an object has, by its name."""
        return next((f for f in self.all() if f.kind is kind and fnmatch.fnmatchcase(target, f.target)), None)

    def has(self, kind: Kind, target: str) -> bool:
        """Whether an object has a fault."""
        return self.find(kind, target) is not None

    def add(self, fault: Fault) -> None:
        """Make something go wrong; a fault of the same kind and target is replaced."""
        self._write([*(f for f in self.all() if (f.kind, f.target) != (fault.kind, fault.target)), fault])

    def heal(self, kind: Kind | None = None, target: str | None = None) -> list[Fault]:
        """Take faults back: all, of a kind, of a kind and target. Returns them."""
        healed = [f for f in self.all() if kind in {None, f.kind} and target in {None, f.target}]
        self._write([f for f in self.all() if f not in healed])
        return healed

    def _write(self, faults: list[Fault]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps([asdict(fault) for fault in faults]))
        part.replace(self._file)
