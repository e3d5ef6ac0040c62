"""What a service knows of its site, read from `site.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where the site's files are, and the facts of the site that a service needs."""

    state: Path
    facts: dict[str, Any]

    @property
    def password(self) -> str:
        """Of the users `admin` and `service`."""
        return str(self.facts["password"])

    @property
    def region(self) -> str:
        """Name of the only region."""
        return str(self.facts["region"])

    @property
    def address(self) -> str:
        """Address at which every service listens."""
        return str(self.facts["address"])

    @property
    def zones(self) -> list[str]:
        """Availability zones; Cinder has a backend in each."""
        return list(self.facts["zones"])

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """Compute hosts by name."""
        return {host["name"]: host for host in self.facts["hosts"]}

    def port(self, service: str) -> int:
        """Port of a service."""
        return int(self.facts["ports"][service])

    def etc(self, service: str) -> Path:
        """Directory of a service's configuration."""
        return self.state / "etc" / service

    def database(self, name: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"sqlite:///{self.facts['databases'][name]}"

    def mark(self, name: str) -> Path:
        """A file that says that something of this start has come about."""
        return self.state / "run" / name

    def made(self, service: str) -> Path:
        """A file that says that the databases of a service exist."""
        return self.state / "db" / f"{service}.made"


def read(state: Path) -> Place:
    """The site whose files are in `state`."""
    return Place(state, json.loads((state / "site.json").read_text()))
