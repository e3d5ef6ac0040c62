"""The disk of a machine: a directory that stands for `/`, and a file with what the machine is."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from . import cloudinit

ROOT_DIRECTORIES = ("/etc/", "/var/", "/run/", "/opt/", "/usr/", "/srv/", "/home/")


@dataclass(frozen=True)
class Record:
    """What outlives the agent about one machine.

    address: the loopback address at which it listens.
    installed, booted: ids of Nova's actions that made its disk and started it last.
    own_boots: how often it has booted by itself since then.
    image, version: what it was installed from, and the Kubernetes version of that.
    joined: kubeadm has finished; a machine whose first boot failed stays out of its cluster until a rebuild.
    failure: why it did not join, empty when it did or still tries.
    """

    server: str
    name: str
    address: str
    installed: str
    booted: str = ""
    own_boots: int = 0
    image: str = ""
    version: str = ""
    running: bool = False
    joined: bool = False
    failure: str = ""
    node: str = ""
    control_plane: bool = False
    cluster: str = ""
    authority: str = ""
    endpoint: str = ""


class Disk:
    """Files of one machine below `directory`; paths of the machine are mapped into it by `path`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._root = directory / "root"
        self._record = directory / "machine.json"

    def path(self, absolute: str) -> Path:
        """Where a path of the machine really is."""
        return self._root / absolute.lstrip("/")

    def mapped(self, value: str) -> str:
        """A flag's value with a path of the machine turned into the real one; other values unchanged."""
        return str(self.path(value)) if value.startswith(ROOT_DIRECTORIES) else value

    def logs(self, component: str) -> Path:
        """Log of a process of this machine."""
        return self._root / "var/log" / f"{component}.log"

    def format(self, record: Record) -> None:
        """Make the disk as empty as a new image, then remember the record."""
        shutil.rmtree(self._root, ignore_errors=True)
        self.save(record)

    def erase(self) -> None:
        """Remove everything, the record too."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def save(self, record: Record) -> None:
        """Write the record so that a reader sees the old or the new one, never half."""
        self._root.mkdir(parents=True, exist_ok=True)
        fresh = self._record.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(record), indent=1))
        os.replace(fresh, self._record)

    def load(self) -> Record | None:
        """The record, or None when there is no machine here. Fields that an older lab wrote are dropped."""
        if not self._record.exists():
            return None
        stored: dict[str, Any] = json.loads(self._record.read_text())
        known = {k: v for k, v in stored.items() if k in Record.__dataclass_fields__}
        return Record(**known)

    def update(self, record: Record, **changes: Any) -> Record:
        """Save a changed record and return it."""
        changed = replace(record, **changes)
        self.save(changed)
        return changed

    def write(self, file: cloudinit.File) -> None:
        """Do one entry of `write_files`."""
        target = self.path(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        before = target.read_bytes() if file.append and target.exists() else b""
        target.touch(mode=0o600)
        target.write_bytes(before + file.content)
        target.chmod(file.permissions | 0o600)
